import { readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { jwtVerify, SignJWT } from "jose"
import { Promised } from "keyfob"
import { patiently, SimulatedProvider } from "../src/provider.ts"
import * as SettledClock from "../src/SettledClock.ts"

const digests = (count: number) =>
  Effect.promise(async () => {
    for (let round = 0; round < count; round++) await crypto.subtle.digest("SHA-512", new Uint8Array(10_000))
  })

/** As much as verifying a token takes, and more. */
const work = digests(10)

const note = (seen: Array<number>) => Effect.map(Clock.currentTimeMillis, (now) => seen.push(now))

const test = (name: string, program: Effect.Effect<void, never, SimulatedProvider>) =>
  it.effect(name, () => Effect.provide(program, SimulatedProvider.layer()))

describe("the clock of the simulator", () => {
  test(
    "stands still while promises are at work, whoever waits for them",
    Effect.gen(function* () {
      const seen: Array<number> = []
      const working = Effect.andThen(work, note(seen))
      const inChild = Effect.flatMap(Effect.forkDetach(working, { startImmediately: true }), Fiber.join)
      yield* Effect.forkChild(Effect.repeat(working, Schedule.spaced("1 hour")))
      yield* Effect.forkChild(Effect.repeat(inChild, Schedule.spaced("1 hour")))
      yield* Effect.forkChild(Effect.repeat(Effect.timeout(working, "10 seconds"), Schedule.spaced("1 hour")))
      yield* TestClock.adjust("5 hours")
      const hours = [0, 1, 2, 3, 4, 5].flatMap((hour) => [hour, hour, hour].map((hour) => hour * 3_600_000))
      assert.deepStrictEqual(seen, hours)
    })
  )

  test(
    "does not wait for ever for who waits for ever",
    Effect.gen(function* () {
      const never = yield* Deferred.make<void>()
      yield* Effect.forkChild(Effect.delay(Deferred.await(never), "1 minute"))
      yield* TestClock.adjust("1 day")
      assert.strictEqual(yield* Clock.currentTimeMillis, 86_400_000)
    })
  )

  test(
    "does not begin before who was forked has come to rest, be it in nobody's care",
    Effect.gen(function* () {
      const seen: Array<number> = []
      yield* Effect.forkDetach(Effect.forkDetach(Effect.forkDetach(Effect.andThen(work, note(seen)))))
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(seen, [0])
    })
  )

  test(
    "waits again for whom it has let be: who waited for another that sleeps, and then has work",
    Effect.gen(function* () {
      const seen: Array<number> = []
      const tenth = yield* Deferred.make<void>()
      const minutes = Effect.gen(function* () {
        for (let minute = 1; minute <= 60; minute++) {
          yield* Effect.sleep("1 minute")
          if (minute === 10) yield* Deferred.succeed(tenth, undefined)
        }
      })
      const waiting = Effect.gen(function* () {
        yield* Effect.sleep("1 hour")
        yield* Effect.forkDetach(minutes)
        yield* Deferred.await(tenth)
        yield* Effect.andThen(work, note(seen))
      })
      yield* Effect.forkChild(waiting)
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(seen, [4_200_000])
    })
  )

  test(
    "waits again for whom it has let be and the test then gives work",
    Effect.gen(function* () {
      const seen: Array<number> = []
      const given = yield* Deferred.make<void>()
      const waiting = Effect.andThen(Effect.sleep("1 minute"), Deferred.await(given))
      yield* Effect.forkChild(Effect.andThen(waiting, Effect.andThen(digests(50), note(seen))))
      yield* Effect.forkChild(Effect.forever(Effect.sleep("1 minute")))
      yield* TestClock.adjust("1 hour")
      yield* Deferred.succeed(given, undefined)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(seen, [3_600_000])
    })
  )

  test(
    "two may move it at once, and it never goes back; one may for ever, while anybody sleeps",
    Effect.gen(function* () {
      for (let round = 1; round <= 20; round++) {
        const seen: Array<number> = []
        const began = yield* Clock.currentTimeMillis
        yield* Effect.forkChild(
          Effect.repeat(Effect.sleep("1 hour").pipe(Effect.andThen(work), Effect.andThen(note(seen))), { times: 2 })
        )
        yield* Effect.all([TestClock.adjust("2 hours"), TestClock.adjust("3 hours")], { concurrency: 2 })
        assert.deepStrictEqual(
          seen,
          [1, 2, 3].map((hour) => began + hour * 3_600_000)
        )
      }
      const sleeper = yield* Effect.forkChild(Effect.sleep("365 days"))
      yield* TestClock.adjust(Duration.infinity)
      assert.isDefined(sleeper.pollUnsafe())
    })
  )

  test(
    "is patient to the instant, and gives up on what never ends",
    Effect.gen(function* () {
      yield* patiently(Effect.andThen(work, Effect.andThen(Effect.sleep("90 minutes"), work)))
      assert.strictEqual(yield* Clock.currentTimeMillis, 5_400_000)
      const exit = yield* Effect.exit(patiently(Effect.never, "1 hour"))
      assert.strictEqual(exit._tag, "Failure")
    })
  )

  test(
    "stands still while others are at work that Keyfob knows nothing of: a signature, a digest, a file",
    Effect.gen(function* () {
      const key = new Uint8Array(32)
      const jose = async () => {
        const token = await new SignJWT({}).setProtectedHeader({ alg: "HS256" }).sign(key)
        return jwtVerify(token, key)
      }
      const digest = () => crypto.subtle.digest("SHA-256", new Uint8Array(10_000))
      const file = () => readFile(import.meta.filename)
      const seen: Array<number> = []
      for (const promise of [jose, digest, file]) {
        const hourly = Effect.gen(function* () {
          for (let hour = 0; hour < 3; hour++) {
            yield* Effect.sleep("1 hour")
            yield* Effect.promise<unknown>(promise)
            seen.push(yield* Clock.currentTimeMillis)
          }
        })
        yield* Effect.forkChild(hourly)
      }
      yield* TestClock.adjust("3 hours")
      assert.deepStrictEqual(
        seen,
        [1, 1, 1, 2, 2, 2, 3, 3, 3].map((hour) => hour * 3_600_000)
      )
    })
  )

  for (const [when, first] of [
    ["at once", Effect.void],
    ["after work of another's", work]
  ] as const) {
    test(
      `waits for work of Keyfob's own however long it takes, and whoever began it: ${when}`,
      Effect.gen(function* () {
        const seen: Array<number> = []
        const long = Effect.forEach(Array.from({ length: 20 }), () => work)
        const begun = Effect.forkDetach(Effect.forkDetach(Effect.andThen(Promised.run(long), note(seen))))
        const hourly = Effect.repeat(Effect.andThen(first, begun), Schedule.spaced("1 hour"))
        yield* Effect.forkChild(Effect.delay(hourly, "1 hour"))
        yield* TestClock.adjust("3 hours")
        assert.deepStrictEqual(seen, [3_600_000, 7_200_000, 10_800_000])
      })
    )
  }

  test(
    "wakes one after the other, in the order in which they went to sleep: each comes to rest before the next",
    Effect.gen(function* () {
      const seen: Array<string> = []
      const sleeper = (name: string, turns: number) =>
        Effect.gen(function* () {
          yield* Effect.sleep("1 hour")
          seen.push(name)
          for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
          seen.push(`${name} rests`)
          yield* Effect.sleep("1 hour")
          seen.push(`${name} again`)
        })
      yield* Effect.forkChild(sleeper("first", 100))
      yield* Effect.forkChild(sleeper("second", 0))
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(seen, ["first", "first rests", "second", "second rests", "first again", "second again"])
    })
  )

  test(
    "sees who goes to sleep late: a fiber's fiber counts from the instant in which it was forked",
    Effect.gen(function* () {
      const seen: Array<number> = []
      const late = Effect.gen(function* () {
        yield* work
        yield* Effect.sleep("10 minutes")
        seen.push(yield* Clock.currentTimeMillis)
      })
      const forking = Effect.flatMap(Effect.forkChild(Effect.flatMap(Effect.forkChild(late), Fiber.join)), Fiber.join)
      yield* Effect.forkChild(Effect.andThen(Effect.sleep("1 hour"), forking))
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(seen, [4_200_000])
    })
  )

  test(
    "runs out until a fiber has ended, and no further than it may",
    Effect.gen(function* () {
      const clock = yield* SettledClock.current
      if (clock === undefined) return assert.fail("another clock")
      const fiber = yield* clock.begin(Effect.andThen(Effect.sleep("90 minutes"), work))
      yield* Effect.forkChild(Effect.sleep("1 day"))
      assert.isTrue(yield* clock.runOut(fiber, 3_600_000), "somebody sleeps")
      assert.isUndefined(fiber.pollUnsafe())
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
      yield* clock.runOut(fiber, 7_200_000)
      assert.isDefined(fiber.pollUnsafe())
      assert.strictEqual(yield* Clock.currentTimeMillis, 5_400_000)
    })
  )

  const inside = Effect.provide(SimulatedProvider.layer())
  const hourly = (seen: Array<string>, name: string) =>
    Effect.gen(function* () {
      for (let hour = 1; hour <= 2; hour++) {
        yield* Effect.sleep("1 hour")
        seen.push(`${name} ${(yield* Clock.currentTimeMillis) / 3_600_000}`)
      }
    })

  it.effect("moves the clock below it, for who sleeps on that one", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      yield* Effect.forkChild(hourly(seen, "outside"))
      yield* inside(
        Effect.gen(function* () {
          yield* Effect.forkChild(hourly(seen, "inside"))
          yield* TestClock.adjust("1 day")
        })
      )
      assert.deepStrictEqual(seen, ["outside 1", "inside 1", "outside 2", "inside 2"])
      assert.strictEqual(yield* Clock.currentTimeMillis, 86_400_000)
    })
  )

  it.effect(
    "wakes whom it has put to sleep also when the clock below it is moved, by a second one of its kind or by hand",
    () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        yield* inside(Effect.forkChild(hourly(seen, "inside"), { startImmediately: true }))
        yield* TestClock.adjust("1 hour")
        yield* inside(TestClock.adjust("1 hour"))
        assert.deepStrictEqual(seen, ["inside 1", "inside 2"])
      })
  )
})
