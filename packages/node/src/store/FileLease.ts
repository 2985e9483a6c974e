/**
 * An exclusive lease across processes, as a directory that holds one file:
 *
 * ```
 * LOCK/      there, and not empty, while somebody holds the lease
 *   <nonce>  who does: {"host":…,"boot":…,"processes":…,"pid":…}; its modification time is the holder's heartbeat
 * ```
 *
 * Taking it is one rename of a directory made ready beside it, which the system refuses over a directory that is not
 * empty. Giving it back, and taking it from a holder that is gone, is to unlink the file of just that nonce: nobody can
 * hit somebody else's lease by being late.
 *
 * A lease is abandoned when its holder ran on this machine and is gone, or when its heartbeat stood still for 30 s
 * while somebody watched. Watching, rather than comparing the heartbeat with a clock, holds up against hosts whose
 * clocks differ and against a machine that was asleep. A holder that lost its lease finds out from
 * {@link FileLease.check} before it does harm.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Promised, type StoreFailed } from "keyfob"
import { randomUUID } from "node:crypto"
import { rmdir } from "node:fs/promises"
import { hostname } from "node:os"
import * as DurableFile from "./DurableFile.ts"
import { errnoOf, failuresOf } from "./FileFailure.ts"
import * as Turns from "./Turns.ts"

const heartbeatEvery = Duration.seconds(5)
/** In milliseconds, as the next one. */
const abandonedAfter = 30_000
/** How much of a holder's silence one look may count: if more time has passed between two, this machine was asleep. */
const longestLook = 1000
/** Between two looks, on average. Longer as the wait goes on: a crowd that waits must not keep the holder from its work. */
const pauseAfter = (looks: number): number => Math.min(50 * 1.2 ** looks, 250)

/** What a rename onto a directory that is not empty fails with. Windows does not tell it from a missing permission. */
const heldAlready = new Set(process.platform === "win32" ? ["EEXIST", "EPERM", "EACCES"] : ["ENOTEMPTY", "EEXIST"])

export interface FileLease {
  /** Fails with `Busy` when somebody took the lease over. To be asked right before what only the holder may do. */
  readonly check: Effect.Effect<void, StoreFailed>
}

/** A lease as it looks to somebody who does not want to take it. */
export interface Held {
  /** `process 4711`, and on which host where it is another. */
  readonly holder: string
  readonly since: DateTime.Utc
  /** Of a holder on this machine: it is gone. Of another: not a sign of it for longer than a holder may be silent. */
  readonly abandoned: boolean
}

/**
 * Processes are only comparable on one running system, and in one Linux process namespace; both are empty where there is
 * no Linux. Hosts may share a name, and the first namespace of every Linux has the same one.
 */
const Holder = Schema.Struct({
  host: Schema.String,
  boot: Schema.optionalKey(Schema.String),
  processes: Schema.String,
  pid: Schema.Int.check(Schema.isGreaterThan(0))
})

/** A lease as it was seen from outside. */
interface Sighting {
  readonly nonce: string
  readonly text: string
  readonly heartbeat: number
}

/** No such process here. (`EPERM` would say: there is, but it is not ours.) */
const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return false
  } catch (cause) {
    return Predicate.hasProperty(cause, "code") && cause.code === "ESRCH"
  }
}

const whenMissing =
  <B>(instead: B) =>
  <A>(effect: Effect.Effect<A, PlatformError>): Effect.Effect<A | B, PlatformError> =>
    Effect.catchReason(effect, "PlatformError", "NotFound", () => Effect.succeed(instead))

