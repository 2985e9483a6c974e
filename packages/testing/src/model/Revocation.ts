import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import { authenticate } from "./ClientAuthentication.ts"
import { empty, type Response } from "./Http.ts"
import type { Refusal } from "./Refusal.ts"
import { endFamily, lookup } from "./State.ts"
import { required, type Turn } from "./Turn.ts"

/**
 * A client gives a token back (RFC 7009 section 2). Of its sign-in's tokens, any ends the family; one it got in exchange
 * for another client's ends alone. A token that is unknown, or somebody else's, changes nothing, and the answer is the same.
 */
export const revocation = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  const client = yield* authenticate(turn)
  const value = yield* required(turn, "token")
  const access = lookup(turn.state.accessTokens, value)
  const found = access ?? lookup(turn.state.refreshTokens, value)
  if (found?.clientId === client.client_id) {
    if (access !== undefined) {
      const revoked = { ...access, revoked: true }
      turn.state = { ...turn.state, accessTokens: HashMap.set(turn.state.accessTokens, value, revoked) }
    }
    const family = lookup(turn.state.families, found.family)
    if (family?.clientId === client.client_id) turn.state = endFamily(turn.state, family.id, "revoked", turn.now)
  }
  return empty(200)
})
