import * as Effect from "effect/Effect"
import { authorize } from "./Bearer.ts"
import { json, type Response, text } from "./Http.ts"
import type { Refusal } from "./Refusal.ts"
import { personOf } from "./State.ts"
import { isScope, locate, type Turn } from "./Turn.ts"

/** An API of the provider's own: `/api/me` says who calls, to any good token; `/api/needs/SCOPE` wants the scope. */
export const protectedResource = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  const needed = /\/api\/needs\/(.*)$/.exec(turn.url.pathname)?.[1]
  const scope = needed === undefined ? undefined : scopeOf(needed)
  if (scope === null) return text("Not Found", 404)
  const own = locate(turn, "/api")
  const token = yield* authorize(turn, (audience) => audience === own || audience.startsWith(`${own}/`), scope)
  const name = personOf(turn.state, token.subject)?.name
  return json({
    sub: token.subject,
    client_id: token.clientId,
    scope: token.scopes.join(" "),
    token: turn.state.settings.accessTokens,
    ...(token.actor === undefined ? {} : { actor: token.actor }),
    ...(name === undefined ? {} : { name })
  })
})

/** The scope a part of a path names; `null` where it is none. */
const scopeOf = (part: string): string | null => {
  try {
    const scope = decodeURIComponent(part)
    return isScope(scope) ? scope : null
  } catch {
    return null
  }
}
