/** The run of src/thirtyDays.ts, as much of it as a test may take. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { run } from "../src/simulatedFleet.ts"

it.effect(
  "20 credentials, 2 days with sleeps, outages and lost answers: nothing is spent twice, nobody signs in again",
  () =>
    Effect.gen(function* () {
      const { broken, cold, exchanges, failures, lostAnswers, warm } = yield* run({ credentials: 20, days: 2 })
      assert.deepStrictEqual(broken, [])
      assert.isAbove(Math.min(exchanges, failures, lostAnswers), 0)
      assert.isAbove(warm, 5 * cold)
    }),
  60_000
)
