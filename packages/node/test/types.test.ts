/**
 * What the stores' public signatures say, held by the compiler (`npm run typecheck`): what a layer needs is what its users
 * must have, and an error that grows by accident breaks them.
 */
import { Redacted } from "effect"
import type { Effect, FileSystem, Layer, Path } from "effect"
import type { Redis } from "effect/persistence"
import type { SqlClient } from "effect/sql"
import type {
  AssertionSource,
  ClientCertificate,
  ConfigurationInvalid,
  CredentialKey,
  CredentialStore,
  SigningKey,
  StoreFailed
} from "keyfob"
import {
  Certificate,
  EncryptedFileCredentialStore,
  Encryption,
  EncryptionKey,
  FileCredentialStore,
  Keychain,
  KeychainCredentialStore,
  LocalAssertion,
  PrivateKey,
  RedisCredentialStore,
  SqlCredentialStore,
  StoreLadder
} from "@keyfob/node"
import { describe, expectTypeOf, it } from "vitest"

type Files = FileSystem.FileSystem | Path.Path
const directory = "credentials"
const passphrase = EncryptionKey.passphrase(Redacted.make("open sesame"))

describe("types", () => {
  it("a store on this machine needs files, one of the keychain the keychain as well; none fails before it is asked", () => {
    expectTypeOf(FileCredentialStore.layer({ directory })).toEqualTypeOf<Layer.Layer<CredentialStore, never, Files>>()
    expectTypeOf(KeychainCredentialStore.layer({ directory })).toEqualTypeOf<
      Layer.Layer<CredentialStore, never, Files | Keychain>
    >()
    expectTypeOf(Keychain.layer()).toEqualTypeOf<Layer.Layer<Keychain>>()
    expectTypeOf(Keychain.probe).toEqualTypeOf<Effect.Effect<void, StoreFailed, Keychain>>()
  })

  it("encrypted files need what their keys need", () => {
    expectTypeOf(passphrase).toEqualTypeOf<EncryptionKey.KeySource>()
    expectTypeOf(EncryptionKey.command(["pass", "show", "keyfob"])).toEqualTypeOf<EncryptionKey.KeySource>()
    const ofKeychain = EncryptionKey.keychain({ directory })
    expectTypeOf(ofKeychain).toEqualTypeOf<EncryptionKey.KeySource<Keychain | Files>>()
    const layer = EncryptedFileCredentialStore.layer({ directory, keys: [passphrase] })
    expectTypeOf(layer).toEqualTypeOf<Layer.Layer<CredentialStore, never, Files>>()
    expectTypeOf(EncryptedFileCredentialStore.layer({ directory, keys: [ofKeychain] })).toEqualTypeOf<
      Layer.Layer<CredentialStore, never, Files | Keychain>
    >()
    expectTypeOf(EncryptedFileCredentialStore.rotate({ directory, keys: [passphrase] })).toEqualTypeOf<
      Effect.Effect<number, StoreFailed, Files>
    >()
    // @ts-expect-error -- without a key there is nothing to encrypt with
    const open = () => EncryptedFileCredentialStore.layer({ directory, keys: [] })
    // @ts-expect-error -- a passphrase in clear
    const clear = () => EncryptionKey.passphrase("open sesame")
    expectTypeOf([open, clear]).toBeArray()
  })

  it("the best store says where it would put a credential, and who has one", () => {
    expectTypeOf(StoreLadder.layer({ directory })).toEqualTypeOf<
      Layer.Layer<CredentialStore | StoreLadder.StoreLadder, never, Files | Keychain>
    >()
    type Ladder = StoreLadder.StoreLadder["Service"]
    expectTypeOf<Ladder["choice"]>().toEqualTypeOf<
      Effect.Effect<{ readonly store: string; readonly passedOver: ReadonlyArray<StoreFailed> }, StoreFailed>
    >()
    expectTypeOf<Ladder["holdersOf"]>().toEqualTypeOf<
      (key: CredentialKey) => Effect.Effect<ReadonlyArray<string>, StoreFailed>
    >()
  })

  it("what a client proves itself with fails as configuration does, and needs nothing: it fits where it is asked for", () => {
    type Key = Effect.Effect<SigningKey.SigningKey, ConfigurationInvalid>
    expectTypeOf(PrivateKey.file("key.pem")).toEqualTypeOf<Key>()
    expectTypeOf(PrivateKey.fromText).returns.toEqualTypeOf<Key>()
    const certificate = Certificate.files({ certificate: "app.pem", key: "app.key" })
    expectTypeOf(certificate).toEqualTypeOf<Effect.Effect<ClientCertificate.ClientCertificate, ConfigurationInvalid>>()
    expectTypeOf(certificate).toExtend<ClientCertificate.CertificateSource>()
    expectTypeOf(LocalAssertion.file("token")).toExtend<AssertionSource>()
    expectTypeOf(LocalAssertion.command(["program", "argument"])).toExtend<AssertionSource>()
    // @ts-expect-error -- a line for a shell
    const line = () => LocalAssertion.command("program argument")
    expectTypeOf(line).toBeFunction()
  })

  it("a store that hosts share needs its service alone, and its errors can be the store's", () => {
    expectTypeOf(RedisCredentialStore.layer).toEqualTypeOf<Layer.Layer<CredentialStore, never, Redis.Redis>>()
    expectTypeOf(SqlCredentialStore.layer).toEqualTypeOf<
      Layer.Layer<CredentialStore, StoreFailed, SqlClient.SqlClient>
    >()
    expectTypeOf(RedisCredentialStore.failureOf).returns.toEqualTypeOf<StoreFailed>()
    expectTypeOf(SqlCredentialStore.failureOf).returns.toEqualTypeOf<StoreFailed>()
    const sealing = Encryption.make({ keys: [passphrase] })
    expectTypeOf<Effect.Services<typeof sealing>>().toEqualTypeOf<Files>()
    expectTypeOf<Effect.Error<typeof sealing>>().toBeNever()
    expectTypeOf<Effect.Success<typeof sealing>>().toExtend<Parameters<typeof RedisCredentialStore.layerSealed>[0]>()
    expectTypeOf(SqlCredentialStore.layerSealed).returns.toEqualTypeOf<typeof SqlCredentialStore.layer>()
  })
})
