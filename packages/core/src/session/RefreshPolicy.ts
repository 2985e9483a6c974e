import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Hash from "effect/Hash"
import type { Credential } from "../Credential.ts"

/**
 * From when on callers wait for the next token: a tenth of the lifetime before its end, at most a minute, or the margin that
 * settings ask for where that is more, at most half of the lifetime; and up to a fifth of that earlier, decided by the key:
 * the same credential always has the same point, a thousand credentials do not share one. For a token that cannot be renewed
 * nobody waits earlier than they must. A token without a known end has none.
 */
export const hardPoint = (credential: Credential): DateTime.Utc | undefined => pointsOf(credential).hard

/**
 * From when on the token is renewed in the background, while it still serves:
 * - when the provider says so (`refresh_in`), or up to a tenth of what is then left later, decided by the key;
 * - else after four fifths of its life, or up to a twentieth of it earlier;
 * - at any rate before a refresh token ends whose life slides: after four fifths of what it has.
 *
 * Never past the hard point, which it is for tokens of less than a minute and for those that cannot be renewed. Callers of
 * a token without a known end never wait, but it may have a soft point.
 */
export const softPoint = (credential: Credential): DateTime.Utc | undefined => pointsOf(credential).soft

/**
 * From when on to warn that the refresh token ends: a fifth of its life before, at most three days. The life counts from
 * when its end was first told, so that one of three months is not forgotten over the renewals of each hour.
 */
export const warningPoint = (credential: Credential): DateTime.Utc | undefined => {
  const { issuedAt, refreshToken, refreshExpiresAt, refreshExpiryFixedSince } = credential
  if (refreshToken === undefined || refreshExpiresAt === undefined) return undefined
  const end = DateTime.toEpochMillis(refreshExpiresAt)
  const life = end - DateTime.toEpochMillis(refreshExpiryFixedSince ?? issuedAt)
  return at(end - Math.min(Math.max(life, 0) * 0.2, 3 * 24 * 60 * minute))
}

/**
 * Whether callers may have the token at `now` without waiting: before its hard point, and valid for as long as they ask.
 * Who asks for more than the provider's lifetimes allow gets a token in the first tenth of its life, not an exchange for
 * each call.
 */
export const isFresh = (
  credential: Credential,
  now: number,
  minValidity: Duration.Duration = Duration.zero
): boolean => {
  if (credential.refused === true) return false
  const hard = hardPoint(credential)
  const { expiresAt } = credential.token
  if (hard === undefined || expiresAt === undefined) return true
  const asked = Math.min(Duration.toMillis(minValidity), lifetimeOf(credential) * 0.9)
  return now < DateTime.toEpochMillis(hard) && now + asked < DateTime.toEpochMillis(expiresAt)
}

/** Whether it is time to renew the token, though callers may not have to wait for that yet. */
export const isDue = (credential: Credential, now: number): boolean => {
  const soft = softPoint(credential)
  return credential.refused === true || (soft !== undefined && now >= DateTime.toEpochMillis(soft))
}

/** Whether the token, due or not, is valid at `now` and for as long as the caller asks. */
export const isServing = (
  { refused, token }: Credential,
  now: number,
  minValidity: Duration.Duration = Duration.zero
): boolean =>
  refused !== true &&
  (token.expiresAt === undefined || now + Duration.toMillis(minValidity) < DateTime.toEpochMillis(token.expiresAt))

/** Whether there is a next token without a person. */
export const isRenewable = ({ key, refreshToken, refused }: Credential): boolean =>
  key.subject === "client" || key.links !== undefined || (refreshToken !== undefined && refused !== true)

/** Where a credential stands at `now`, from what is stored alone. */
export const statusOf = (credential: Credential, now: number): "authenticated" | "refreshable" | "login_required" => {
  if (isFresh(credential, now)) return "authenticated"
  if (isRenewable(credential)) return "refreshable"
  return isServing(credential, now) ? "authenticated" : "login_required"
}

/**
 * When a run that is there to keep a session alive should renew it: when its token is due, and so often that a refresh
 * token that ends unless it is used does not. Half of that one's life where it is known, else a day. One whose end is
 * fixed is not helped by use.
 */
export const keepAlivePoint = (credential: Credential): DateTime.Utc | undefined => {
  const soft = softPoint(credential)
  const { issuedAt, refreshExpiresAt, refreshExpiryFixedSince, refreshToken } = credential
  if (refreshToken === undefined || refreshExpiryFixedSince !== undefined) return soft
  const rest =
    refreshExpiresAt === undefined
      ? Duration.days(1)
      : Duration.max(Duration.times(DateTime.distance(issuedAt, refreshExpiresAt), 0.5), Duration.zero)
  const rested = DateTime.addDuration(issuedAt, rest)
  return soft === undefined ? rested : DateTime.min(soft, rested)
}

const minute = 60_000

const at = (millis: number) => DateTime.makeUnsafe(Math.floor(millis))

const lifetimeOf = ({ issuedAt, token }: Credential) =>
  token.expiresAt === undefined ? Infinity : DateTime.toEpochMillis(token.expiresAt) - DateTime.toEpochMillis(issuedAt)

interface Points {
  readonly hard: DateTime.Utc | undefined
  readonly soft: DateTime.Utc | undefined
}

// They are looked at with each call for a token, and worked out once.
const points = new WeakMap<Credential, Points>()

const pointsOf = (credential: Credential): Points => {
  const known = points.get(credential)
  if (known !== undefined) return known
  const spread = (Hash.string(credential.key.canonical) >>> 0) / 2 ** 32 // where its key stands among all keys
  const hard = hardOf(credential, spread)
  const found = { hard, soft: softOf(credential, spread, hard) }
  points.set(credential, found)
  return found
}

const hardOf = (credential: Credential, spread: number) => {
  const { expiresAt } = credential.token
  if (expiresAt === undefined) return undefined
  const lifetime = Math.max(lifetimeOf(credential), 0)
  const asked = credential.margin === undefined || !isRenewable(credential) ? 0 : Duration.toMillis(credential.margin)
  const margin = Math.max(Math.min(lifetime * 0.1, minute), Math.min(asked, lifetime * 0.5))
  return at(DateTime.toEpochMillis(expiresAt) - margin * (1 + 0.2 * spread))
}

const softOf = (credential: Credential, spread: number, hard: DateTime.Utc | undefined) => {
  const lifetime = lifetimeOf(credential)
  if (!isRenewable(credential) || lifetime < minute) return hard
  const issued = DateTime.toEpochMillis(credential.issuedAt)
  const last = hard === undefined ? Infinity : DateTime.toEpochMillis(hard)
  const candidates = [last, issued + lifetime * (0.8 - 0.05 * spread)]
  if (credential.refreshAt !== undefined) {
    // A hint of "at once" would be one exchange after the other.
    const hint = Math.max(DateTime.toEpochMillis(credential.refreshAt), issued + minute)
    candidates[1] = hint + (hint < last && last < Infinity ? (last - hint) * 0.1 * spread : 0)
  }
  if (credential.refreshExpiresAt !== undefined && credential.refreshExpiryFixedSince === undefined) {
    const left = DateTime.toEpochMillis(credential.refreshExpiresAt) - issued
    if (left > minute) candidates.push(issued + left * 0.8)
  }
  const soft = Math.min(...candidates)
  return soft === Infinity ? undefined : at(soft)
}
