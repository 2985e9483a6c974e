import * as DateTime from "effect/DateTime"
import * as Hash from "effect/Hash"
import * as HashMap from "effect/HashMap"
import { type Family, isLive, isRefreshable, isValid, type State } from "./model/State.ts"

/** What a provider holds at an instant. Tokens are fingerprints: equal ones have equal fingerprints. */
export interface Snapshot {
  readonly now: string
  readonly keys: ReadonlyArray<{ readonly kid: string; readonly algorithm: string; readonly signs: boolean }>
  readonly families: ReadonlyArray<{
    readonly id: string
    readonly person: string
    readonly client: string
    readonly scope: string
    readonly state: string
    readonly refreshTokens: ReadonlyArray<TokenSnapshot>
  }>
  readonly accessTokens: ReadonlyArray<TokenSnapshot & { readonly subject: string; readonly client: string }>
}

export interface TokenSnapshot {
  readonly token: string
  readonly state: "live" | "spent" | "ended"
  /** `never` where its lifetime is infinite. */
  readonly expiresAt: string
}

export const snapshotOf = (state: State, now: number): Snapshot => ({
  now: iso(now),
  keys: state.keys.map(({ algorithm, goneAt, kid }) => ({ kid, algorithm, signs: goneAt === undefined })),
  families: familiesOf(state).map(({ clientId, ended, id, person, scopes }) => ({
    id,
    person,
    client: clientId,
    scope: scopes.join(" "),
    state: ended !== undefined ? `${ended.because} at ${iso(ended.at)}` : isLive(state, id, now) ? "live" : "expired",
    refreshTokens: HashMap.toEntries(state.refreshTokens)
      .filter(([, token]) => token.family === id)
      .sort(([, a], [, b]) => a.nth - b.nth)
      .map(([value, token]) => ({
        token: fingerprint(value),
        state: isRefreshable(state, token, now) ? "live" : token.spentAt === undefined ? "ended" : "spent",
        expiresAt: iso(token.expiresAt)
      }))
  })),
  accessTokens: HashMap.toEntries(state.accessTokens)
    .filter(([, token]) => isValid(state, token, now))
    .sort(([, a], [, b]) => a.nth - b.nth)
    .map(([value, token]) => ({
      token: fingerprint(value),
      subject: token.subject,
      client: token.clientId,
      state: "live",
      expiresAt: iso(token.expiresAt)
    }))
})

/** Every sign-in there was, oldest first. */
export const familiesOf = (state: State): ReadonlyArray<Family> =>
  HashMap.toValues(state.families).sort((a, b) => a.nth - b.nth)

const iso = (millis: number) => (millis === Infinity ? "never" : DateTime.formatIso(DateTime.makeUnsafe(millis)))

/** Eight hexadecimal digits: tells tokens apart, and gives none away. */
const fingerprint = (secret: string) => `#${(Hash.string(secret) >>> 0).toString(16).padStart(8, "0")}`
