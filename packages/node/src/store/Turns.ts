/** One at a time: fibers of this process queue here, and only the first of them goes on to what other processes see. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { StoreFailed } from "keyfob"

const waitAtMost = Duration.seconds(60)

/** The queues of one store. Who waits for a turn and its lease for longer than 60 s fails with what `busy` makes of it. */
export const make = () => {
  const turns = MutableHashMap.empty<string, Semaphore.Semaphore>()
  const turnOf = (name: string) => {
    const found = MutableHashMap.get(turns, name)
    if (Option.isSome(found)) return found.value
    const turn = Semaphore.makeUnsafe(1)
    MutableHashMap.set(turns, name, turn)
    return turn
  }

  /** Runs `use` with the lease that `acquire` takes and its scope gives back. */
  return <L, A, E, R>(
    name: string,
    busy: (detail: string) => StoreFailed,
    acquire: Effect.Effect<L, StoreFailed, Scope.Scope>,
    use: (lease: L) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | StoreFailed, R> => {
    const taken = Semaphore.takeScoped(turnOf(name), 1).pipe(
      Effect.andThen(acquire),
      Effect.timeoutOrElse({
        duration: waitAtMost,
        orElse: () => Effect.fail(busy(`waited ${Duration.toSeconds(waitAtMost)} s`))
      })
    )
    // A scope of its own: the lease must not end in, nor hide, a scope that `use` asks for.
    return Effect.acquireUseRelease(
      Scope.make(),
      (scope) => Effect.flatMap(Scope.provide(taken, scope), use),
      (scope, exit) => Scope.close(scope, exit)
    )
  }
}