/** Leases whose failures name the store called `store`. */
export const make = Effect.fnUntraced(function* (store: string) {
  const { busy, writeFailed } = failuresOf(store)
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const HolderText = Schema.fromJsonString(Holder)
  /** Found out when a lease is first taken or seen: reading a credential does not need it. */
  const here = yield* Effect.cached(
    Effect.all({
      host: Effect.sync(hostname),
      boot: Effect.orElseSucceed(fs.readFileString("/proc/sys/kernel/random/boot_id"), () => ""),
      processes: Effect.orElseSucceed(fs.readLink("/proc/self/ns/pid"), () => "")
    })
  )

  const heartbeatOf = (lock: string, nonce: string) =>
    Effect.map(fs.stat(path.join(lock, nonce)), ({ mtime }) => Option.match(mtime, { onNone: () => 0, onSome: Number }))

  const sight = Effect.fnUntraced(function* (lock: string) {
    const [nonce] = yield* fs.readDirectory(lock)
    if (nonce === undefined) return Option.none<Sighting>()
    const text = yield* fs.readFileString(path.join(lock, nonce))
    return Option.some<Sighting>({ nonce, text, heartbeat: yield* heartbeatOf(lock, nonce) })
  }, whenMissing(Option.none<Sighting>()))

  /** The same holder with its heartbeat of now, or who has come after it. */
  const sightAgain = (lock: string, known: Sighting) =>
    heartbeatOf(lock, known.nonce).pipe(
      Effect.map((heartbeat) => Option.some<Sighting>({ ...known, heartbeat })),
      Effect.catchReason("PlatformError", "NotFound", () => sight(lock))
    )

  const holderIsGone = ({ text }: Sighting) =>
    Effect.map(here, (here) =>
      Option.exists(
        Schema.decodeUnknownOption(HolderText)(text),
        ({ boot = here.boot, host, pid, processes }) =>
          host === here.host && boot === here.boot && processes === here.processes && isGone(pid)
      )
    )

  /** Effect's FileSystem has no rmdir, and a recursive removal would take a newcomer's lease along. */
  const clear = (lock: string) => Promised.run(Effect.ignore(Effect.tryPromise(() => rmdir(lock))))

  /** Who holds the lease right now. Seen once, the heartbeat can only be held against this host's clock: another host's may look dead, or alive. */
  const look = Effect.fnUntraced(function* (lock: string): Effect.fn.Return<Option.Option<Held>, PlatformError> {
    const seen = yield* sight(lock)
    if (Option.isNone(seen)) return Option.none()
    const { mtime } = yield* fs.stat(lock)
    const now = yield* Clock.currentTimeMillis
    const { heartbeat, text } = seen.value
    const own = yield* here
    const since = Option.match(mtime, { onNone: () => heartbeat, onSome: Number })
    const holder = Option.match(Schema.decodeUnknownOption(HolderText)(text), {
      onNone: () => "an unknown process",
      onSome: ({ host, pid }) => `process ${pid}${host === own.host ? "" : ` on ${host}`}`
    })
    const abandoned = (yield* holderIsGone(seen.value)) || now - heartbeat > abandonedAfter
    return Option.some({ holder, since: DateTime.makeUnsafe(since), abandoned })
  }, whenMissing(Option.none<Held>()))

  /** Ends a holder's lease, and no other; gives whether it was still theirs. */
  const end = (lock: string, nonce: string): Effect.Effect<boolean, PlatformError> =>
    fs.remove(path.join(lock, nonce)).pipe(
      Effect.as(true),
      whenMissing(false),
      Effect.tap(() => clear(lock)),
      Effect.uninterruptible
    )

  /** Takes the lease if it is free; gives whether it did. */
  const take = (lock: string, nonce: string): Effect.Effect<boolean, PlatformError> =>
    Effect.flatMap(here, (here) => {
      const ready = DurableFile.temporaryOf(lock)
      return fs.makeDirectory(ready, { mode: 0o700 }).pipe(
        Effect.andThen(
          fs
            .writeFileString(path.join(ready, nonce), JSON.stringify({ ...here, pid: process.pid }), {
              flag: "wx",
              mode: 0o600
            })
            .pipe(
              Effect.andThen(
                fs.rename(ready, lock).pipe(
                  Effect.as(true),
                  // A network file system may repeat a rename whose answer was lost, and tell of the second alone.
                  Effect.catch((error) =>
                    Effect.flatMap(fs.exists(path.join(lock, nonce)), (ours) =>
                      ours ? Effect.succeed(true) : Effect.fail(error)
                    )
                  )
                )
              ),
              Effect.onError(() => Effect.ignore(fs.remove(ready, { recursive: true })))
            )
        ),
        Effect.catchIf(
          (error) => heldAlready.has(errnoOf(error)),
          () => Effect.succeed(false)
        )
      )
    })

  /** Waits for the lease, however long, and keeps it until the scope closes. */
  const acquire = Effect.fnUntraced(function* (lock: string): Effect.fn.Return<FileLease, StoreFailed, Scope.Scope> {
    const nonce = randomUUID()
    const release = Effect.catch(end(lock, nonce), (error) =>
      Effect.logWarning(`${lock} could not be removed (${errnoOf(error)}); others wait 30 s for it`)
    )
    const attempt = take(lock, nonce).pipe(
      Effect.tap((taken) => (taken ? Effect.addFinalizer(() => release) : Effect.void)),
      Effect.uninterruptible
    )

    const wait = Effect.gen(function* () {
      let last = yield* Clock.currentTimeMillis
      let watched: Sighting | undefined
      let unchanged = 0
      for (let looks = 0; ; looks++) {
        const seen = yield* watched === undefined ? sight(lock) : sightAgain(lock, watched)
        if (Option.isNone(seen)) {
          if (yield* attempt) return
          // Not every file system renames over an empty directory, which a crash may have left.
          yield* clear(lock)
        } else {
          const now = yield* Clock.currentTimeMillis
          const stoodStill = watched?.nonce === seen.value.nonce && watched.heartbeat === seen.value.heartbeat
          unchanged = stoodStill ? unchanged + Math.min(now - last, longestLook) : 0
          watched = seen.value
          last = now
          if ((yield* holderIsGone(watched)) || unchanged > abandonedAfter) {
            // No warning where there is nothing to end: that holder gave it back before it went.
            if (yield* end(lock, watched.nonce)) yield* Effect.logWarning(`took over ${lock}: its holder is gone`)
            continue
          }
        }
        yield* Effect.sleep(Duration.millis(pauseAfter(looks) * (0.4 + 1.2 * (yield* Random.next))))
      }
    })

    const beat = Effect.gen(function* () {
      const seconds = (yield* Clock.currentTimeMillis) / 1000
      yield* fs.utimes(path.join(lock, nonce), seconds, seconds)
    })

    yield* Effect.mapError(wait, writeFailed(lock))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(heartbeatEvery), Effect.ignore(beat))))
    return {
      check: fs.stat(path.join(lock, nonce)).pipe(
        Effect.asVoid,
        Effect.catch((error) => {
          const lost = error.reason._tag === "NotFound"
          return Effect.fail(lost ? busy(lock, "the lease was taken over") : writeFailed(lock)(error))
        })
      )
    }
  })

  const inTurn = Turns.make()

  /** Runs `use` under the lease, taken after `prepare`. Who waits for it longer than 60 s fails with `Busy`. */
  const hold = <A, E, R>(
    lock: string,
    prepare: Effect.Effect<void, StoreFailed>,
    use: (lease: FileLease) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | StoreFailed, R> =>
    inTurn(lock, (detail) => busy(lock, detail), Effect.andThen(prepare, acquire(lock)), use)

  return { acquire, hold, look }
})
