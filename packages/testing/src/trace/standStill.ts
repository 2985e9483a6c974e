import * as Effect from "effect/Effect"
import * as SettledClock from "../SettledClock.ts"

/** Work for promises during which no test time passes. */
export const standStill = <A>(work: () => Promise<A>): Effect.Effect<A> =>
  Effect.flatMap(SettledClock.current, (clock) =>
    clock === undefined ? Effect.promise(work) : clock.hold(Effect.promise(work))
  )
