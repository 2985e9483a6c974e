/**
 * A test clock that waits for promises. `TestClock` lets time pass as soon as the fibers it woke have suspended, and a
 * fiber that awaits a promise (jose verifying a signature) has: the clock would run on while it works, and what it then
 * looks at has expired. This one moves from sleep to sleep, and on only when those it woke sleep again or have ended. It
 * knows of Keyfob's own promises (`Promised` of the core) and of the provider's; for others it waits a while.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as TestClock from "effect/testing/TestClock"
import { Promised } from "keyfob"

export interface SettledClock extends TestClock.TestClock {
  /** Time stands still while the effect runs. */
  readonly hold: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Lets time pass, sleep by sleep, until the fiber has ended; not longer than `limit` milliseconds. */
  readonly runOut: (fiber: Fiber.Fiber<unknown, unknown>, limit: number) => Effect.Effect<void>
}

const isTestClock = (clock: Clock.Clock): clock is TestClock.TestClock => "adjust" in clock && "withLive" in clock
const isSettled = (clock: Clock.Clock): clock is SettledClock => "runOut" in clock

/** The clock in context, if it is of this kind. */
export const current: Effect.Effect<SettledClock | undefined> = Clock.clockWith((clock) =>
  Effect.succeed(isSettled(clock) ? clock : undefined)
)

/**
 * Passes after one trip through the queue where jose's work waits as well. Trips are what this clock counts instead of
 * milliseconds: on a busy machine they take as much longer as the promises it waits for.
 */
const trip = Effect.promise(() => crypto.subtle.digest("SHA-256", new Uint8Array(1024)))

/** Who waits for longer than this, while nothing happens, does not wait for a promise. */
const manyTrips = 2000
/**
 * The same for one that most probably waits for another fiber, which has gone to sleep; and before the clock moves at all,
 * when nobody has been woken yet and whoever was just forked may be at work.
 */
const fewTrips = 32
/**
 * Turns of the queue of fibers, in which whom a woken fiber forked comes to sleep, or to a request. When only the clock has
 * moved the test clock has seen to that already, and one turn is for promises that were kept before.
 */
const turns = { afterMove: 1, afterPromise: 5 }

/**
 * Makes one of the test clock in context, and has it stand still around Keyfob's own promises; another clock, and one that
 * is of this kind already, stay as they are.
 */
export const make: Effect.Effect<Context.Context<never>> = Clock.clockWith((clock) =>
  Effect.sync(() => {
    const settled = isTestClock(clock) && !isSettled(clock) ? settle(clock) : clock
    const context = Context.make(Clock.Clock, settled)
    return isSettled(settled) ? Context.add(context, Promised.Around, settled.hold) : context
  })
)

interface Sleep {
  readonly until: number
  readonly fiber: object
}

