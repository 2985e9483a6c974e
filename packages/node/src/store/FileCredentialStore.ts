/**
 * Credentials in files, one each, for their owner alone.
 *
 * ```
 * directory/                                      0700
 *   work-login-<SHA-256 of the key>.json          0600  {"version":1,"credential":{…}}
 *   work-login-<SHA-256 of the key>.json.lock/    0700  while somebody holds the lease
 * ```
 *
 * A file that cannot be understood is kept: `get` fails with `Corrupt`, `list` leaves it out with a warning, and a
 * `write` keeps it as `NAME.corrupt-<time>`. `remove` removes it.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Credential, type CredentialKey, CredentialStore, type Slot, type StoreFailed } from "keyfob"
import { createHash } from "node:crypto"
import * as DurableFile from "./DurableFile.ts"
import { busy, corrupt, readFailed, writeFailed } from "./FileFailure.ts"
import * as FileLease from "./FileLease.ts"

const waitAtMost = Duration.seconds(60)
const temporaryIsOldAfter = Duration.minutes(2)

/** The account, as far as it is safe in a file name, for the eye; the hash of the whole key, for uniqueness. */
const nameOf = (key: CredentialKey): string => {
  const readable = key.account
    .replace(/[^A-Za-z0-9_]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40)
  return `${readable || "credential"}-${createHash("sha256").update(key.canonical).digest("hex")}.json`
}

