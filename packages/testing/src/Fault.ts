/**
 * Trouble as data. A fault says which requests it meets and what becomes of them; durations count from the moment it is
 * given to the provider.
 *
 * ```ts
 * yield* idp.faults(
 *   Fault.onRequest({ grant: "refresh_token", nth: 2 }, Fault.answer({ status: 503 })),
 *   Fault.outage({ from: "3 days", for: "6 hours" })
 * )
 * ```
 */
import * as Duration from "effect/Duration"
import * as Chance from "./model/Chance.ts"
import type { Endpoint } from "./model/Machine.ts"

/** Which requests: all members that are given must fit. */
export interface Match {
  readonly endpoint?: Endpoint
  /** The request's `grant_type`. */
  readonly grant?: string
  readonly client?: string
}

/** What becomes of one request. */
export type Misbehaviour =
  /** The provider does not see it; this is the answer. A body that is no string goes out as JSON. */
  | {
      readonly _tag: "Answer"
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: unknown
    }
  /** The provider sees it this much later. */
  | { readonly _tag: "Delay"; readonly by: Duration.Input }
  /** There is never an answer. `seen`: the provider did its work. */
  | { readonly _tag: "Hang"; readonly seen: boolean }
  /** The connection breaks. `seen`: after the provider did its work, so that its answer is lost. */
  | { readonly _tag: "Reset"; readonly seen: boolean }
  /** The answer breaks off in the middle of its body. */
  | { readonly _tag: "Half" }
  /** The network delivers the request twice; the first answer arrives. */
  | { readonly _tag: "Twice" }

export type Fault =
  /** Meets the `nth` request that matches, and the `times - 1` matching ones after it. */
  | {
      readonly _tag: "OnRequest"
      readonly match: Match
      readonly nth: number
      readonly times: number
      readonly does: Misbehaviour
    }
  /** Nobody gets through: refused connections, or 503. */
  | {
      readonly _tag: "Outage"
      readonly from: Duration.Input
      readonly for: Duration.Input
      readonly as: "unreachable" | "unavailable"
    }
  /** More than `limit` matching requests in each `per`: 429 with `Retry-After`. */
  | { readonly _tag: "Quota"; readonly match: Match; readonly limit: number; readonly per: Duration.Input }
  /** The provider's clock is wrong by this many milliseconds (negative: behind), from then on. */
  | { readonly _tag: "Clock"; readonly from: Duration.Input; readonly millis: number }
  /** The signing keys are rotated at that instant. */
  | { readonly _tag: "KeyRotation"; readonly after: Duration.Input }

export const answer = (options: {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}): Misbehaviour => ({ _tag: "Answer", ...options })

export const delay = (by: Duration.Input): Misbehaviour => ({ _tag: "Delay", by })
export const hang: Misbehaviour = { _tag: "Hang", seen: false }
/** The provider did its work, and the client waits for ever. */
export const hangAfter: Misbehaviour = { _tag: "Hang", seen: true }
/** The provider never saw the request. */
export const resetBefore: Misbehaviour = { _tag: "Reset", seen: false }
/** The provider did its work; its answer is lost. */
export const resetAfter: Misbehaviour = { _tag: "Reset", seen: true }
export const half: Misbehaviour = { _tag: "Half" }
export const twice: Misbehaviour = { _tag: "Twice" }

/** What becomes of the nth request that matches (default: the next), and of `times` in a row (default: one). */
export const onRequest = (
  match: Match & { readonly nth?: number; readonly times?: number },
  does: Misbehaviour
): Fault => {
  const { nth = 1, times = 1, ...rest } = match
  return { _tag: "OnRequest", match: rest, nth, times, does }
}

/** From then on, for that long. Default: from now; connections are refused. */
export const outage = (options: {
  readonly from?: Duration.Input
  readonly for: Duration.Input
  readonly as?: "unreachable" | "unavailable"
}): Fault => ({ _tag: "Outage", from: options.from ?? 0, for: options.for, as: options.as ?? "unreachable" })

