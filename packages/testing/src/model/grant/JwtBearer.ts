import * as Effect from "effect/Effect"
import { createLocalJWKSet, decodeJwt, jwtVerify } from "jose"
import * as Confirmation from "../Confirmation.ts"
import type { Response } from "../Http.ts"
import { answer } from "../Issue.ts"
import { complaint, refuse, type Refusal } from "../Refusal.ts"
import { isReplay } from "../Replay.ts"
import type { ClientMetadata } from "../Settings.ts"
import { askedAudience, askedScopes, locate, required, type Turn } from "../Turn.ts"

export const grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"

/** A token on the word of somebody we trust (RFC 7523 sections 2.1 and 3). There is no session, so no refresh token. */
export const jwtBearer = Effect.fnUntraced(function* (
  turn: Turn,
  client: ClientMetadata
): Effect.fn.Return<Response, Refusal> {
  const assertion = yield* required(turn, "assertion")
  const cnf = yield* Confirmation.required(turn, client)
  const { issuer, trustedIssuers } = turn.state.settings
  const claims = yield* Effect.tryPromise({
    try: async () => {
      const trusted = trustedIssuers.find(({ issuer }) => issuer === decodeJwt(assertion).iss)
      const { payload } = await jwtVerify(assertion, createLocalJWKSet(trusted?.jwks ?? { keys: [] }), {
        issuer: trusted?.issuer ?? "",
        audience: [issuer, locate(turn, "/token")],
        requiredClaims: ["iss", "sub", "aud", "exp"],
        currentDate: new Date(turn.now)
      })
      return payload
    },
    catch: (error) => refuse("invalid_grant", complaint("the assertion does not verify", error))
  })
  if (claims.jti !== undefined && isReplay(turn, `assertion of ${claims.iss}`, claims)) {
    return yield* refuse("invalid_grant", "the assertion was used before")
  }
  const scopes = (yield* askedScopes(turn)).filter((scope) => scope !== "openid" && scope !== "offline_access")
  return yield* answer(turn, { client, subject: claims.sub ?? "", scopes, audience: yield* askedAudience(turn), cnf })
})
