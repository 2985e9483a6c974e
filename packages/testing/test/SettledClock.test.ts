import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { patiently, SimulatedProvider } from "../src/provider.ts"

/** As much as verifying a token takes, and more. */
const work = Effect.promise(async () => {
  for (let round = 0; round < 10; round++) await crypto.subtle.digest("SHA-512", new Uint8Array(10_000))
})

const test = (name: string, program: Effect.Effect<void, never, SimulatedProvider>) =>
  it.effect(name, () => Effect.provide(program, SimulatedProvider.layer()))

describe("the clock of the simulator", () => {
  test(
    "stands still while promises are at work, whoever waits for them",
    Effect.gen(function* () {
      const seen: Array<number> = []
      const note = Effect.andThen(
        work,
        Effect.map(Clock.currentTimeMillis, (now) => seen.push(now))
      )
      const inChild = Effect.flatMap(Effect.forkDetach(note, { startImmediately: true }), Fiber.join)
      yield* Effect.forkChild(Effect.repeat(note, Schedule.spaced("1 hour")))
      yield* Effect.forkChild(Effect.repeat(inChild, Schedule.spaced("1 hour")))
      yield* Effect.forkChild(Effect.repeat(Effect.timeout(note, "10 seconds"), Schedule.spaced("1 hour")))
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
    "is patient to the instant, and gives up on what never ends",
    Effect.gen(function* () {
      yield* patiently(Effect.andThen(Effect.sleep("90 minutes"), work))
      assert.strictEqual(yield* Clock.currentTimeMillis, 5_400_000)
      const exit = yield* Effect.exit(patiently(Effect.never, "1 hour"))
      assert.strictEqual(exit._tag, "Failure")
    })
  )
})
