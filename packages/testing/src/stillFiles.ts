import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
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

/** These leave something to the end of a scope. */
const scoped: ReadonlySet<PropertyKey> = new Set<keyof FileSystem.FileSystem>([
  "open",
  "makeTempDirectoryScoped",
  "makeTempFileScoped"
])

/** The same object, its effects held: those it has, those its methods return, and those of a file it opens, to its closing. */
const still = <T extends object>(service: T, clock: SettledClock.SettledClock): T => {
  const held = (value: unknown, name: PropertyKey): unknown => {
    if (!Effect.isEffect(value)) return value
    const effect = scoped.has(name) ? heldAtItsEnd(value, clock) : value
    return Effect.map(clock.hold(effect), (result) => (FileSystem.isFile(result) ? still(result, clock) : result))
  }
  return new Proxy(service, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      return Predicate.isFunction(member)
        ? (...args: ReadonlyArray<unknown>) => held(Reflect.apply(member, target, args), name)
        : held(member, name)
    }
  })
}

const heldAtItsEnd = <A, E, R>(effect: Effect.Effect<A, E, R>, clock: SettledClock.SettledClock) =>
  Effect.gen(function* () {
    const own = yield* Scope.make()
    yield* Effect.addFinalizer((exit) => clock.hold(Scope.close(own, exit)))
    return yield* Scope.provide(effect, own)
  })
