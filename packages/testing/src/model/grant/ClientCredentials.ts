import * as Effect from "effect/Effect"
import { methodOf } from "../ClientAuthentication.ts"
import * as Confirmation from "../Confirmation.ts"
import type { Response } from "../Http.ts"
import { answer } from "../Issue.ts"
import { refuse, type Refusal } from "../Refusal.ts"
import type { ClientMetadata } from "../Settings.ts"
import { askedAudience, askedScopes, type Turn } from "../Turn.ts"

/** A machine signs in as itself (RFC 6749 section 4.4). There is no person, so no refresh token and no ID token. */
export const clientCredentials = Effect.fnUntraced(function* (
  turn: Turn,
  client: ClientMetadata
): Effect.fn.Return<Response, Refusal> {
  if (methodOf(client) === "none") {
    return yield* refuse("unauthorized_client", "client_credentials needs a client that proves who it is")
  }
  const cnf = yield* Confirmation.required(turn, client)
  const asked = yield* askedScopes(turn)
  const scopes = asked.filter((scope) => scope !== "openid" && scope !== "offline_access")
  return yield* answer(turn, { client, subject: client.client_id, scopes, audience: yield* askedAudience(turn), cnf })
})
