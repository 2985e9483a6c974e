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
import type { IdTokenLie, Lie } from "./model/Lie.ts"
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
  /** The provider does its work, and says something else. */
  | { readonly _tag: "Lie"; readonly lie: Lie }

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

/**
 * A JSON answer with other members than the provider has; an `undefined` one is left out.
 *
 * ```ts
 * Fault.onRequest({ endpoint: "userinfo" }, Fault.altered({ sub: "mallory" }))
 * Fault.onRequest({ grant: "refresh_token" }, Fault.altered({ expires_in: "3600", refresh_token: undefined }))
 * ```
 */
export const altered = (members: Readonly<Record<string, unknown>>): Misbehaviour => ({ _tag: "Lie", lie: { members } })

/**
 * An authorization response with other parameters than the provider has; an `undefined` one is left out. It is the
 * answer to the authorization request that matches, however long the person takes, whatever the response mode.
 *
 * ```ts
 * Fault.onRequest({ endpoint: "authorization" }, Fault.callback({ state: "wrong" }))
 * Fault.onRequest({ endpoint: "authorization" }, Fault.callback({ iss: "https://mix-up.test" })) // RFC 9207
 * Fault.onRequest({ endpoint: "authorization" }, Fault.callback({ code: "somebody else's" }))
 * ```
 */
export const callback = (params: Readonly<Record<string, string | undefined>>): Misbehaviour => ({
  _tag: "Lie",
  lie: { callback: params }
})

/**
 * A token answer whose ID token has other claims (an `undefined` one is left out; `{ exp: 1 }` is long over), another
 * header, or no signature that fits.
 *
 * ```ts
 * Fault.onRequest({ grant: "authorization_code" }, Fault.idToken({ claims: { nonce: "wrong" } }))
 * Fault.onRequest({ grant: "authorization_code" }, Fault.idToken({ signature: "none" }))
 * Fault.onRequest({ endpoint: "token" }, Fault.idToken({ header: { kid: undefined } }))
 * ```
 */
export const idToken = (lie: IdTokenLie): Misbehaviour => ({ _tag: "Lie", lie: { idToken: lie } })

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
