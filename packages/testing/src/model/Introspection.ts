import * as Effect from "effect/Effect"
import { authenticate, methodOf } from "./ClientAuthentication.ts"
import { json, type Response } from "./Http.ts"
import { seconds } from "./Issue.ts"
import type { Refusal } from "./Refusal.ts"
import { type Confirmation, isRefreshable, isValid, lookup } from "./State.ts"
import { required, type Turn } from "./Turn.ts"

/**
 * What the provider knows of a token (RFC 7662 section 2.2). Whatever is not good now is `active: false` and nothing
 * else. A public client is told about its own tokens only: it cannot prove who it is.
 */
export const introspection = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  const client = yield* authenticate(turn)
  const value = yield* required(turn, "token")
  const mayKnow = ({ clientId }: { readonly clientId: string }) =>
    methodOf(client) !== "none" || clientId === client.client_id
  const access = lookup(turn.state.accessTokens, value)
  if (access !== undefined && mayKnow(access) && isValid(turn.state, access, turn.now)) {
    return json({
      active: true,
      ...aboutBoth(turn, access),
      // A machine is told about by its client_id alone.
      ...(access.subject === access.clientId ? {} : { sub: access.subject }),
      ...(access.actor === undefined ? {} : { act: { sub: access.actor } }),
      token_type: access.cnf?.jkt === undefined ? "Bearer" : "DPoP"
    })
  }
  const refresh = lookup(turn.state.refreshTokens, value)
  if (refresh !== undefined && mayKnow(refresh) && isRefreshable(turn.state, refresh, turn.now)) {
    const person = lookup(turn.state.families, refresh.family)?.person
    return json({ active: true, ...aboutBoth(turn, refresh), ...(person === undefined ? {} : { sub: person }) })
  }
  return json({ active: false })
})

interface Known {
  readonly clientId: string
  readonly scopes: ReadonlyArray<string>
  readonly issuedAt: number
  readonly expiresAt: number
  readonly audience?: string
  readonly cnf?: Confirmation
}

const aboutBoth = (turn: Turn, { audience, clientId, cnf, expiresAt, issuedAt, scopes }: Known) => ({
  client_id: clientId,
  iat: seconds(issuedAt),
  ...(expiresAt === Infinity ? {} : { exp: seconds(expiresAt) }),
  iss: turn.state.settings.issuer,
  ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
  ...(audience === undefined ? {} : { aud: audience }),
  ...(cnf === undefined ? {} : { cnf })
})
