import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import { ConfigurationInvalid } from "../AuthError.ts"
import type { Credential } from "../Credential.ts"
import type { UnattendedFlow } from "../flow/Flow.ts"
import type { CredentialStore } from "../store/CredentialStore.ts"
import type { LoginError } from "./Login.ts"
import { signIn } from "./SignIn.ts"
import * as TokenBudget from "./TokenBudget.ts"

/** A flow, and how somebody signs in with others' credentials in its place. */
export interface Replaceable {
  readonly flow: UnattendedFlow
  /** Signs in with these; who asks unasked goes on with them from then on. Fails where they would be kept elsewhere than the first. */
  readonly login: (
    asked: UnattendedFlow
  ) => Effect.Effect<Credential, LoginError, HttpClient.HttpClient | CredentialStore>
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
    login: Effect.fn("keyfob.login")(function* (asked) {
      if (asked.key.canonical !== first.key.canonical) {
        const detail = "a login of another account, service, client or kind than is configured"
        return yield* new ConfigurationInvalid({ reason: "NotSupported", detail })
      }
      // Under the lease, with the new session: who asked before or after that would be given what is not theirs.
      const replace = Effect.sync(() => void (latest = asked))
      return yield* signIn(asked, yield* TokenBudget.clientOf(asked), replace)
    })
  }
}
