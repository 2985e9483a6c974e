/** The stores of this machine beside plain files: its keychain, encrypted files, and the best there is. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as EncryptedFileCredentialStore from "@keyfob/node/EncryptedFileCredentialStore"
import * as EncryptionKey from "@keyfob/node/EncryptionKey"
import { Keychain } from "@keyfob/node/Keychain"
import * as KeychainCredentialStore from "@keyfob/node/KeychainCredentialStore"
import * as StoreLadder from "@keyfob/node/StoreLadder"
import type { CredentialKey, CredentialStore, StoreFailed } from "keyfob"
import type { Workspace } from "../workspace.ts"

export type Name = "keychain" | "encrypted_file" | "auto"

/** Of the environment, of a command; of the keychain where there is neither. */
const keysOf = ({ configuration, directories, globals }: Workspace) => {
  const [first, ...others] = [
    ...(globals.storePassphrase === undefined ? [] : [EncryptionKey.passphrase(globals.storePassphrase)]),
    ...(configuration.storeKeyCommand === undefined ? [] : [EncryptionKey.command(configuration.storeKeyCommand)])
  ]
  return first === undefined
    ? ([EncryptionKey.keychain({ directory: directories.credentials })] as const)
    : ([first, ...others] as const)
}

const ladder = (opened: Workspace) =>
  StoreLadder.layer({ directory: opened.directories.credentials, keys: keysOf(opened) }).pipe(
    Layer.provideMerge(Keychain.layer())
  )

export const layer = (
  name: Name,
  opened: Workspace
): Layer.Layer<CredentialStore, never, FileSystem.FileSystem | Path.Path> => {
  const { credentials: directory } = opened.directories
  switch (name) {
    case "keychain":
      return KeychainCredentialStore.layer({ directory }).pipe(Layer.provide(Keychain.layer()))
    case "encrypted_file":
      return EncryptedFileCredentialStore.layer({ directory, keys: keysOf(opened) }).pipe(
        Layer.provide(Keychain.layer())
      )
    case "auto":
      return ladder(opened)
  }
}

/** Whether the keychain can be used: writes and removes an entry, and may ask the person to unlock it. */
export const keychain = Keychain.probe.pipe(Effect.provide(Keychain.layer()))

/** Fails where no new credential can be put there. */
export const ready = (
  name: Name,
  opened: Workspace
): Effect.Effect<void, StoreFailed, FileSystem.FileSystem | Path.Path> => {
  switch (name) {
    case "keychain":
      return keychain
    case "encrypted_file":
      return Effect.asVoid(keysOf(opened)[0]).pipe(Effect.provide(Keychain.layer()))
    case "auto":
      return Effect.asVoid(choice(opened))
  }
}

/** Which of the ladder's stores has the credential. Opens nothing. */
export const holderOf = (opened: Workspace, key: CredentialKey) =>
  StoreLadder.StoreLadder.use((it) => it.holderOf(key)).pipe(Effect.provide(ladder(opened)))

/** Where the ladder would put a new credential, and why to none before: may ask the person to unlock the keychain. */
export const choice = (opened: Workspace) =>
  StoreLadder.StoreLadder.use((it) => it.choice).pipe(Effect.provide(ladder(opened)))
