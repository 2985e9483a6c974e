/** Credentials in the operating system's keychain; in a directory are their leases, and files that say who is there. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import { CredentialStore } from "keyfob"
import * as CredentialFiles from "./CredentialFiles.ts"
import type { Keychain } from "./Keychain.ts"
import * as KeychainEntries from "./KeychainEntries.ts"

/** The store over the keychain and a directory, made (0700) at the first `modify`. */
export const layer = ({
  directory
}: {
  readonly directory: string
}): Layer.Layer<CredentialStore, never, FileSystem.FileSystem | Path.Path | Keychain> =>
  Layer.effect(
    CredentialStore,
    Effect.gen(function* () {
      const sealings = [yield* KeychainEntries.make(directory)] as const
      return (yield* CredentialFiles.make({ name: "keychain", directory, sealings })).store
    })
  )
