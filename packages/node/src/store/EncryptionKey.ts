/** What encrypts credentials: 32 random bytes, or a passphrase. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import { printable, type StoreFailed } from "keyfob"
import { randomBytes, randomUUID } from "node:crypto"
import { type Program, programOutput } from "../programOutput.ts"
import * as DurableFile from "./DurableFile.ts"
import { errnoOf, failuresOf } from "./FileFailure.ts"
import * as FileLease from "./FileLease.ts"
import { Keychain } from "./Keychain.ts"

const { locked, unavailable, writeFailed } = failuresOf("encrypted_file")

export type EncryptionKey = Data.TaggedEnum<{
  readonly Random: { readonly bytes: Redacted.Redacted<Uint8Array> }
  /** Becomes a key through scrypt (RFC 7914) with N = 2^`cost`, r = 8, p = 1. */
  readonly Passphrase: { readonly passphrase: Redacted.Redacted; readonly cost: number }
}>
const { Passphrase, Random } = Data.taggedEnum<EncryptionKey>()

/** Where a key comes from. Asked when it is needed, and again only after it failed. */
export type KeySource<R = never> = Effect.Effect<EncryptionKey, StoreFailed, R>

/** A key's length in bytes: AES-256. */
export const length = 32

/** The same source, which is asked no more once it has given its key. */
export const remembered = <R>(source: KeySource<R>): KeySource<R> => {
  let known: EncryptionKey | undefined
  return Effect.suspend(() =>
    known === undefined
      ? Effect.tap(source, (found) => Effect.sync(() => (known = found)))
      : Effect.succeed<EncryptionKey>(known)
  )
}

/** None. What is encrypted is `Locked`. */
export const none: KeySource = Effect.fail(locked("encrypted files", "no passphrase or key command is configured"))

/**
 * A passphrase. Each step of `cost`, from 10 to 20, doubles time and memory of a guess, and of every process that opens
 * the store: 17 takes 128 MiB.
 */
export const passphrase = (text: Redacted.Redacted, options: { readonly cost?: number } = {}): KeySource =>
  Redacted.value(text) === ""
    ? Effect.fail(locked("the passphrase", "it is empty"))
    : Effect.succeed(Passphrase({ passphrase: text, cost: options.cost ?? 17 }))

/**
 * The passphrase that a command prints, without white space at its ends. The command is a program and its arguments: no
 * shell reads them. It has 30 s, may ask a person on its terminal, prints what is wrong on stderr, and sees the environment
 * without what was meant for Keyfob (`KEYFOB_…`).
 */
export const command = (
  program: Program,
  options: { readonly timeout?: Duration.Input; readonly cost?: number } = {}
): KeySource => {
  const timeout = options.timeout ?? "30 seconds"
  const location = printable(program[0])
  return programOutput(program, { timeout }).pipe(
    Effect.mapError((failure) =>
      failure._tag === "TimedOut"
        ? unavailable(location, `no answer in ${Duration.toSeconds(timeout)} s`)
        : locked(location, `it failed with ${failure.how}`)
    ),
    Effect.flatMap((printed) =>
      printed === "" ? Effect.fail(locked(location, "it printed nothing")) : passphrase(Redacted.make(printed), options)
    )
  )
}

/**
 * A random key in the operating system's keychain, made at its first use. The directory says under which name, so that
 * two directories have two keys.
 */
export const keychain = ({
  directory
}: {
  readonly directory: string
}): KeySource<Keychain | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const durable = yield* DurableFile.make
    const { hold } = yield* FileLease.make("encrypted_file")
    const { get, remove, set } = yield* Keychain
    const file = path.join(directory, "encryption-key")
    const named = fs.readFileString(file).pipe(
      Effect.map((text) => text.trim()),
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(undefined)),
      // Not `Unreadable`: a list leaves out what is unreadable, and here all that is encrypted would be left out.
      Effect.mapError((error) => locked(file, errnoOf(error)))
    )

    const make = Effect.fnUntraced(function* ({ check }: FileLease.FileLease) {
      const name = `encryption-key-${randomUUID()}`
      yield* set(name, Redacted.make(randomBytes(length).toString("base64url"))).pipe(
        Effect.andThen(durable.replace(file, name, check)),
        // The write may have failed and be there all the same: then others use that key already.
        Effect.onError(() =>
          Effect.ignore(Effect.flatMap(named, (shown) => (shown === name ? Effect.void : remove(name))))
        ),
        Effect.catchTag("PlatformError", (error) => Effect.fail(writeFailed(file)(error)))
      )
      return name
    })
    const prepare = Effect.mapError(durable.makeDirectory(directory), writeFailed(directory))
    const first = hold(`${file}.lock`, prepare, (lease) =>
      Effect.flatMap(named, (name) => (name === undefined ? make(lease) : Effect.succeed(name)))
    )

    const found = yield* get((yield* named) ?? (yield* first))
    const bytes = Buffer.from(Option.match(found, { onNone: () => "", onSome: Redacted.value }), "base64url")
    if (bytes.length !== length) return yield* locked(file, "the keychain has no such key")
    return Random({ bytes: Redacted.make(Uint8Array.from(bytes)) })
  })
