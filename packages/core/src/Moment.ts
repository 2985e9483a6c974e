import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** An instant on both clocks: the wall clock can be set, the steady one does not count the time a machine sleeps. */
export interface Moment {
  readonly wall: number
  readonly steady: number
}

export const moment: Effect.Effect<Moment> = Clock.clockWith((clock) =>
  Effect.succeed({
    wall: clock.currentTimeMillisUnsafe(),
    steady: Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  })
)

export const later = ({ steady, wall }: Moment, millis: number): Moment => ({
  wall: wall + millis,
  steady: steady + millis
})

/** A wait is over when either clock says so: it must not last as long as a clock is wrong, or as a machine slept. */
export const isBefore = (now: Moment, end: Moment) => now.wall < end.wall && now.steady < end.steady
