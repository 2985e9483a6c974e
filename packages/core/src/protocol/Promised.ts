import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * Around all work that ends with a JavaScript promise (jose's, Web Crypto's). By default nothing is around it. A clock that
 * is moved by hand cannot see such work and would run on meanwhile: the one of `@keyfob/testing` stands still around it.
 */
export const Around = Context.Reference<<A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>>(
  "keyfob/Promised",
  { defaultValue: () => (work) => work }
)

export const run = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Around, (around) => around(work))
