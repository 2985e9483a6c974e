/** The program of a web page: what BrowserCredentialStore.test.ts bundles and opens in tabs. */
import { Effect, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { BrowserCredentialStore, DeviceCode, TokenSource } from "keyfob"

const flow = DeviceCode.make({
  issuer: location.origin,
  clientId: "keyfob-cli",
  scopes: ["openid", "offline_access"]
})

const store = BrowserCredentialStore.layer({
  storage: localStorage,
  locks: navigator.locks,
  exposure: BrowserCredentialStore.everyScriptOfThisOriginCanReadTheTokens
})

/** A token, or the tag and reason of what came instead. */
const token = () =>
  TokenSource.make(flow).pipe(
    Effect.flatMap((source) => source.token),
    Effect.map(({ value }) => Redacted.value(value)),
    Effect.scoped,
    Effect.provide([store, FetchHttpClient.layer]),
    Effect.catch((error) => Effect.succeed(`${error._tag} ${error.reason}`)),
    Effect.runPromise
  )

Object.assign(globalThis, { token })
