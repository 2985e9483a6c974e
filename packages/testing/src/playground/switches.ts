/** What can be switched on the state page: each form as data, and what it does to the provider. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Schema from "effect/Schema"
import * as Fault from "../Fault.ts"
import type { Inside, SimulatedProvider } from "../SimulatedProvider.ts"
import { clockOf, type Trouble } from "../Trouble.ts"

const whole = (minimum: number, maximum: number) =>
  Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum, maximum }))

/** The bounds of the numbers, for the forms as well. */
export const bounds = {
  times: { min: 1, max: 100 },
  seconds: { min: 1, max: 3600 },
  offset: { min: -86_400, max: 86_400 }
} as const

const Times = whole(bounds.times.min, bounds.times.max)
const Seconds = whole(bounds.seconds.min, bounds.seconds.max)

/** What the next token requests may meet, by what the button says. */
const misbehaviours = {
  "503": () => Fault.answer({ status: 503 }),
  "429": (seconds: number) =>
    Fault.answer({
      status: 429,
      headers: { "retry-after": String(seconds) },
      body: { error: "temporarily_unavailable" }
    }),
  "no connection": () => Fault.resetBefore,
  "lost answer": () => Fault.resetAfter,
  "half an answer": () => Fault.half,
  late: (seconds: number) => Fault.delay(Duration.seconds(seconds)),
  "no answer": () => Fault.hang
} as const satisfies Readonly<Record<string, (seconds: number) => Fault.Misbehaviour>>

type Misbehaving = keyof typeof misbehaviours

export const buttons = {
  "503": "503",
  "429": "429 with Retry-After",
  "no connection": "Connection breaks",
  "lost answer": "Answer gets lost",
  "half an answer": "Half an answer",
  late: "Late answer",
  "no answer": "No answer at all"
} as const satisfies Readonly<Record<Misbehaving, string>>

// Object.keys forgets which keys there are; a constant has no others.
const names = Object.keys(misbehaviours) as ReadonlyArray<Misbehaving>

export const Switch = Schema.Union([
  Schema.Struct({
    switch: Schema.Literal("token"),
    does: Schema.Literals(names),
    of: Schema.Literals(["every grant", "refresh_token"]),
    times: Times,
    seconds: Seconds
  }),
  Schema.Struct({
    switch: Schema.Literal("outage"),
    as: Schema.Literals(["unreachable", "unavailable"]),
    seconds: Seconds
  }),
  Schema.Struct({ switch: Schema.Literal("clock"), offset: whole(bounds.offset.min, bounds.offset.max) }),
  Schema.Struct({ switch: Schema.Literals(["recover", "rotate", "revoke", "expire", "forget"]) })
])

/** The section of the state page where each is seen to have done something. */
export const seenAt = {
  token: "trouble",
  outage: "trouble",
  clock: "trouble",
  recover: "trouble",
  rotate: "keys",
  revoke: "families",
  expire: "tokens",
  forget: "requests"
} as const satisfies Readonly<Record<(typeof Switch.Type)["switch"], string>>

export const turn = Effect.fnUntraced(function* (
  it: typeof Switch.Type,
  provider: SimulatedProvider["Service"],
  inside: Inside
) {
  switch (it.switch) {
    case "token": {
      const match = { endpoint: "token", times: it.times } as const
      const among = it.of === "refresh_token" ? { ...match, grant: it.of } : match
      return yield* provider.faults(Fault.onRequest(among, misbehaviours[it.does](it.seconds)))
    }
    case "outage":
      return yield* provider.outage({ for: Duration.seconds(it.seconds), as: it.as })
    case "clock": {
      // Clocks add up; here one is set.
      yield* inside.changeTrouble((trouble) => trouble.filter(({ fault }) => fault._tag !== "Clock"))
      if (it.offset > 0) yield* provider.faults(Fault.clockAhead(Duration.seconds(it.offset)))
      if (it.offset < 0) yield* provider.faults(Fault.clockBehind(Duration.seconds(-it.offset)))
      return
    }
    case "recover":
      return yield* provider.recover
    case "rotate":
      return yield* provider.rotateKeys
    case "revoke":
      return yield* provider.revokeAll
    case "expire":
      return yield* inside.change((state, now) => ({
        ...state,
        accessTokens: HashMap.map(state.accessTokens, (token) => ({
          ...token,
          expiresAt: Math.min(token.expiresAt, now)
        }))
      }))
    case "forget":
      return yield* provider.clearRequests
  }
})

/** How many milliseconds the provider's clock is off. */
export const offset = (trouble: Trouble) => Effect.map(Clock.currentTimeMillis, (now) => clockOf(trouble, now) - now)
