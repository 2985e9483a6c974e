import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"

/**
 * Runs one attempt at a time. Whoever waited while one failed shares its failure, instead of making the next attempt;
 * whoever waited while one succeeded runs their own, which finds what that one brought.
 *
 * All who wait go on at once: a queue of ten thousand (a semaphore's) takes seconds to empty.
 *
 * @param lastFailure the failure of the last attempt, as another object each time
 * @param note keeps a failure for `lastFailure` to tell
 */
export const make = <E>(
  lastFailure: Effect.Effect<{ readonly failure: E } | undefined>,
  note: (failure: E) => Effect.Effect<void>
) => {
  let flight: Deferred.Deferred<void> | undefined
  return Effect.fnUntraced(function* <A>(attempt: Effect.Effect<A, E>): Effect.fn.Return<A, E> {
    const before = yield* lastFailure
    for (;;) {
      const result = yield* Effect.uninterruptibleMask((restore) => {
        if (flight !== undefined) return Effect.as(restore(Deferred.await(flight)), Option.none<A>())
        const mine = Deferred.makeUnsafe<void>()
        flight = mine
        const landed = Effect.sync(() => {
          flight = undefined
          Deferred.doneUnsafe(mine, Exit.void)
        })
        return Effect.asSome(Effect.ensuring(Effect.tapError(restore(attempt), note), landed))
      })
      if (Option.isSome(result)) return result.value
      const last = yield* lastFailure
      if (last !== undefined && last !== before) return yield* Effect.fail(last.failure)
    }
  })
}
