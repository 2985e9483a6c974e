import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { isTransient, ProviderUnavailable } from "../AuthError.ts"
import { later, type Moment, moment } from "../Moment.ts"
import type { TokenError } from "./Renewal.ts"

/** The last attempt that failed, and until when the provider is left alone. */
export interface Trouble {
  readonly failure: TokenError
  /** By everybody: it asked for that. */
  readonly until: Moment
  /** By renewals in the background, which nobody waits for. */
  readonly softUntil: Moment
  /** How many had failed before it, one after the other. */
  readonly times: number
}

/** A store that cannot be written or somebody else's page in the network says no more about the token than an outage does. */
export const passes = (failure: TokenError): boolean =>
  isTransient(failure) || failure._tag === "StoreFailed" || failure._tag === "AnswerRejected"

/** How long a caller's failed attempt holds for the calls that follow, while the old token serves. In milliseconds. */
export const pauseWhileServing = 5000

/** The trouble after a failure: twice as long a rest for each one more, somewhere in its second half. */
export const after = Effect.fnUntraced(function* (failure: TokenError, last: Trouble | undefined) {
  const asked = failure._tag === "ProviderUnavailable" ? failure.retryAfter : undefined
  const wait = asked === undefined ? 0 : Duration.toMillis(Duration.min(asked, longestRest))
  const times = last === undefined ? 0 : last.times + 1
  const pause = Math.min(pauseWhileServing * 2 ** times, longestPause) * (0.5 + 0.5 * (yield* Random.next))
  const now = yield* moment
  return { failure, until: later(now, wait), softUntil: later(now, Math.max(wait, pause)), times }
})

/** The trouble as it is told again: of what the provider asked for, the rest. Who waits for that waits no longer than it asked. */
export const at = (trouble: Trouble, now: Moment): Trouble => {
  const { failure, until } = trouble
  if (failure._tag !== "ProviderUnavailable" || failure.retryAfter === undefined) return trouble
  const retryAfter = Duration.millis(Math.min(until.wall - now.wall, until.steady - now.steady))
  return { ...trouble, failure: new ProviderUnavailable({ ...failure, retryAfter }) }
}

// A Retry-After of days is a mistake at the other end.
const longestRest = Duration.hours(1)
const longestPause = 300_000
