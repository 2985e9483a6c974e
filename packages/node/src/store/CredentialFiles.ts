/**
 * Credentials in files of one directory, one each, for their owner alone: what the stores of one machine share.
 *
 * A file that cannot be understood is kept: `get` fails with `Corrupt`, `list` leaves it out with a warning, and a
 * `write` keeps it as `NAME.corrupt-<time>`. `remove` removes it. What only lacks its key (`Locked`, `Unavailable`) is
 * neither left out, nor replaced, nor removed.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import {
  type Credential,
  type CredentialKey,
  CredentialStore,
  CredentialText,
  type Slot,
  type StoreFailed
} from "keyfob"
import { createHash } from "node:crypto"
import * as DurableFile from "./DurableFile.ts"
import { failuresOf } from "./FileFailure.ts"
import * as FileLease from "./FileLease.ts"
import type { Place, Sealing } from "./Sealing.ts"

/** A file name: the account, as far as that is safe in one, for people to see; the hash of the whole key, so that no two are the same. */
export const nameOf = (key: CredentialKey): string => {
  const readable = key.account
    .replace(/[^A-Za-z0-9_]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40)
  return `${readable || "credential"}-${createHash("sha256").update(key.canonical).digest("hex")}`
}

/** A credential's file, as it was found. */
interface Found {
  readonly sealing: Sealing
  readonly place: Place
  readonly text: string
}

