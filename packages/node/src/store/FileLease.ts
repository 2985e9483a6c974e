/**
 * An exclusive lease across processes: a lock file that says who holds it and whose modification time is the holder's
 * heartbeat.
 *
 * A lock is abandoned when its holder ran on this machine and is gone, or when its heartbeat stood still for
 * {@link abandonedAfter} while somebody watched. Watching, rather than comparing the heartbeat with a clock, holds up
 * against hosts whose clocks differ and against a machine that was asleep. A holder that lost its lease finds out
 * from {@link FileLease.check} before it does harm.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { StoreFailed } from "keyfob"
import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import * as DurableFile from "./DurableFile.ts"
import { busy, writeFailed } from "./FileFailure.ts"

const heartbeatEvery = Duration.seconds(5)
const abandonedAfter = Duration.seconds(30)

export interface FileLease {
  /** Fails with `Busy` when somebody took the lease over. To be asked right before what only the holder may do. */
  readonly check: Effect.Effect<void, StoreFailed>
}

/** What a lock file says. `nonce` makes every lease its own, also two of one process. */
const Holder = Schema.Struct({
  host: Schema.String,
  /** Processes are only comparable inside one Linux process namespace; empty where there are none. */
  processes: Schema.String,
  pid: Schema.Int.check(Schema.isGreaterThan(0)),
  nonce: Schema.String
})

/** A lock as it was seen: who holds it (as it is written there) and the last heartbeat. */
interface Sighting {
  readonly text: string
  readonly heartbeat: number
}

const sameSighting = (a: Sighting, b: Sighting) => a.text === b.text && a.heartbeat === b.heartbeat

/** No such process here. (`EPERM` would say: there is, but it is not ours.) */
const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return false
  } catch (cause) {
    return Predicate.hasProperty(cause, "code") && cause.code === "ESRCH"
  }
}

export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const durable = yield* DurableFile.make
  const HolderText = Schema.fromJsonString(Holder)
  const here = {
    host: hostname(),
    processes: yield* Effect.orElseSucceed(fs.readLink("/proc/self/ns/pid"), () => "")
  }

  const sight = (lock: string): Effect.Effect<Option.Option<Sighting>, PlatformError> =>
    Effect.zipWith(fs.readFileString(lock), fs.stat(lock), (text, { mtime }) => ({
      text,
      heartbeat: Option.match(mtime, { onNone: () => 0, onSome: (date) => date.getTime() })
    })).pipe(Effect.asSome, Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone))

  const holderIsGone = (sighting: Sighting) =>
    Option.exists(
      Schema.decodeUnknownOption(HolderText)(sighting.text),
      (holder) => holder.host === here.host && holder.processes === here.processes && isGone(holder.pid)
    )

  /** Of all who judged the same lock abandoned one wins: the rename. Who moved a newer lock by it puts that back. */
  const evict = (lock: string, judged: Sighting) => {
    const moved = DurableFile.temporaryOf(lock)
    return fs.rename(lock, moved).pipe(
      Effect.andThen(sight(moved)),
      Effect.flatMap((found) =>
        Option.exists(found, (sighting) => sameSighting(sighting, judged)) ? fs.remove(moved) : fs.rename(moved, lock)
      ),
      Effect.catchReason("PlatformError", "NotFound", () => Effect.void),
      Effect.uninterruptible
    )
  }

  /** Waits for the lock, however long, and keeps it until the scope closes. */
  const acquire = Effect.fnUntraced(function*(lock: string): Effect.fn.Return<FileLease, StoreFailed, Scope.Scope> {
    const text = yield* Effect.orDie(
      Schema.encodeEffect(HolderText)({ ...here, pid: process.pid, nonce: randomUUID() })
    )
    const isOurs = Effect.map(sight(lock), Option.exists((sighting) => sighting.text === text))
    const release = isOurs.pipe(
      Effect.flatMap((ours) => ours ? fs.remove(lock) : Effect.void),
      Effect.catch((error) => Effect.logWarning(`the lock ${lock} could not be removed; others wait for it in vain`, error.message))
    )
    const attempt = durable.create(lock, text).pipe(
      Effect.as(true),
      Effect.catchReason("PlatformError", "AlreadyExists", () => Effect.succeed(false)),
      Effect.tap((taken) => taken ? Effect.addFinalizer(() => release) : Effect.void),
      Effect.uninterruptible
    )
    const beat = Effect.gen(function*() {
      const seconds = (yield* Clock.currentTimeMillis) / 1000
      if (yield* isOurs) yield* fs.utimes(lock, seconds, seconds)
    })

    const wait = Effect.gen(function*() {
      let watched: Sighting | undefined
      let unchanged = Duration.zero
      while (!(yield* attempt)) {
        const pause = Duration.millis(yield* Random.nextIntBetween(20, 80))
        yield* Effect.sleep(pause)
        const seen = Option.getOrUndefined(yield* sight(lock))
        if (seen === undefined) continue
        unchanged = watched !== undefined && sameSighting(seen, watched) ? Duration.sum(unchanged, pause) : Duration.zero
        watched = seen
        if (holderIsGone(seen) || Duration.isGreaterThan(unchanged, abandonedAfter)) {
          yield* Effect.logWarning(`taking over the lock ${lock}: its holder is gone`)
          yield* evict(lock, seen)
        }
      }
    })

    yield* Effect.mapError(wait, writeFailed(lock))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(heartbeatEvery), Effect.ignore(beat))))
    return {
      check: isOurs.pipe(
        Effect.mapError(writeFailed(lock)),
        Effect.filterOrFail((ours) => ours, () => busy(lock, "the lease was taken over")),
        Effect.asVoid
      )
    }
  })

  return { acquire }
})
