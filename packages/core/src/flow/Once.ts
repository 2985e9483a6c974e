import * as Effect from "effect/Effect"
import { LoginRequired } from "../AuthError.ts"
import type { CredentialKey } from "../Credential.ts"
import type { OAuthClient } from "../protocol/OAuthClient.ts"
import type { Assigned, UnattendedError, UnattendedFlow } from "./Flow.ts"

/**
 * Signs in with credentials that are good for one session, such as a person's password. They are forgotten as soon as a
 * session is there that can be renewed, and at a logout. So neither the end of that session nor a logout is followed by a
 * sign-in that nobody asked for: the next one takes the `login` of a `Replaceable`, which brings them again.
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
