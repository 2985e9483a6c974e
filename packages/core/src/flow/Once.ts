import * as Effect from "effect/Effect"
import { LoginRequired } from "../AuthError.ts"
import type { CredentialKey } from "../Credential.ts"
import type { OAuthClient } from "../protocol/OAuthClient.ts"
import type { Assigned, UnattendedError, UnattendedFlow } from "./Flow.ts"

/**
 * Signs in with credentials that a session takes the place of: once it is there, and can be renewed, they are forgotten, and
 * so they are with a logout: neither end is a sign-in here that nobody asked for. Who starts anew with them asks for one, by the `login` of a
 * `Replaceable`.
 */
export const make = <A>(
  { account, issuer }: CredentialKey,
  given: Effect.Effect<A, UnattendedError>,
  signIn: (credentials: A, client: OAuthClient) => Effect.Effect<Assigned, UnattendedError>
): Pick<UnattendedFlow, "canObtain" | "forget" | "obtain"> => {
  let credentials = given
  const forget = Effect.sync(() => {
    credentials = Effect.fail(new LoginRequired({ reason: "NoCredential", issuer, account }))
  })
  return {
    forget,
    canObtain: Effect.suspend(() => Effect.isSuccess(credentials)),
    obtain: Effect.fnUntraced(function* (client) {
      const obtained = yield* signIn(yield* credentials, client)
      if (obtained.refreshToken !== undefined) yield* forget
      return obtained
    })
  }
}
