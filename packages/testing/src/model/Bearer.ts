import * as Effect from "effect/Effect"
import * as ClientCertificate from "./ClientCertificate.ts"
import * as Dpop from "./Dpop.ts"
import { refuse, type Refusal } from "./Refusal.ts"
import { type AccessToken, isValid, lookup } from "./State.ts"
import type { Turn } from "./Turn.ts"

/**
 * The access token of a request to a protected resource, checked as one does (RFC 6750 sections 2.1 and 3, RFC 9449
 * section 7, RFC 8705 section 3): no token, 401 and bare challenges; another header, 400 `invalid_request`; a bad token,
 * 401 `invalid_token`; too narrow a one, 403 `insufficient_scope`.
 */
export const authorize = Effect.fnUntraced(function* (
  turn: Turn,
  takes: (audience: string) => boolean,
  scope?: string
): Effect.fn.Return<AccessToken, Refusal> {
  const realm = `realm="${turn.state.settings.issuer}"`
  const algs = `, algs="${Dpop.algorithms.join(" ")}"`
  const { authorization } = turn.request.headers
  if (authorization === undefined) {
    return yield* refuse("invalid_token", "no access token provided", {
      status: 401,
      headers: { "www-authenticate": `Bearer ${realm}, DPoP ${realm}${algs}` }
    })
  }
  const found = /^(bearer|dpop) +(\S+)$/i.exec(authorization)
  const isDpop = found?.[1]?.toLowerCase() === "dpop"
  const value = found?.[2]
  const token = lookup(turn.state.accessTokens, value)
  const isBound = isDpop || token?.cnf?.jkt !== undefined
  const challenge = (status: number, error: string, description: string, more = "") =>
    refuse(error, description, {
      status,
      headers: {
        "www-authenticate": `${isBound ? "DPoP" : "Bearer"} ${realm}, error="${error}", error_description="${description}"${more}${isBound ? algs : ""}`
      }
    })
  if (value === undefined) return yield* challenge(400, "invalid_request", "invalid authorization header value format")
  if (token === undefined || !isValid(turn.state, token, turn.now)) {
    return yield* challenge(401, "invalid_token", "access token is unknown, expired or revoked")
  }
  if (token.audience !== undefined && !takes(token.audience)) {
    return yield* challenge(401, "invalid_token", "access token is for another audience")
  }
  if ((token.cnf?.jkt !== undefined) !== isDpop) {
    return yield* challenge(401, "invalid_token", "access token is sent by the wrong scheme")
  }
  if (isDpop) {
    const jkt = yield* Effect.catch(Dpop.proof(turn, value), (refusal) =>
      Effect.fail(challenge(401, refusal.error, refusal.description))
    )
    if (jkt === undefined) return yield* challenge(400, "invalid_request", "DPoP proof JWT not provided")
    if (jkt !== token.cnf?.jkt) return yield* challenge(401, "invalid_token", "failed jkt verification")
  }
  const certificate = token.cnf?.["x5t#S256"]
  if (certificate !== undefined && certificate !== (yield* ClientCertificate.thumbprint(turn))) {
    return yield* challenge(401, "invalid_token", "failed x5t#S256 verification")
  }
  if (scope !== undefined && !token.scopes.includes(scope)) {
    return yield* challenge(403, "insufficient_scope", `access token missing ${scope} scope`, `, scope="${scope}"`)
  }
  return token
})