const settle = (inner: TestClock.TestClock): SettledClock => {
  const sleeps = new Set<Sleep>()
  // What happens is numbered: who was woken when, and who slept for the first time when.
  let activity = 0
  const woken = new Map<Fiber.Fiber<unknown, unknown>, number>()
  // Who waited for so long that it is not for a promise. They count again when somebody they may wait for has ended.
  const letBe = new Map<Fiber.Fiber<unknown, unknown>, number>()
  let movedAt = 0
  const firstSlept = new WeakMap<object, number>()
  let settledAt = -1
  let holds = 0
  const released = Latch.makeUnsafe(true)

  const active = () => {
    activity++
  }
  const sleep = (duration: Duration.Duration) =>
    Effect.withFiber<void>((fiber) => {
      active()
      const millis = Duration.toMillis(duration)
      if (millis <= 0) return inner.sleep(duration)
      const entry = { until: inner.currentTimeMillisUnsafe() + millis, fiber }
      sleeps.add(entry)
      woken.delete(fiber)
      letBe.delete(fiber)
      if (!firstSlept.has(fiber)) firstSlept.set(fiber, activity)
      return Effect.onExit(inner.sleep(duration), (exit) =>
        Effect.sync(() => {
          active()
          sleeps.delete(entry)
          if (exit._tag === "Success") woken.set(fiber, movedAt)
        })
      )
    })

  const isBusy = () => {
    for (const fiber of woken.keys()) {
      if (fiber.pollUnsafe() === undefined) continue
      woken.delete(fiber)
      for (const [other, wokenAt] of letBe) woken.set(other, wokenAt)
      letBe.clear()
    }
    return woken.size > 0
  }

  /** Whether a fiber that came up after that waking sleeps: it is most probably the one that is waited for. */
  const isExplained = (wokenAt: number) => [...sleeps].some(({ fiber }) => (firstSlept.get(fiber) ?? 0) > wokenAt)

  /** Nobody who was woken is at work, nor anybody they forked, who go unseen. */
  const isQuiet = (turns: number) =>
    Effect.gen(function* () {
      const seen = activity
      for (let turn = 0; turn < turns; turn++) {
        yield* Effect.yieldNow
        if (activity !== seen || holds > 0) return false
      }
      return !isBusy()
    })

  /** Until everybody who was woken sleeps or has ended; who does neither is let be once nothing has happened for long. */
  const settled = (unknown: boolean) =>
    Effect.gen(function* () {
      let seen = activity
      let trips = 0
      let quietTurns = turns.afterMove
      for (;;) {
        if (!unknown && (yield* isQuiet(quietTurns))) break
        quietTurns = turns.afterPromise
        if (holds > 0) yield* released.await
        else if (activity === seen) yield* trip
        if (activity !== seen || holds > 0) {
          seen = activity
          trips = 0
          continue
        }
        trips++
        if (trips >= fewTrips && [...woken.values()].every(isExplained)) break
        if (trips < manyTrips) continue
        for (const [fiber, wokenAt] of woken) letBe.set(fiber, wokenAt)
        woken.clear()
        break
      }
      settledAt = activity
    })

  const nextSleep = () => {
    let next = Number.POSITIVE_INFINITY
    for (const { until } of sleeps) next = Math.min(next, until)
    return next
  }

  // To the instant and not by a difference: of fractions of a millisecond, that might fall short for ever.
  const moveTo = (timestamp: number) =>
    Effect.suspend(() => {
      movedAt = activity
      return inner.setTime(Math.max(timestamp, inner.currentTimeMillisUnsafe()))
    })

  const passTo = (end: number) =>
    Effect.gen(function* () {
      yield* trip // fibers that were just forked start
      yield* settled(activity !== settledAt)
      for (let next = nextSleep(); next <= end; next = nextSleep()) {
        yield* moveTo(next)
        yield* settled(false)
      }
      yield* moveTo(end)
    })

  const runOut: SettledClock["runOut"] = (fiber, limit) =>
    Effect.gen(function* () {
      const end = inner.currentTimeMillisUnsafe() + limit
      const watch = () => {
        if (![...sleeps].some((sleep) => sleep.fiber === fiber)) woken.set(fiber, activity)
      }
      watch()
      yield* settled(false)
      while (fiber.pollUnsafe() === undefined) {
        const next = nextSleep()
        if (next > end) return
        yield* moveTo(next)
        watch()
        yield* settled(false)
      }
    })

  return {
    currentTimeMillisUnsafe: () => {
      active()
      return inner.currentTimeMillisUnsafe()
    },
    currentTimeNanosUnsafe: () => inner.currentTimeNanosUnsafe(),
    monotonicTimeNanosUnsafe: () => inner.monotonicTimeNanosUnsafe(),
    currentTimeMillis: Effect.sync(() => {
      active()
      return inner.currentTimeMillisUnsafe()
    }),
    currentTimeNanos: inner.currentTimeNanos,
    monotonicTimeNanos: inner.monotonicTimeNanos,
    sleep,
    withLive: inner.withLive,
    adjust: (duration) =>
      Effect.suspend(() =>
        passTo(inner.currentTimeMillisUnsafe() + Duration.toMillis(Duration.fromInputUnsafe(duration)))
      ),
    setTime: (timestamp) =>
      timestamp < inner.currentTimeMillisUnsafe() ? inner.setTime(timestamp) : passTo(timestamp),
    hold: (effect) =>
      Effect.suspend(() => {
        holds++
        released.closeUnsafe()
        return Effect.ensuring(
          effect,
          Effect.sync(() => {
            holds--
            if (holds === 0) released.openUnsafe()
            active()
          })
        )
      }),
    runOut
  }
}
