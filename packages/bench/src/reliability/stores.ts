/** The stores that are put to the test. Each is a name and a location, so that a process can be told on its command line. */
import { NodeServices } from "@effect/platform-node"
import * as EncryptedFileCredentialStore from "@keyfob/node/EncryptedFileCredentialStore"
import * as EncryptionKey from "@keyfob/node/EncryptionKey"
import * as FileCredentialStore from "@keyfob/node/FileCredentialStore"
import { Keychain } from "@keyfob/node/Keychain"
import * as KeychainCredentialStore from "@keyfob/node/KeychainCredentialStore"
import { Layer, Redacted } from "effect"
import type { CredentialStore } from "keyfob"
import { sharedStores } from "./sharedStores.ts"

// A cheap one: its cost, of time and memory, is paid by each of 64 processes at once.
const passphrase = EncryptionKey.passphrase(Redacted.make("correct horse"), { cost: 10 })

export const stores = {
  ...sharedStores,
  file: (directory: string) => FileCredentialStore.layer({ directory }).pipe(Layer.provide(NodeServices.layer)),
  encrypted_file: (directory: string) =>
    EncryptedFileCredentialStore.layer({ directory, keys: [passphrase] }).pipe(Layer.provide(NodeServices.layer)),
  keychain: (directory: string) =>
    KeychainCredentialStore.layer({ directory }).pipe(Layer.provide([Keychain.layer(), NodeServices.layer]))
} satisfies Record<string, (location: string) => Layer.Layer<CredentialStore>>

export type StoreName = keyof typeof stores

export const isStoreName = (name: string): name is StoreName => Object.hasOwn(stores, name)