export const make = Effect.fnUntraced(function* ({
  directory,
  name: storeName,
  sealings
}: {
  readonly name: string
  readonly directory: string
  /** The best first. A credential stays with the sealing that it was first written with. */
  readonly sealings: readonly [Sealing, ...ReadonlyArray<Sealing>]
}) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const durable = yield* DurableFile.make
  const leases = yield* FileLease.make(storeName)
  const { corrupt, readFailed, writeFailed } = failuresOf(storeName)

  const warned = new Set<string>()
  const isWide = (info: FileSystem.File.Info) => process.platform !== "win32" && (info.mode & 0o077) !== 0
  /** Warns of a path that others can read, once. A failure is ignored: the file may just have gone away. */
  const warnWhenWide = (location: string) =>
    Effect.gen(function* () {
      if (warned.has(location) || !isWide(yield* fs.stat(location))) return
      warned.add(location)
      yield* Effect.logWarning(`other users may read ${location}; the next write corrects that`)
    }).pipe(Effect.ignore)

  const placeOf = (name: string, { extension }: Sealing): Place => ({
    name,
    file: path.join(directory, `${name}${extension}`)
  })

  const find = Effect.fnUntraced(function* (name: string): Effect.fn.Return<Found | undefined, StoreFailed> {
    for (const sealing of sealings) {
      const place = placeOf(name, sealing)
      const text = yield* fs.readFileString(place.file).pipe(
        Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(undefined)),
        Effect.mapError(readFailed(place.file))
      )
      if (text !== undefined) return { sealing, place, text }
    }
    return undefined
  })

  const open = Effect.fnUntraced(function* ({ place, sealing, text }: Found) {
    const opened = yield* sealing.open(text, place)
    const credential = yield* Effect.mapError(CredentialText.decode(opened), (detail) => corrupt(place.file, detail))
    if (nameOf(credential.key) !== place.name) return yield* corrupt(place.file, "the credential of another key")
    return credential
  })

  const read = Effect.fnUntraced(function* (name: string): Effect.fn.Return<Option.Option<Credential>, StoreFailed> {
    for (let found = yield* find(name); found !== undefined;) {
      yield* warnWhenWide(directory)
      yield* warnWhenWide(found.place.file)
      const opened = yield* Effect.result(open(found))
      if (opened._tag === "Success") return Option.some(opened.success)
      if (!isCorrupt(opened.failure)) return yield* opened.failure
      // We hold no lease: the file may have changed between reading it and opening what it stands for (a keychain's entry).
      const now = yield* find(name)
      if (now?.text === found.text) return yield* opened.failure
      found = now
    }
    return Option.none()
  })

  /** Ignores a failure: not every file system has modes, and that must not keep anybody from signing in. */
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

  const names = fs.readDirectory(directory).pipe(
    Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed([])),
    Effect.mapError(readFailed(directory))
  )

  /**
   * Where a new credential goes: the first sealing that can take one; and why to none of those before. One that cannot be used now, but has credentials already, is not passed
   * over: a keychain that is locked today must not be the reason for a plain file that stays.
   */
  const choice = Effect.gen(function* () {
    const passedOver: Array<StoreFailed> = []
    for (const sealing of sealings.slice(0, -1)) {
      const ready = yield* Effect.result(sealing.ready)
      if (ready._tag === "Success") return { sealing, passedOver }
      if ((yield* names).some((name) => name.endsWith(sealing.extension))) return yield* ready.failure
      passedOver.push(ready.failure)
    }
    return { sealing: sealings.at(-1) ?? sealings[0], passedOver }
  })

  const choose = Effect.tap(choice, ({ passedOver, sealing }) =>
    sealings.length === 1
      ? Effect.void
      : Effect.logInfo(
          [`the credential goes to the store ${sealing.store}`, ...passedOver.map(({ message }) => message)].join("; ")
        )
  )

  const slotOf = (name: string, lease: FileLease.FileLease): Slot => {
    const asWriteFailed =
      (file: string) =>
      <A>(effect: Effect.Effect<A, PlatformError | StoreFailed>): Effect.Effect<A, StoreFailed> =>
        Effect.catchTag(effect, "PlatformError", (error) => Effect.fail(writeFailed(file)(error)))

    // Gives the damaged file a second name first, so that at no moment there is none.
    const keepAside = Effect.fnUntraced(function* (file: string) {
      const aside = `${file}.corrupt-${DateTime.formatIso(yield* DateTime.now).replace(/[-:.]/g, "")}`
      yield* tighten(file, 0o600)
      yield* Effect.catch(fs.link(file, aside), () => fs.copyFile(file, aside))
      yield* Effect.logWarning(`${file} was damaged; it is kept as ${aside}`)
    })

    /** Discards which of the two texts the file does not have: a write that failed may have reached the file all the same. */
    const discardUnseen = ({ discard }: Sealing, file: string, texts: ReadonlyArray<string | undefined>) =>
      discard === undefined
        ? Effect.void
        : Effect.ignore(
            Effect.flatMap(fs.readFileString(file), (shown) =>
              Effect.forEach(texts, (text) =>
                text === undefined || text === shown ? Effect.void : discard(text, lease.check)
              )
            )
          )

    const removeOne = Effect.fnUntraced(function* (found: Found) {
      const { place, sealing, text } = found
      // Fails where it cannot be opened now: nobody knows what would be lost. A damaged one can go.
      yield* Effect.catchIf(open(found), isCorrupt, () => Effect.void)
      yield* lease.check
      yield* fs
        .remove(place.file, { force: true })
        .pipe(Effect.andThen(durable.flushDirectory(directory)), asWriteFailed(place.file))
      yield* sealing.discard?.(text, lease.check) ?? Effect.void
    })

    return {
      read: read(name),
      write: Effect.fnUntraced(function* (credential) {
        const found = yield* find(name)
        const { sealing } = found ?? (yield* choose)
        const place = placeOf(name, sealing)
        const isDamaged =
          found !== undefined &&
          (yield* open(found).pipe(
            Effect.as(false),
            Effect.catchIf(isCorrupt, () => Effect.succeed(true))
          ))
        const before = isDamaged ? undefined : found?.text
        // Without the lease, the temporary file would be its new holder's.
        yield* lease.check
        yield* durable.removeTemporaries(path.join(directory, name))
        const text = yield* CredentialText.encode(credential)
        const sealed = yield* sealing.seal(text, place, { before, check: lease.check })
        yield* durable
          .replace(place.file, sealed, isDamaged ? Effect.andThen(keepAside(place.file), lease.check) : lease.check)
          .pipe(asWriteFailed(place.file), Effect.ensuring(discardUnseen(sealing, place.file, [before, sealed])))
      }, Effect.uninterruptible),
      remove: Effect.gen(function* () {
        yield* lease.check
        yield* durable.removeTemporaries(path.join(directory, name))
        // With other settings it may have been written by several sealings.
        for (let found = yield* find(name); found !== undefined; found = yield* find(name)) yield* removeOne(found)
      }).pipe(Effect.uninterruptible)
    }
  }

  const modify = <A, E, R>(name: string, use: (slot: Slot) => Effect.Effect<A, E, R>) =>
    leases.hold(path.join(directory, `${name}.lock`), prepareDirectory, (lease) => use(slotOf(name, lease)))

  /** What there is, by the names of the files without their extensions. */
  const stored = Effect.map(names, (all) => [
    ...new Set(
      all.flatMap((name) =>
        sealings.flatMap(({ extension }) => (name.endsWith(extension) ? [name.slice(0, -extension.length)] : []))
      )
    )
  ])

  const leaveOut =
    <A>(instead: A) =>
    (error: StoreFailed) =>
      Effect.as(Effect.logWarning(`left out: ${error.message}`), instead)

  const store = CredentialStore.make({
    name: storeName,
    get: (key) => read(nameOf(key)),
    list: stored.pipe(
      Effect.flatMap(Effect.forEach((name) => Effect.catchIf(read(name), isLeftOut, leaveOut(Option.none())))),
      Effect.map((found) => found.flatMap(Option.toArray))
    ),
    modify: (key, use) => modify(nameOf(key), use)
  })

  const rewriteOne = ({ read, write }: Slot) =>
    read.pipe(
      Effect.flatMap(Option.match({ onNone: () => Effect.succeed(0), onSome: (found) => Effect.as(write(found), 1) })),
      Effect.catchIf(isCorrupt, leaveOut(0))
    )

  return {
    store,
    choice,
    /** Writes everything anew, each under its lease: notes too, but not what is damaged. Gives how many there were. */
    rewrite: stored.pipe(
      Effect.flatMap(Effect.forEach((name) => modify(name, rewriteOne))),
      Effect.map((rewritten) => rewritten.reduce((sum, one) => sum + one, 0))
    ),
    /** The stores that have the credential, without opening it. It is read from the first. */
    holdersOf: (key: CredentialKey) =>
      Effect.filter(sealings, (sealing) => {
        const { file } = placeOf(nameOf(key), sealing)
        return Effect.mapError(fs.exists(file), readFailed(file))
      }).pipe(Effect.map((holders) => holders.map(({ store }) => store)))
  }
})

const isCorrupt = ({ reason }: StoreFailed) => reason === "Corrupt"

/** What a list leaves out: a file that is damaged or cannot be read hides no other. A missing key does, for it is missing for all. */
const isLeftOut = ({ reason }: StoreFailed) => reason === "Corrupt" || reason === "Unreadable"

/** The leases that are held in the directory, each with the path of its lock. A lock that cannot be read is left out. */
export const locks = Effect.fnUntraced(function* ({
  directory
}: {
  readonly directory: string
}): Effect.fn.Return<
  ReadonlyArray<FileLease.Held & { readonly lock: string }>,
  never,
  FileSystem.FileSystem | Path.Path
> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { look } = yield* FileLease.make("file")
  const names = yield* Effect.orElseSucceed(fs.readDirectory(directory), () => [])
  const found = yield* Effect.forEach(
    names.filter((name) => name.endsWith(".lock")),
    (name) => {
      const lock = path.join(directory, name)
      return Effect.orElseSucceed(
        Effect.map(
          look(lock),
          Option.map((held) => ({ ...held, lock }))
        ),
        Option.none
      )
    }
  )
  return found.flatMap(Option.toArray)
})
