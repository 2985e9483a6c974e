import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * How chance that nobody may guess is drawn, as text (bytes in base64url, a key as JSON): as it is. Who runs a program
 * again (`SansIo`) gives it what was drawn the first time.
 */
export const Drawn = Context.Reference<(chance: Effect.Effect<string>) => Effect.Effect<string>>("keyfob/Chance", {
  defaultValue: () => (chance) => chance
})

export const draw = (chance: Effect.Effect<string>): Effect.Effect<string> =>
  Effect.flatMap(Drawn, (drawn) => drawn(chance))
