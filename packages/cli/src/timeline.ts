/** What is to come of a credential, as far as it is known today. */
import * as DateTime from "effect/DateTime"
import { type Credential, RefreshPolicy } from "keyfob"

export interface Instant {
  readonly at: DateTime.Utc
  readonly event: "refresh" | "expiry" | "refresh_token_expiry" | "login_required"
}

/**
 * The instants from `now` to `until` (milliseconds), in order. Each refresh is taken to be made when it is due, as by a
 * program that keeps the session warm, and to bring lifetimes like those of today.
 */
export const timeline = (stored: Credential | undefined, now: number, until: number): ReadonlyArray<Instant> => {
  const found: Array<Instant> = []
  const add = (at: number, event: Instant["event"]) => {
    if (at >= now && at <= until) found.push({ at: DateTime.makeUnsafe(at), event })
  }
  if (stored === undefined || RefreshPolicy.statusOf(stored, now) === "login_required") add(now, "login_required")
  else {
    const due = millisOf(RefreshPolicy.softPoint(stored))
    const end = millisOf(stored.token.expiresAt)
    const refreshEnd = millisOf(stored.refreshExpiresAt)
    const issuedAt = DateTime.toEpochMillis(stored.issuedAt)
    const isRenewable = RefreshPolicy.isRenewable(stored)
    // What ends whether it is used or not.
    const last = !isRenewable ? end : stored.refreshExpiryFixedSince === undefined ? Infinity : refreshEnd
    add(end, "expiry")
    if (isRenewable) add(refreshEnd, "refresh_token_expiry")
    add(last, "login_required")
    const stop = isRenewable ? Math.min(until, last - 1) : now - 1
    // A lifetime of nothing would get nowhere.
    for (let at = Math.max(due, now); at <= stop; at += Math.max(due - issuedAt, 1000)) {
      add(at, "refresh")
      add(at + end - issuedAt, "expiry")
    }
  }
  return found.sort((a, b) => a.at.epochMilliseconds - b.at.epochMilliseconds)
}

const millisOf = (instant: DateTime.Utc | undefined) =>
  instant === undefined ? Number.POSITIVE_INFINITY : DateTime.toEpochMillis(instant)
