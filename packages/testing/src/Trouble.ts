/** The trouble a provider is in: faults at work, which know what they have met. */
import * as Duration from "effect/Duration"
import { answer, type Fault, type Match, type Misbehaviour } from "./Fault.ts"
import type { Lie } from "./model/Lie.ts"
import type { Endpoint } from "./model/Machine.ts"

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
  /** Of its query and form. */
  readonly params: ReadonlyMap<string, string>
}

/** What a request meets: nothing, no provider, or a misbehaviour. */
type Met = Misbehaviour | { readonly _tag: "None" } | { readonly _tag: "Unreachable" }

/** What becomes of a request, and what the answer to it says wrongly. */
export interface Verdict {
  readonly does: Exclude<Met, { readonly _tag: "Lie" }>
  readonly lie: Lie
}

/**
 * Holds a request against the trouble; what counts has counted it. The first fault that has something to say wins; lies go
 * with it, and with each other where they are about different parts.
 */
export const judge = (trouble: Trouble, facts: Facts, now: number): readonly [Trouble, Verdict] => {
  let does: Verdict["does"] = none
  let lie: Lie = {}
  const after = trouble.map((armed): Armed => {
    const [next, met] = meet(armed, facts, now)
    if (met._tag === "Lie") lie = { ...met.lie, ...lie }
    else if (does._tag === "None") does = met
    return next
  })
  return [after, { does, lie }]
}

const none = { _tag: "None" } as const

const meet = (armed: Armed, facts: Facts, now: number): readonly [Armed, Met] => {
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
    case "Lie":
      return `${misbehaviour.lie.callback !== undefined ? "the callback" : misbehaviour.lie.idToken !== undefined ? "the ID token" : "the answer"} is wrong`
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
