import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * The first success of an effect, kept for good and shared by all who wait for it. A failure is for those who waited, and
 * has ended before it began: at zero it would be told again for as long as a clock that was set back takes to come there.
 */
export const firstSuccess = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Effect.Effect<A, E, R>> =>
  Effect.cachedWithTTL(effect, (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.negativeInfinity))
