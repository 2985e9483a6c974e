/**
 * What time it is at a provider. Its answers say so (`Date`, RFC 9110 section 6.6.1), to the second, and it was written
 * between a request's departure and its answer's arrival: the round trip bounds how wrong that can be.
 *
 * A provider that lies about the time can make its own tokens look due, ended, or valid for up to a day longer, and so cause
 * renewals and refusals. It signs those tokens and could as well have written other times into them; nothing else depends
 * on this: not signatures, not lifetimes (`expires_in` is counted from the request on this machine's clock), not waits.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { type Moment, moment } from "../Moment.ts"

/** How far a clock is ahead of ours (behind: negative), give or take `uncertainty`; both in milliseconds. */
export interface Measure {
  readonly offset: number
  readonly uncertainty: number
  readonly at: Moment
}

/** What an answer says whose `Date` is `date` milliseconds since 1970. */
export const measure = (sent: Moment, received: Moment, date: number): Measure => {
  // Were they to disagree, the clock was set or the machine slept meanwhile: the longer one bounds it still.
  const roundTrip = Math.max(received.wall - sent.wall, received.steady - sent.steady, 0)
  return { offset: date + 500 - (received.wall - roundTrip / 2), uncertainty: roundTrip / 2 + 1000, at: received }
}

// What clocks are seen to drift apart: 100 parts in a million.
const drift = 1e-4

/**
 * How uncertain a measure has become: clocks drift, and where the wall clock and the steady one disagree about the time
 * since, our clock was set or the machine slept: then nothing is known until the next answer.
 */
const uncertaintyAt = ({ at, uncertainty }: Measure, now: Moment): number => {
  const passed = now.steady - at.steady
  return uncertainty + Math.abs(now.wall - at.wall - passed) + Math.max(passed, 0) * drift
}

/** The more certain one of what was known and what is new. */
export const better = (known: Measure | undefined, next: Measure): Measure =>
  known === undefined || uncertaintyAt(next, next.at) <= uncertaintyAt(known, next.at) ? next : known

// Beyond it, certificates do not hold either, so it is no clock of anybody's.
const mostBelieved = Duration.toMillis("1 day")
// A measure that is more uncertain says nothing.
const mostUncertain = Duration.toMillis("5 seconds")

/** The offset to count with: 0 where it may as well be none; nothing where it is too uncertain, or beyond belief. */
export const offsetAt = (known: Measure, now: Moment): number | undefined => {
  const uncertainty = uncertaintyAt(known, now)
  const size = Math.abs(known.offset)
  if (uncertainty > mostUncertain || size > mostBelieved) return undefined
  return size > uncertainty ? Math.round(known.offset) : 0
}

export interface ProviderClock {
  /** Milliseconds the provider's clock is ahead of this machine's, 0 where they agree; nothing where that is not known. */
  readonly offset: Effect.Effect<number | undefined>
  /** The time there, in milliseconds since 1970; this machine's where nothing is known. */
  readonly now: Effect.Effect<number>
  /**
   * The time on the machine that found the provider's clock so far ahead of its own: what it wrote down is held against
   * that. This machine's, where either offset is unknown or both may be of one clock.
   */
  readonly nowOn: (machine: { readonly clockOffset?: number }) => Effect.Effect<number>
}

/** A client that learns from every answer what time it is there. `host` is who a warning speaks of. */
export const observing = (http: HttpClient.HttpClient, host: string) =>
  Effect.sync((): { readonly http: HttpClient.HttpClient; readonly clock: ProviderClock } => {
    let known: Measure | undefined
    let warned = false
    const learn = Effect.fnUntraced(function* (measured: Measure) {
      known = better(known, measured)
      if (warned || Math.abs(measured.offset) - measured.uncertainty < worthAWarning) return
      warned = true
      yield* Effect.logWarning(warning(measured.offset, host))
    })
    const offsetNow = (now: Moment) => (known === undefined ? undefined : offsetAt(known, now))
    return {
      http: HttpClient.transform(http, (answer, request) =>
        Effect.gen(function* () {
          const sent = yield* moment
          const response = yield* answer
          const date = dateOf(request, response)
          if (date !== undefined) yield* learn(measure(sent, yield* moment, date))
          return response
        })
      ),
      clock: {
        offset: Effect.map(moment, offsetNow),
        now: Effect.map(moment, (now) => now.wall + (offsetNow(now) ?? 0)),
        nowOn: ({ clockOffset }) =>
          Effect.map(moment, (now) => {
            const own = offsetNow(now)
            const apart = own === undefined || clockOffset === undefined ? 0 : own - clockOffset
            const size = Math.abs(apart)
            return size > 2 * mostUncertain && size <= mostBelieved ? now.wall + apart : now.wall
          })
      }
    }
  })

/** When an answer was made, if it was made for us: a cache repeats the `Date` of long ago, and a gateway has its own. */
const dateOf = (
  { method }: HttpClientRequest.HttpClientRequest,
  { headers, status }: HttpClientResponse.HttpClientResponse
) => {
  const wasKept = "age" in headers || (method !== "POST" && !/\bno-store\b/i.test(headers["cache-control"] ?? ""))
  const date = Date.parse(headers["date"] ?? "")
  return wasKept || status < 200 || status >= 500 || Number.isNaN(date) ? undefined : date
}

const worthAWarning = Duration.toMillis("1 minute")

const warning = (offset: number, host: string) => {
  const about = Duration.format(Duration.seconds(Math.round(Math.abs(offset) / 1000)))
  const allowed =
    Math.abs(offset) > mostBelieved ? "That is too much to allow for" : "Keyfob allows for it, others will not"
  return `this machine's clock is ${about} ${offset > 0 ? "behind" : "ahead of"} the one of ${host}. ${allowed}: set it, for example with timedatectl set-ntp true`
}
