import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import { createLocalJWKSet, jwtVerify } from "jose"
import { html, redirect, type Response } from "./Http.ts"
import { published } from "./Keys.ts"
import { complaint, refuse, type Refusal } from "./Refusal.ts"
import { endFamily, lookup } from "./State.ts"
import { optional, type Turn } from "./Turn.ts"

/**
 * A person signs out (OpenID Connect RP-Initiated Logout section 2). What they did not grant `offline_access` to ends
 * with their session; what they did goes on, since it was meant for when they are away (Core section 11).
 */
export const endSession = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  const hint = yield* optional(turn, "id_token_hint")
  const named = yield* optional(turn, "client_id")
  const back = yield* optional(turn, "post_logout_redirect_uri")
  const state = yield* optional(turn, "state")
  const hinted = hint === undefined ? undefined : yield* read(turn, hint)
  if (hinted !== undefined && named !== undefined && named !== hinted.clientId) {
    return yield* refuse("invalid_request", "client_id does not match the provided id_token_hint")
  }
  const client = lookup(turn.state.clients, hinted?.clientId ?? named)
  if ((hinted?.clientId ?? named) !== undefined && client === undefined)
    return yield* refuse("invalid_client", "client is invalid")
  if (back !== undefined && !(client?.post_logout_redirect_uris ?? []).includes(back)) {
    return yield* refuse("invalid_request", "post_logout_redirect_uri not registered")
  }
  for (const family of HashMap.values(turn.state.families)) {
    const theirs = family.person === hinted?.person && family.clientId === hinted.clientId
    if (theirs && !family.scopes.includes("offline_access")) {
      turn.state = endFamily(turn.state, family.id, "signed out", turn.now)
    }
  }
  if (back === undefined) return html("Signed out", "<p>You have signed out.</p>")
  const target = new URL(back)
  if (state !== undefined) target.searchParams.set("state", state)
  return redirect(target.href)
})

/** Whose ID token it is. It may have expired: that is what sessions do (section 4 of the specification). */
const read = (turn: Turn, hint: string) =>
  Effect.tryPromise({
    try: async () => {
      const { payload } = await jwtVerify(hint, createLocalJWKSet(published(turn)), {
        issuer: turn.state.settings.issuer,
        currentDate: new Date(0)
      })
      return { person: payload.sub, clientId: String(payload.aud) }
    },
    catch: (error) => refuse("invalid_request", complaint("id_token_hint validation failed", error))
  })
