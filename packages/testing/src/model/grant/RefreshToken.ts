import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Confirmation from "../Confirmation.ts"
import type { Response } from "../Http.ts"
import { answer, newRefreshToken, refreshTokenEnd } from "../Issue.ts"
import { refuse, type Refusal } from "../Refusal.ts"
import type { ClientMetadata } from "../Settings.ts"
import { endFamily, isLive, lookup } from "../State.ts"
import { optional, required, sameAudience, type Turn } from "../Turn.ts"

/**
 * A fresh access token for a refresh token (RFC 6749 section 6). With rotation, each is good for one use; a second use
 * outside the grace interval means that two parties hold it, and ends the family (RFC 9700 section 4.14.2).
 */
export const refreshToken = Effect.fnUntraced(function* (
  turn: Turn,
  client: ClientMetadata
): Effect.fn.Return<Response, Refusal> {
  const value = yield* required(turn, "refresh_token")
  const cnf = yield* Confirmation.required(turn, client)
  const token = lookup(turn.state.refreshTokens, value)
  if (token === undefined) return yield* refuse("invalid_grant", "refresh token not found")
  if (token.clientId !== client.client_id) return yield* refuse("invalid_grant", "client mismatch")
  if (turn.now >= token.expiresAt) return yield* refuse("invalid_grant", "refresh token is expired")
  const family = lookup(turn.state.families, token.family)
  if (family === undefined || !isLive(turn.state, token.family, turn.now)) {
    return yield* refuse("invalid_grant", "grant not found or no longer valid")
  }
  const scopes = yield* narrowed(turn, token.scopes)
  yield* sameAudience(turn, token.audience)
  if (token.cnf?.jkt !== undefined && token.cnf.jkt !== cnf?.jkt) {
    return yield* refuse("invalid_grant", "failed jkt verification")
  }
  if (token.cnf?.["x5t#S256"] !== undefined && token.cnf["x5t#S256"] !== cnf?.["x5t#S256"]) {
    return yield* refuse("invalid_grant", "failed x5t#S256 verification")
  }
  const { graceInterval, rotation } = turn.state.settings
  if (token.spentAt !== undefined && turn.now >= token.spentAt + graceInterval) {
    turn.state = endFamily(turn.state, token.family, "reuse", turn.now)
    return yield* refuse("invalid_grant", "refresh token already used")
  }
  const { audience, nonce } = token
  const issuing = { client, subject: family.person, scopes, audience, cnf, family, nonce }
  const used = rotation
    ? { ...token, spentAt: token.spentAt ?? turn.now }
    : { ...token, expiresAt: refreshTokenEnd(turn, family) }
  turn.state = { ...turn.state, refreshTokens: HashMap.set(turn.state.refreshTokens, value, used) }
  if (!rotation) return yield* answer(turn, issuing, value)
  return yield* answer(turn, issuing, newRefreshToken(turn, { ...issuing, scopes: token.scopes }))
})

/** The scopes asked for, which must be among the granted ones (RFC 6749 section 6); all where none are named. */
const narrowed = Effect.fnUntraced(function* (
  turn: Turn,
  granted: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<string>, Refusal> {
  const scope = yield* optional(turn, "scope")
  if (scope === undefined) return granted
  const asked = scope.split(" ").filter((name) => name !== "")
  return asked.every((name) => granted.includes(name))
    ? asked
    : yield* refuse("invalid_scope", "refresh token missing requested scope")
})
