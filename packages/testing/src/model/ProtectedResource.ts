import * as Effect from "effect/Effect"
import { authorize } from "./Bearer.ts"
import { json, type Response } from "./Http.ts"
import type { Refusal } from "./Refusal.ts"
import type { Turn } from "./Turn.ts"

/** An API of the provider's own: `/api/me` says who calls, to any good token; `/api/needs/SCOPE` wants the scope. */
export const protectedResource = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  const scope = /\/api\/needs\/(.+)$/.exec(turn.url.pathname)?.[1]
  const token = yield* authorize(turn, scope === undefined ? undefined : decodeURIComponent(scope))
  const name = turn.state.settings.people[token.subject]?.name
  return json({
    sub: token.subject,
    client_id: token.clientId,
    scope: token.scopes.join(" "),
    token: turn.state.settings.accessTokens,
    ...(token.actor === undefined ? {} : { actor: token.actor }),
    ...(name === undefined ? {} : { name })
  })
})
