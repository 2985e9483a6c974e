/**
 * Credentials in encrypted files: as in the file store, but that a file takes a
 * key to be read. Who lacks it neither reads, nor replaces, nor removes what is there (`Locked`).
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import { CredentialStore, type StoreFailed } from "keyfob"
import * as CredentialFiles from "./CredentialFiles.ts"
import * as Encryption from "./Encryption.ts"
import type { KeySource } from "./EncryptionKey.ts"

interface Options<R> {
  readonly directory: string
  readonly keys: readonly [KeySource<R>, ...ReadonlyArray<KeySource<R>>]
}

const make = Effect.fnUntraced(function* <R>({ directory, keys }: Options<R>) {
  const sealings = [yield* Encryption.make({ directory, keys })] as const
  return yield* CredentialFiles.make({ name: "encrypted_file", directory, sealings })
})

/** The store over a directory, made (0700) at the first `modify`. It writes with the first key and reads with all. */
export const layer = <R = never>(
  options: Options<R>
): Layer.Layer<CredentialStore, never, FileSystem.FileSystem | Path.Path | R> =>
  Layer.effect(
    CredentialStore,
    Effect.map(make(options), ({ store }) => store)
  )

/**
 * Writes every encrypted file of the directory anew, each under its lease, so that the first key alone reads them all.
 * Gives how many. Where one takes a key that is not among `keys` it fails with `Locked`, and may be run again; what is
 * damaged, and opens with no key, is left as it is with a warning.
 */
export const rotate = <R = never>(
  options: Options<R>
): Effect.Effect<number, StoreFailed, FileSystem.FileSystem | Path.Path | R> =>
  Effect.flatMap(make(options), ({ rewrite }) => rewrite)