const make = Effect.fnUntraced(function* ({ directory }: { readonly directory: string }) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const durable = yield* DurableFile.make
  const leases = yield* FileLease.make

  const Version = Schema.fromJsonString(Schema.Struct({ version: Schema.Int }))
  const Content = Schema.fromJsonString(
    Schema.Struct({ version: Schema.Literal(1), credential: Schema.toCodecJson(Credential) })
  )

  const warned = new Set<string>()
  const isWide = (info: FileSystem.File.Info) => process.platform !== "win32" && (info.mode & 0o077) !== 0
  /** Once for each path. A file that has just gone away needs no warning. */
  const warnWhenWide = (location: string) =>
    Effect.gen(function* () {
      if (warned.has(location) || !isWide(yield* fs.stat(location))) return
      warned.add(location)
      yield* Effect.logWarning(`other users may read ${location}; the next write corrects that`)
    }).pipe(Effect.ignore)

  const decode = Effect.fnUntraced(function* (name: string, text: string) {
    const damaged = (detail: string) => () => corrupt(path.join(directory, name), detail)
    const { version } = yield* Effect.mapError(
      Schema.decodeEffect(Version)(text),
      damaged("no JSON object with a version")
    )
    if (version !== 1) return yield* damaged(`version ${version}, this keyfob knows version 1`)()
    const { credential } = yield* Effect.mapError(Schema.decodeEffect(Content)(text), damaged("not a credential"))
    if (nameOf(credential.key) !== name) return yield* damaged("the credential of another key")()
    return credential
  })

  const read = Effect.fnUntraced(function* (name: string): Effect.fn.Return<Option.Option<Credential>, StoreFailed> {
    const file = path.join(directory, name)
    const text = yield* fs.readFileString(file).pipe(
      Effect.asSome,
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone),
      Effect.mapError(readFailed(file))
    )
    if (Option.isNone(text)) return Option.none()
    yield* warnWhenWide(directory)
    yield* warnWhenWide(file)
    return Option.some(yield* decode(name, text.value))
  })

  /** Not every file system has modes to change: that must not keep anybody from signing in. */
  const tighten = (location: string, mode: number) => Effect.ignore(fs.chmod(location, mode))

  const prepareDirectory = fs.stat(directory).pipe(
    Effect.flatMap((info) =>
      info.type === "Directory" && isWide(info)
        ? Effect.andThen(warnWhenWide(directory), tighten(directory, 0o700))
        : Effect.void
    ),
    Effect.catchReason("PlatformError", "NotFound", () => durable.makeDirectory(directory)),
    Effect.mapError(writeFailed(directory))
  )

  /** What a crash left. Under the lease nobody else writes this credential; the age is for one who has lost it. */
  const removeOldTemporaries = (name: string) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const names = yield* fs.readDirectory(directory)
      yield* Effect.forEach(
        names.filter((other) => DurableFile.isTemporaryOf(name, other)),
        (other) =>
          Effect.gen(function* () {
            const { mtime } = yield* fs.stat(path.join(directory, other))
            const isOld = Option.exists(mtime, (date) => now - Number(date) > Duration.toMillis(temporaryIsOldAfter))
            if (isOld) yield* fs.remove(path.join(directory, other), { recursive: true })
          }).pipe(Effect.ignore)
      )
    }).pipe(Effect.ignore)

  const slotOf = (name: string, lease: FileLease.FileLease): Slot => {
    const file = path.join(directory, name)
    const asWriteFailed = <A>(effect: Effect.Effect<A, PlatformError | StoreFailed>): Effect.Effect<A, StoreFailed> =>
      Effect.catchTag(effect, "PlatformError", (error) => Effect.fail(writeFailed(file)(error)))

    // A second name for the damaged file, so that there is no moment without the first.
    const keepAside = Effect.gen(function* () {
      const aside = `${file}.corrupt-${DateTime.formatIso(yield* DateTime.now).replace(/[-:.]/g, "")}`
      yield* tighten(file, 0o600)
      yield* Effect.catch(fs.link(file, aside), () => fs.copyFile(file, aside))
      yield* Effect.logWarning(`${file} was damaged; it is kept as ${aside}`)
    })

    return {
      read: read(name),
      write: Effect.fnUntraced(
        function* (credential) {
          if (nameOf(credential.key) !== name)
            return yield* Effect.die(new Error("a slot holds the credential of its own key"))
          const isDamaged = yield* read(name).pipe(
            Effect.as(false),
            Effect.catchIf(
              (error) => error.reason === "Corrupt",
              () => Effect.succeed(true)
            )
          )
          yield* removeOldTemporaries(name)
          const text = yield* Effect.orDie(Schema.encodeEffect(Content)({ version: 1, credential }))
          yield* durable.replace(file, text, isDamaged ? Effect.andThen(keepAside, lease.check) : lease.check)
        },
        asWriteFailed,
        Effect.uninterruptible
      ),
      remove: lease.check.pipe(
        Effect.andThen(fs.remove(file, { force: true })),
        Effect.andThen(durable.flushDirectory(directory)),
        asWriteFailed,
        Effect.uninterruptible
      )
    }
  }

  // Fibers of this process queue here; only the first of them goes on to the lock file.
  const turns = MutableHashMap.empty<string, Semaphore.Semaphore>()
  const turnOf = (name: string) => {
    const found = MutableHashMap.get(turns, name)
    if (Option.isSome(found)) return found.value
    const turn = Semaphore.makeUnsafe(1)
    MutableHashMap.set(turns, name, turn)
    return turn
  }

  const lease = (name: string) => {
    const file = path.join(directory, name)
    return Semaphore.takeScoped(turnOf(name), 1).pipe(
      Effect.andThen(prepareDirectory),
      Effect.andThen(leases.acquire(`${file}.lock`)),
      Effect.timeoutOrElse({
        duration: waitAtMost,
        orElse: () => Effect.fail(busy(file, `waited ${Duration.toSeconds(waitAtMost)} s`))
      })
    )
  }

  return CredentialStore.make({
    name: "file",
    get: (key) => read(nameOf(key)),
    list: fs.readDirectory(directory).pipe(
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed([])),
      Effect.mapError(readFailed(directory)),
      Effect.flatMap((names) =>
        Effect.forEach(
          names.filter((name) => name.endsWith(".json")),
          (name) =>
            Effect.catch(read(name), (error) =>
              Effect.as(Effect.logWarning(`left out: ${error.message}`), Option.none())
            )
        )
      ),
      Effect.map((found) => found.flatMap(Option.toArray))
    ),
    // A scope of its own: the lease must not end in, nor hide, a scope that `use` asks for.
    modify: (key, use) =>
      Effect.acquireUseRelease(
        Scope.make(),
        (scope) => Effect.flatMap(Scope.provide(lease(nameOf(key)), scope), (held) => use(slotOf(nameOf(key), held))),
        (scope, exit) => Scope.close(scope, exit)
      )
  })
})

/**
 * The store over a directory of its own, made (0700) at the first `modify`. Waits up to 60 s for another process, then
 * fails with `Busy`.
 */
export const layer = (options: {
  readonly directory: string
}): Layer.Layer<CredentialStore, never, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(CredentialStore, make(options))
