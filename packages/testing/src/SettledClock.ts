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
import * as Scheduler from "effect/Scheduler"
import * as Semaphore from "effect/Semaphore"
import type * as TestClock from "effect/testing/TestClock"
import { Promised } from "keyfob"

type AnyFiber = Fiber.Fiber<unknown, unknown>

export interface SettledClock extends TestClock.TestClock {
  /** Time stands still while the effect runs. */
  readonly hold: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Starts a fiber, which counts as at work from here on. */
  readonly begin: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, never, R>
  /**
   * Lets time pass, sleep by sleep, until a fiber that was begun has ended; not longer than `limit` milliseconds. Gives
   * whether somebody sleeps then: if nobody does, and it has not ended, time is not what it waits for.
   */
  readonly runOut: (fiber: AnyFiber, limit: number) => Effect.Effect<boolean>
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
 * for one that was begun since it last did and has not slept yet.
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
export const make: Effect.Effect<Context.Context<never>> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  if (isSettled(clock)) return Context.make(Clock.Clock, clock).pipe(Context.add(Promised.Around, clock.hold))
  if (!isTestClock(clock)) return Context.make(Clock.Clock, clock)
  const atWork = new Set<AnyFiber>()
  const settled = settle(clock, atWork)
  return Context.make(Clock.Clock, settled).pipe(
    Context.add(Promised.Around, settled.hold),
    Context.add(Scheduler.Scheduler, watched(yield* Scheduler.Scheduler, atWork))
  )
})

/** Adds whoever does something: a scheduler is asked before each operation. */
const watched = (scheduler: Scheduler.Scheduler, atWork: Set<AnyFiber>): Scheduler.Scheduler => ({
  executionMode: scheduler.executionMode,
  makeDispatcher: () => scheduler.makeDispatcher(),
  shouldYield: (fiber) => {
    atWork.add(fiber)
    return scheduler.shouldYield(fiber)
  }
})

/** Somebody who was woken, and has not slept since. */
interface Awake {
  readonly wokenAt: number
  /** How many trips they are waited for. */
  readonly patience: number
}

const settle = (inner: TestClock.TestClock, atWork: Set<AnyFiber>): SettledClock => {
  const sleeps = new Map<AnyFiber, number>()
  // What happens is numbered: who was woken when, and who slept for the first time when.
  let activity = 0
  const woken = new Map<AnyFiber, Awake>()
  // Who waited for so long that it is not for a promise. They count again when they do something, and are waited for half as
  // long: who reads from a queue does so again and again.
  const letBe = new Map<AnyFiber, Awake>()
  let movedAt = 0
  const firstSlept = new WeakMap<AnyFiber, number>()
  let holds = 0
  const released = Latch.makeUnsafe(true)
  // Of two that move the clock, the second must not set it back.
  const moving = Semaphore.makeUnsafe(1)

  const active = () => {
    activity++
  }
  const sleep = (duration: Duration.Duration) =>
    Effect.withFiber<void>((fiber) => {
      active()
      const millis = Duration.toMillis(duration)
      if (millis <= 0) return inner.sleep(duration)
      sleeps.set(fiber, inner.currentTimeMillisUnsafe() + millis)
      woken.delete(fiber)
      letBe.delete(fiber)
      if (!firstSlept.has(fiber)) firstSlept.set(fiber, activity)
      return Effect.onExit(inner.sleep(duration), (exit) =>
        Effect.sync(() => {
          active()
          sleeps.delete(fiber)
          if (exit._tag === "Success") woken.set(fiber, { wokenAt: movedAt, patience: manyTrips })
        })
      )
    })

  const isBusy = () => {
    for (const [fiber, awake] of letBe) {
      if (!atWork.has(fiber)) continue
      letBe.delete(fiber)
      woken.set(fiber, awake)
    }
    for (const fiber of woken.keys()) {
      if (fiber.pollUnsafe() !== undefined) woken.delete(fiber)
    }
    return woken.size > 0
  }

  /** How many are enough. A fiber that came up after a waking and sleeps is most probably the one that is waited for. */
  const enoughTrips = () => {
    let newest = 0
    for (const fiber of sleeps.keys()) newest = Math.max(newest, firstSlept.get(fiber) ?? 0)
    let trips = fewTrips
    for (const { patience, wokenAt } of woken.values()) if (newest <= wokenAt) trips = Math.max(trips, patience)
    return trips
  }

  /** Nobody who was woken is at work, nor anybody they forked, who are not among them. */
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
      isBusy() // whom the test itself has given work since
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
        if (trips < enoughTrips()) continue
        for (const [fiber, { patience, wokenAt }] of woken) letBe.set(fiber, { wokenAt, patience: patience / 2 })
        woken.clear()
        break
      }
      atWork.clear()
    })

  /** When the next one wakes, if that is not after the end. */
  const nextSleep = (end: number) => {
    let next = Number.POSITIVE_INFINITY
    for (const until of sleeps.values()) next = Math.min(next, until)
    return next <= end && next < Number.POSITIVE_INFINITY ? next : undefined
  }

  // To the instant and not by a difference: of fractions of a millisecond, that might fall short for ever.
  const moveTo = (timestamp: number) =>
    moving.withPermit(
      Effect.suspend(() => {
        movedAt = activity
        return inner.setTime(Math.max(timestamp, inner.currentTimeMillisUnsafe()))
      })
    )

  const passTo = (end: number) =>
    Effect.gen(function* () {
      const self = yield* Effect.fiber
      woken.delete(self)
      letBe.delete(self)
      yield* moveTo(inner.currentTimeMillisUnsafe()) // fibers that were just forked start, and whom they fork
      for (let turn = 0; turn < turns.afterPromise; turn++) yield* Effect.yieldNow
      yield* settled(
        [...atWork].some((fiber) => fiber !== self && !sleeps.has(fiber) && fiber.pollUnsafe() === undefined)
      )
      for (let next = nextSleep(end); next !== undefined; next = nextSleep(end)) {
        yield* moveTo(next)
        yield* settled(false)
      }
      yield* moveTo(end)
    })

  const runOut: SettledClock["runOut"] = (fiber, limit) =>
    Effect.gen(function* () {
      const end = inner.currentTimeMillisUnsafe() + limit
      yield* settled(false)
      while (fiber.pollUnsafe() === undefined) {
        const next = nextSleep(end)
        if (next === undefined) break
        yield* moveTo(next)
        yield* settled(false)
      }
      return sleeps.size > 0
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
    begin: (effect) =>
      Effect.suspend(() => {
        const begunAt = activity
        return Effect.tap(Effect.forkChild(effect, { startImmediately: true }), (fiber) =>
          Effect.sync(() => {
            if (!sleeps.has(fiber)) woken.set(fiber, { wokenAt: begunAt, patience: manyTrips })
          })
        )
      }),
    runOut
  }
}