export const quota = (options: Match & { readonly limit: number; readonly per: Duration.Input }): Fault => {
  const { limit, per, ...match } = options
  return { _tag: "Quota", match, limit, per }
}

export const clockAhead = (by: Duration.Input, from: Duration.Input = 0): Fault => ({
  _tag: "Clock",
  from,
  millis: Duration.toMillis(by)
})

export const clockBehind = (by: Duration.Input, from: Duration.Input = 0): Fault => ({
  _tag: "Clock",
  from,
  millis: -Duration.toMillis(by)
})

export const keyRotation = (after: Duration.Input): Fault => ({ _tag: "KeyRotation", after })

/**
 * A random plan, the same for the same seed: `count` faults on token requests and outages of up to an hour, spread
 * over `over`. Every one of them passes, so that a client must come out of it well.
 */
export const random = (
  seed: string,
  options: { readonly over: Duration.Input; readonly count: number }
): ReadonlyArray<Fault> => {
  const span = Duration.toMillis(options.over)
  let chance = Chance.seeded(`faults ${seed}`)
  const draw = (below: number) => {
    const [value, after] = Chance.below(chance, below)
    chance = after
    return value
  }
  return Array.from({ length: options.count }, (): Fault => {
    const kind = draw(randomKinds.length + 1)
    const does = randomKinds[kind]
    if (does === undefined) return outage({ from: draw(span), for: (1 + draw(60)) * 60_000 })
    return onRequest({ endpoint: "token", nth: 1 + draw(options.count * 2) }, does)
  })
}

// No reset after processing among them: without a grace interval, that ends a family by design.
const randomKinds: ReadonlyArray<Misbehaviour> = [
  answer({ status: 503, headers: { "retry-after": "2" } }),
  answer({ status: 500 }),
  answer({ status: 429, headers: { "retry-after": "5" } }),
  delay("3 seconds"),
  hang,
  resetBefore
]

/** A fault that was given to a provider: its instants are absolute, and it counts. */
interface Armed {
  readonly fault: Fault
  readonly at: number
  readonly met: number
  /** Start of the quota's present period. */
  readonly period: number
}

/** All the trouble a provider is in. */
export type Trouble = ReadonlyArray<Armed>

export const arm = (trouble: Trouble, faults: ReadonlyArray<Fault>, now: number): Trouble => [
  ...trouble,
  ...faults.map((fault) => ({ fault, at: now, met: 0, period: now }))
]

/** What is known of a request before it is processed. */
export interface Facts {
  readonly endpoint: Endpoint | undefined
  readonly grant: string | undefined
  readonly client: string | undefined
}

/** What a request meets: nothing, no provider, or a misbehaviour. */
export type Verdict = Misbehaviour | { readonly _tag: "None" } | { readonly _tag: "Unreachable" }

/** Holds a request against the trouble; what counts has counted it. The first fault that has something to say wins. */
export const judge = (trouble: Trouble, facts: Facts, now: number): readonly [Trouble, Verdict] => {
  let verdict: Verdict = { _tag: "None" }
  const after = trouble.map((armed): Armed => {
    const [next, said] = meet(armed, facts, now)
    if (verdict._tag === "None") verdict = said
    return next
  })
  return [after, verdict]
}

const none = { _tag: "None" } as const

