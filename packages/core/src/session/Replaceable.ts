import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import { ConfigurationInvalid } from "../AuthError.ts"
import type { Credential } from "../Credential.ts"
import type { UnattendedFlow } from "../flow/Flow.ts"
import type { CredentialStore } from "../store/CredentialStore.ts"
import * as Login from "./Login.ts"

/** A flow, and how somebody signs in with others' credentials in its place. */
export interface Replaceable {
  readonly flow: UnattendedFlow
  /** Signs in with these; who asks unasked goes on with them from then on. Fails where they would be kept elsewhere than the first. */
  readonly login: (
    asked: UnattendedFlow
  ) => Effect.Effect<Credential, Login.LoginError, HttpClient.HttpClient | CredentialStore>
}

/**
 * A flow whose credentials a login may bring once more, where a session has taken their place (`Once`), or replace: those
 * of the last login are in use from then on.
 */
export const make = (first: UnattendedFlow): Replaceable => {
  let latest = first
  return {
    flow: {
      ...first,
      get brought() {
        return latest.brought
      },
      obtain: (client) => latest.obtain(client),
      canObtain: Effect.suspend(() => latest.canObtain ?? Effect.succeed(true)),
      forget: Effect.suspend(() => latest.forget ?? Effect.void)
    },
    login: Effect.fnUntraced(function* (asked) {
      if (asked.key.canonical !== first.key.canonical) {
        const detail = "a login of another account, service, client or kind than is configured"
        return yield* new ConfigurationInvalid({ reason: "NotSupported", detail })
      }
      // With what it brings, and neither before nor after: else who asks meanwhile finds in its place what is not theirs.
      return yield* Login.login(asked, { onKept: Effect.sync(() => void (latest = asked)) })
    })
  }
}
