/** Files that are there whole or not at all, for their owner alone, and still there after a crash. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import { randomUUID } from "node:crypto"
import { errnoOf } from "./FileFailure.ts"

/** What file systems (and Windows) that cannot flush a directory answer. They leave nothing to be done about it. */
const cannotFlushDirectory = new Set(["EINVAL", "ENOTSUP", "EISDIR", "EPERM"])

const directoryIsOldAfter = Duration.minutes(2)

/**
 * A name beside `file` that nobody else uses, and that is known again after a crash. Not from Effect's `Random`, which a
 * test may seed: two processes must never agree on a name.
 */
export const temporaryOf = (file: string): string => `${file}.${randomUUID()}.tmp`

/** Others, an editor say, have temporary files too. */
const isTemporary = (name: string) => /\.[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\.tmp$/.test(name)

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path

  const flushDirectory = (directory: string) =>
    Effect.scoped(Effect.flatMap(fs.open(directory, { flag: "r" }), (opened) => opened.sync)).pipe(
      Effect.catchIf(
        (error) => cannotFlushDirectory.has(errnoOf(error)),
        () => Effect.void
      )
    )

  /** Makes the directory and what is missing above it, each 0700 and flushed. */
  const makeDirectory = (directory: string): Effect.Effect<void, PlatformError> =>
    fs.makeDirectory(directory, { mode: 0o700 }).pipe(
      Effect.andThen(flushDirectory(path.dirname(directory))),
      Effect.catchReason("PlatformError", "AlreadyExists", () => Effect.void),
      Effect.catchReason("PlatformError", "NotFound", (_, error) =>
        path.dirname(directory) === directory
          ? Effect.fail(error)
          : Effect.andThen(makeDirectory(path.dirname(directory)), makeDirectory(directory))
      )
    )

  /** Writes a file that must not be there yet, mode 0600 from its creation. Leaves nothing behind when it fails. */
  const create = (file: string, text: string) =>
    Effect.scoped(
      Effect.flatMap(fs.open(file, { flag: "wx", mode: 0o600 }), (opened) =>
        opened.writeAll(new TextEncoder().encode(text)).pipe(
          Effect.andThen(opened.sync),
          Effect.onError(() => Effect.ignore(fs.remove(file)))
        )
      )
    ).pipe(Effect.uninterruptible)

  /**
   * Puts `text` in the place of `file`, or leaves `file` as it was. `ready` runs when all that is left to do is the
   * rename, and may still call it off. A failure of the last flush is reported although the new content shows: it may
   * not survive a crash.
   */
  const replace = <E>(file: string, text: string, ready: Effect.Effect<void, E>) =>
    Effect.suspend(() => {
      const temporary = temporaryOf(file)
      return create(temporary, text).pipe(
        Effect.andThen(
          ready.pipe(
            Effect.andThen(fs.rename(temporary, file)),
            Effect.onError(() => Effect.ignore(fs.remove(temporary)))
          )
        ),
        Effect.andThen(flushDirectory(path.dirname(file))),
        Effect.uninterruptible
      )
    })

  /**
   * Removes what a crash left beside `file` and what begins as it does. For who has the lease: one who has lost it then finds
   * nothing to rename, however late. A directory may be a lock that somebody who waits is about to take, and must be old.
   */
  const removeTemporaries = (file: string) =>
    Effect.gen(function* () {
      const directory = path.dirname(file)
      const now = yield* Clock.currentTimeMillis
      const names = yield* fs.readDirectory(directory)
      yield* Effect.forEach(
        names.filter((name) => name.startsWith(`${path.basename(file)}.`) && isTemporary(name)),
        (name) =>
          Effect.gen(function* () {
            const { mtime, type } = yield* fs.stat(path.join(directory, name))
            const isOld = Option.exists(mtime, (date) => now - Number(date) > Duration.toMillis(directoryIsOldAfter))
            if (isOld || type !== "Directory") yield* fs.remove(path.join(directory, name), { recursive: true })
          }).pipe(Effect.ignore)
      )
    }).pipe(Effect.ignore)

  return { makeDirectory, flushDirectory, create, replace, removeTemporaries }
})
