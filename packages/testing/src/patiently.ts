import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as SettledClock from "./SettledClock.ts"

/**
 * Runs a program that waits (a device login that polls, a retry) and lets the test clock pass, from sleep to sleep, until
 * it ends. It needs the clock of `SimulatedProvider.layer`; under any other it is the program alone.
 *
 * @param limit what is too long: the program is given up as a defect. Default: a day.
 */
export const patiently = Effect.fnUntraced(function* <A, E, R>(
  program: Effect.Effect<A, E, R>,
  limit: Duration.Input = "1 day"
): Effect.fn.Return<A, E, R> {
  const clock = yield* SettledClock.current
  if (clock === undefined) return yield* program
  const fiber = yield* clock.begin(program)
  yield* clock.runOut(fiber, Duration.toMillis(limit))
  if (fiber.pollUnsafe() !== undefined) return yield* Fiber.join(fiber)
  yield* Fiber.interrupt(fiber)
  const given = Duration.format(Duration.fromInputUnsafe(limit))
  return yield* Effect.die(new Error(`the program did not end within ${given} of the test clock`))
})
