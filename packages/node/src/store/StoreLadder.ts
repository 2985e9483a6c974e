/**
 * The best store this machine has: its keychain, else encrypted files where there is a key for them, else files.
 *
 * A credential stays where it was first written, and is asked for there alone: a keychain that is unavailable today is a
 * failure, not an empty store. Nor does another credential go below a store that has some and cannot be used now.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import { type CredentialKey, CredentialStore, type StoreFailed } from "keyfob"
import * as CredentialFiles from "./CredentialFiles.ts"
import * as Encryption from "./Encryption.ts"
import * as EncryptionKey from "./EncryptionKey.ts"
import type { Keychain } from "./Keychain.ts"
import * as KeychainEntries from "./KeychainEntries.ts"
import * as Sealing from "./Sealing.ts"

export class StoreLadder extends Context.Service<
  StoreLadder,
  {
    /**
     * Where a new credential would go, and why to none of those before: `keychain`, `encrypted_file`, `file`. Asks the
     * keychain; fails where one that has credentials cannot be used now.
     */
    readonly choice: Effect.Effect<
      { readonly store: string; readonly passedOver: ReadonlyArray<StoreFailed> },
      StoreFailed
    >
    /** Which stores have the credential: several where other settings left it with more than one; the first is asked for it. Opens nothing. */
    readonly holdersOf: (key: CredentialKey) => Effect.Effect<ReadonlyArray<string>, StoreFailed>
  }
>()("@keyfob/node/StoreLadder") {}

/** The stores over one directory. Without `keys` no credential goes to an encrypted file, and none there is opened. */
export const layer = <R = never>({
  directory,
  keys
}: {
  readonly directory: string
  readonly keys?: readonly [EncryptionKey.KeySource<R>, ...ReadonlyArray<EncryptionKey.KeySource<R>>] | undefined
}): Layer.Layer<CredentialStore | StoreLadder, never, FileSystem.FileSystem | Path.Path | Keychain | R> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const { choice, holdersOf, store } = yield* CredentialFiles.make({
        name: "auto",
        directory,
        sealings: [
          yield* KeychainEntries.make(directory),
          // Without a key there may still be credentials that take one.
          yield* Encryption.make({ directory, keys: keys ?? [EncryptionKey.none] }),
          Sealing.plain
        ]
      })
      return Context.make(CredentialStore, store).pipe(
        Context.add(StoreLadder, {
          choice: Effect.map(choice, ({ passedOver, sealing }) => ({ store: sealing.store, passedOver })),
          holdersOf
        })
      )
    })
  )
