/** The stores of this machine beside plain files: its keychain, encrypted files, and the best there is. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type * as Redacted from "effect/Redacted"
import * as EncryptedFileCredentialStore from "@keyfob/node/EncryptedFileCredentialStore"
import * as EncryptionKey from "@keyfob/node/EncryptionKey"
import { Keychain } from "@keyfob/node/Keychain"
import * as KeychainCredentialStore from "@keyfob/node/KeychainCredentialStore"
import * as StoreLadder from "@keyfob/node/StoreLadder"
import type { CredentialKey, CredentialStore, StoreFailed } from "keyfob"
import type { Workspace } from "../workspace.ts"

export type Name = "keychain" | "encrypted_file" | "auto"

/** A login asks for the key twice: whether there is one, and to write. The command is run once, for it may ask a person. */
const commands = new WeakMap<object, EncryptionKey.KeySource>()
const commandOf = (line: NonNullable<Workspace["configuration"]["storeKeyCommand"]>) => {
  const source = commands.get(line) ?? EncryptionKey.remembered(EncryptionKey.command(line))
  commands.set(line, source)
  return source
}

/** Of the environment, of a command; of the keychain where there is neither. The former passphrase only reads. */
const keysOf = ({ configuration, directories, globals }: Workspace) => {
  const ofPassphrase = (text: Redacted.Redacted | undefined) =>
    text === undefined ? [] : [EncryptionKey.passphrase(text)]
  const [first, ...others] = [
    ...ofPassphrase(globals.storePassphrase),
    ...(configuration.storeKeyCommand === undefined ? [] : [commandOf(configuration.storeKeyCommand)])
  ]
  const former = ofPassphrase(globals.formerStorePassphrase)
  return first === undefined
    ? ([EncryptionKey.keychain({ directory: directories.credentials }), ...former] as const)
    : ([first, ...former, ...others] as const)
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

/** Where a new credential would go, and why to none before. May ask the person to unlock the keychain. */
export interface Ready {
  readonly store: string
  readonly passedOver: ReadonlyArray<StoreFailed>
}

/** Fails where no new credential can be put there. */
export const ready = (
  name: Name,
  opened: Workspace
): Effect.Effect<Ready, StoreFailed, FileSystem.FileSystem | Path.Path> => {
  const itself = { store: name, passedOver: [] }
  switch (name) {
    case "keychain":
      return Keychain.probe.pipe(Effect.as(itself), Effect.provide(Keychain.layer()))
    case "encrypted_file":
      return keysOf(opened)[0].pipe(Effect.as(itself), Effect.provide(Keychain.layer()))
    case "auto":
      return StoreLadder.StoreLadder.use(({ choice }) => choice).pipe(Effect.provide(ladder(opened)))
  }
}

/** Writes every encrypted file anew, with the key that new ones get. Gives how many. */
export const rotate = (opened: Workspace): Effect.Effect<number, StoreFailed, FileSystem.FileSystem | Path.Path> =>
  EncryptedFileCredentialStore.rotate({ directory: opened.directories.credentials, keys: keysOf(opened) }).pipe(
    Effect.provide(Keychain.layer())
  )

/** Which of the ladder's stores have the credential. Opens nothing. */
export const holdersOf = (opened: Workspace, key: CredentialKey) =>
  StoreLadder.StoreLadder.use((it) => it.holdersOf(key)).pipe(Effect.provide(ladder(opened)))
