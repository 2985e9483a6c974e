import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * Around every draw of chance that nobody may guess, as text (bytes in base64url, a key as JSON). By default nothing is
 * around it. `SansIo`, which runs a program again and again, gives it what was drawn the first time.
 */
export const Drawn = Context.Reference<(chance: Effect.Effect<string>) => Effect.Effect<string>>("keyfob/Chance", {
  defaultValue: () => (chance) => chance
})

export const draw = (chance: Effect.Effect<string>): Effect.Effect<string> =>
  Effect.flatMap(Drawn, (drawn) => drawn(chance))
