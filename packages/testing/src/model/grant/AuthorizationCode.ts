import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Confirmation from "../Confirmation.ts"
import type { Response } from "../Http.ts"
import { issueAll } from "../Issue.ts"
import * as Pkce from "../Pkce.ts"
import { refuse, type Refusal } from "../Refusal.ts"
import type { ClientMetadata } from "../Settings.ts"
import { endFamily, isLive, lookup } from "../State.ts"
import { required, sameAudience, type Turn } from "../Turn.ts"

/** Tokens for a code (RFC 6749 section 4.1.3). A code that comes twice was stolen: all that came of it ends (4.1.2). */
export const authorizationCode = Effect.fnUntraced(function* (
  turn: Turn,
  client: ClientMetadata
): Effect.fn.Return<Response, Refusal> {
  const value = yield* required(turn, "code")
  const redirectUri = yield* required(turn, "redirect_uri")
  const cnf = yield* Confirmation.required(turn, client)
  const code = lookup(turn.state.codes, value)
  if (code === undefined) return yield* refuse("invalid_grant", "authorization code not found")
  if (code.clientId !== client.client_id) return yield* refuse("invalid_grant", "client mismatch")
  if (turn.now >= code.expiresAt) return yield* refuse("invalid_grant", "authorization code is expired")
  const family = lookup(turn.state.families, code.family)
  if (family === undefined || !isLive(turn.state, code.family, turn.now)) {
    return yield* refuse("invalid_grant", "grant not found or no longer valid")
  }
  yield* Pkce.verify(turn, code.codeChallenge)
  if (code.redirectUri !== redirectUri)
    return yield* refuse("invalid_grant", "authorization code redirect_uri mismatch")
  if (code.used === true) {
    turn.state = endFamily(turn.state, code.family, "code reuse", turn.now)
    return yield* refuse("invalid_grant", "authorization code already consumed")
  }
  if (code.dpopJkt !== undefined && code.dpopJkt !== cnf?.jkt) {
    return yield* refuse("invalid_grant", "DPoP proof key thumbprint does not match dpop_jkt")
  }
  yield* sameAudience(turn, code.audience)
  turn.state = { ...turn.state, codes: HashMap.set(turn.state.codes, value, { ...code, used: true }) }
  const { audience, nonce, person, scopes } = code
  return yield* issueAll(turn, { client, subject: person, scopes, audience, cnf, family, nonce })
})
