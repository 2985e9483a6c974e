import * as Effect from "effect/Effect"
import { authorize } from "./Bearer.ts"
import { json, type Response } from "./Http.ts"
import type { Refusal } from "./Refusal.ts"
import { personOf } from "./State.ts"
import type { Turn } from "./Turn.ts"

/** Claims about the person the token is for, as its scopes allow (OpenID Connect Core sections 5.3 and 5.4). */
export const userinfo = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  const { scopes, subject } = yield* authorize(turn, () => false, "openid")
  const { email, email_verified, name, preferred_username } = personOf(turn.state, subject) ?? {}
  return json({
    sub: subject,
    ...(scopes.includes("profile") ? { name, preferred_username } : {}),
    ...(scopes.includes("email") ? { email, email_verified } : {})
  })
})
