import * as Effect from "effect/Effect"

/** What an effect fails with. One that does well is a defect with these words; of `Effect.flip`, the value would be one. */
export const refused = <A, E, R>(effect: Effect.Effect<A, E, R>, otherwise: string): Effect.Effect<E, never, R> =>
  Effect.matchEffect(effect, {
    onFailure: Effect.succeed,
    onSuccess: () => Effect.die(new Error(otherwise))
  })
