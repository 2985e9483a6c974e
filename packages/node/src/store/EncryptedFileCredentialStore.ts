/**
 * Credentials in encrypted files: as in the file store, but that a file takes a
 * key to be read. Who lacks it neither reads, nor replaces, nor removes what is there (`Locked`).
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import { CredentialStore, type StoreFailed } from "keyfob"
import * as CredentialFiles from "./CredentialFiles.ts"
import * as Encryption from "./Encryption.ts"
import type { KeySource } from "./EncryptionKey.ts"

/** The store over a directory, made (0700) at the first `modify`. It writes with the first key and reads with all. */
export const layer = <R = never>({
  directory,
  keys
}: {
  readonly directory: string
  readonly keys: readonly [KeySource<R>, ...ReadonlyArray<KeySource<R>>]
}): Layer.Layer<CredentialStore, never, FileSystem.FileSystem | Path.Path | R> =>
  Layer.effect(
    CredentialStore,
    Effect.gen(function* () {
      const sealings = [yield* Encryption.make({ directory, keys })] as const
      return (yield* CredentialFiles.make({ name: "encrypted_file", directory, sealings })).store
    })
  )

/**
 * Writes every credential anew, each under its lease, so that the first key alone reads them all. Gives their number.
 * Where one takes a key that is not among the store's, it fails with `Locked`, and may be run again.
 */
export const rotate: Effect.Effect<number, StoreFailed, CredentialStore> = Effect.gen(function* () {
  const { list, modify } = yield* CredentialStore
  const rewritten = yield* Effect.forEach(yield* list, ({ key }) =>
    modify(key, ({ read, write }) =>
      Effect.flatMap(read, (found) => (Option.isSome(found) ? Effect.as(write(found.value), 1) : Effect.succeed(0)))
    )
  )
  return rewritten.reduce<number>((sum, one) => sum + one, 0)
})
