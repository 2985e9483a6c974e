import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Hash from "effect/Hash"
import type { Credential } from "../Credential.ts"

/**
 * When a token is due for renewal: a tenth of its lifetime before its end, at most a minute, and up to a fifth of that
 * earlier, decided by the key: the same credential always has the same point, a thousand credentials do not share one.
 * A token without a known end is never due.
 */
export const dueAt = (credential: Credential): DateTime.Utc | undefined => {
  const { expiresAt } = credential.token
  if (expiresAt === undefined) return undefined
  const lifetime = DateTime.toEpochMillis(expiresAt) - DateTime.toEpochMillis(credential.issuedAt)
  const margin = Math.min(Math.max(lifetime, 0) * 0.1, 60_000)
  const spread = (Hash.string(credential.key.canonical) >>> 0) / 2 ** 32
  return DateTime.makeUnsafe(Math.floor(DateTime.toEpochMillis(expiresAt) - margin * (1 + 0.2 * spread)))
}

/**
 * Whether the token may be handed out at `now`: not due, and valid for as long as the caller asks. Who asks for more than
 * the provider's lifetimes allow gets a token in the first tenth of its life, not an exchange for each call.
 */
export const isFresh = (
  credential: Credential,
  now: number,
  minValidity: Duration.Duration = Duration.zero
): boolean => {
  if (credential.refused === true) return false
  const due = dueAt(credential)
  const { expiresAt } = credential.token
  if (due === undefined || expiresAt === undefined) return true
  const end = DateTime.toEpochMillis(expiresAt)
  const lifetime = end - DateTime.toEpochMillis(credential.issuedAt)
  const asked = Math.min(Duration.toMillis(minValidity), lifetime * 0.9)
  return now < DateTime.toEpochMillis(due) && now + asked < end
}

/** Whether the token, due or not, is valid at `now` and for as long as the caller asks. */
export const isServing = (
  { refused, token }: Credential,
  now: number,
  minValidity: Duration.Duration = Duration.zero
): boolean =>
  refused !== true &&
  (token.expiresAt === undefined || now + Duration.toMillis(minValidity) < DateTime.toEpochMillis(token.expiresAt))

/** Where a credential stands at `now`, from what is stored alone. */
export const statusOf = (credential: Credential, now: number): "authenticated" | "refreshable" | "login_required" => {
  if (isFresh(credential, now)) return "authenticated"
  if (credential.refused === true) return "login_required"
  if (credential.refreshToken !== undefined || credential.key.subject === "client") return "refreshable"
  return isServing(credential, now) ? "authenticated" : "login_required"
}

/**
 * When a run that is there to keep a session alive should renew it: when its token is due, and so often that a refresh
 * token that ends unless it is used does not. Half of that one's life where it is known, else a day.
 */
export const keepAliveAt = (credential: Credential): DateTime.Utc | undefined => {
  const due = dueAt(credential)
  if (credential.refreshToken === undefined) return due
  const { issuedAt, refreshExpiresAt } = credential
  const rest =
    refreshExpiresAt === undefined
      ? Duration.days(1)
      : Duration.max(Duration.times(DateTime.distance(issuedAt, refreshExpiresAt), 0.5), Duration.zero)
  const rested = DateTime.addDuration(issuedAt, rest)
  return due === undefined ? rested : DateTime.min(due, rested)
}
