import * as HashMap from "effect/HashMap"
import type { State } from "./State.ts"

const day = 86_400_000

/**
 * Forgets what ended more than a day ago, now and then: a program of a million requests would drown in it. Nobody can
 * tell the difference, since an unknown token and an expired one get the same answer. Families stay: tests look at them.
 */
export const sweep = (state: State, now: number): State => {
  const size = HashMap.size(state.accessTokens) + HashMap.size(state.refreshTokens) + HashMap.size(state.seen)
  if (size < state.sweepAt) return state
  const recent = ({ expiresAt }: { readonly expiresAt: number }) => now < expiresAt + day
  const kept = {
    ...state,
    accessTokens: HashMap.filter(state.accessTokens, recent),
    refreshTokens: HashMap.filter(state.refreshTokens, recent),
    idTokens: HashMap.filter(state.idTokens, recent),
    devices: HashMap.filter(state.devices, recent),
    codes: HashMap.filter(state.codes, recent),
    pushed: HashMap.filter(state.pushed, ({ askedAt }) => now < askedAt + day),
    interactions: HashMap.filter(state.interactions, ({ askedAt }) => now < askedAt + day),
    seen: HashMap.filter(state.seen, (until) => now < until)
  }
  const left = HashMap.size(kept.accessTokens) + HashMap.size(kept.refreshTokens) + HashMap.size(kept.seen)
  return { ...kept, sweepAt: Math.max(1000, 2 * left) }
}