const meet = (armed: Armed, facts: Facts, now: number): readonly [Armed, Verdict] => {
  const { fault } = armed
  switch (fault._tag) {
    case "OnRequest": {
      if (!fits(fault.match, facts)) return [armed, none]
      const met = armed.met + 1
      return [{ ...armed, met }, met >= fault.nth && met < fault.nth + fault.times ? fault.does : none]
    }
    case "Outage": {
      const from = armed.at + Duration.toMillis(fault.from)
      if (now < from || now >= from + Duration.toMillis(fault.for)) return [armed, none]
      return [armed, fault.as === "unreachable" ? { _tag: "Unreachable" } : answer({ status: 503 })]
    }
    case "Quota": {
      if (!fits(fault.match, facts)) return [armed, none]
      const per = Duration.toMillis(fault.per)
      const period = armed.period + Math.floor((now - armed.period) / per) * per
      const met = period === armed.period ? armed.met + 1 : 1
      const wait = String(Math.ceil((period + per - now) / 1000))
      const spent = answer({ status: 429, headers: { "retry-after": wait } })
      return [{ ...armed, period, met }, met > fault.limit ? spent : none]
    }
    default:
      return [armed, none]
  }
}

/** The trouble that is not over, in words, one line each. */
export const print = (trouble: Trouble, now: number): ReadonlyArray<string> =>
  trouble.flatMap(({ at, fault, met }) => {
    switch (fault._tag) {
      case "OnRequest": {
        const before = Math.max(0, fault.nth - 1 - met)
        const left = fault.nth + fault.times - 1 - met - before
        if (left <= 0) return []
        const which = `${left === 1 ? "request" : `${left} requests`}${nameOf(fault.match)}`
        return [`the next ${which}${before === 0 ? "" : `, after ${before} more`}: ${does(fault.does)}`]
      }
      case "Outage": {
        const from = at + Duration.toMillis(fault.from)
        const end = from + Duration.toMillis(fault.for)
        if (now >= end) return []
        const what = fault.as === "unreachable" ? "every connection breaks" : "every answer is 503"
        return [
          now < from ? `${what} in ${span(from - now)}, for ${span(end - from)}` : `${what} for ${span(end - now)}`
        ]
      }
      case "Quota":
        return [
          `no more than ${fault.limit} requests${nameOf(fault.match)} in ${span(Duration.toMillis(fault.per))}: 429`
        ]
      case "Clock": {
        const from = at + Duration.toMillis(fault.from)
        const wrong = `the clock is ${span(Math.abs(fault.millis))} ${fault.millis < 0 ? "behind" : "ahead"}`
        return [now < from ? `${wrong} in ${span(from - now)}` : wrong]
      }
      case "KeyRotation": {
        const wait = at + Duration.toMillis(fault.after) - now
        return wait <= 0 ? [] : [`the keys are rotated in ${span(wait)}`]
      }
    }
  })

const nameOf = ({ client, endpoint, grant }: Match) => {
  const names = [endpoint, grant, client].filter((name) => name !== undefined)
  return names.length === 0 ? "" : ` (${names.join(", ")})`
}

const does = (misbehaviour: Misbehaviour): string => {
  switch (misbehaviour._tag) {
    case "Answer": {
      const wait = misbehaviour.headers?.["retry-after"]
      return `answered ${misbehaviour.status}${wait === undefined ? "" : `, Retry-After ${wait}`}`
    }
    case "Delay":
      return `${span(Duration.toMillis(misbehaviour.by))} late`
    case "Hang":
      return misbehaviour.seen ? "processed, never answered" : "never answered"
    case "Reset":
      return misbehaviour.seen ? "processed, the answer is lost" : "the connection breaks"
    case "Half":
      return "half an answer"
    case "Twice":
      return "delivered twice"
  }
}

/** To the second, rounded up: what is left is never nothing. */
const span = (millis: number) => Duration.format(Duration.seconds(Math.ceil(millis / 1000)))

const fits = ({ client, endpoint, grant }: Match, facts: Facts) =>
  (endpoint === undefined || endpoint === facts.endpoint) &&
  (grant === undefined || grant === facts.grant) &&
  (client === undefined || client === facts.client)

/** What the provider takes for now. */
export const clockOf = (trouble: Trouble, now: number): number => {
  let time = now
  for (const { at, fault } of trouble) {
    if (fault._tag === "Clock" && now >= at + Duration.toMillis(fault.from)) time += fault.millis
  }
  return time
}
