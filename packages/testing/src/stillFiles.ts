import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as SettledClock from "./SettledClock.ts"

/**
 * Runs a program for which no test time passes while the system is at work on a file: real files take real time, and a
 * clock that ran on meanwhile would let a lease look abandoned.
 */
export const withStillFiles = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const clock = yield* SettledClock.current
    const files = yield* Effect.serviceOption(FileSystem.FileSystem)
    if (clock === undefined || Option.isNone(files)) return yield* program
    return yield* Effect.provideService(program, FileSystem.FileSystem, still(files.value, clock))
  })

/** The same object, its effects held: those it has, those its methods return, and those of a file it opens. */
const still = <T extends object>(service: T, clock: SettledClock.SettledClock): T => {
  const held = (value: unknown): unknown =>
    Effect.isEffect(value)
      ? Effect.map(clock.hold(value), (result) => (FileSystem.isFile(result) ? still(result, clock) : result))
      : value
  return new Proxy(service, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      return Predicate.isFunction(member)
        ? (...args: ReadonlyArray<unknown>) => held(Reflect.apply(member, target, args))
        : held(member)
    }
  })
}
