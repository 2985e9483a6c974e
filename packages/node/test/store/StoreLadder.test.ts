/** Which store a credential goes to, and that it is not looked for elsewhere afterwards. */
import { afterAll, assert, it } from "@effect/vitest"
import { CredentialStoreContract } from "@keyfob/testing"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { CredentialStore, StoreFailed } from "keyfob"
import { mkdtempSync } from "node:fs"
import { rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { extname, join } from "node:path"
import * as EncryptionKey from "../../src/store/EncryptionKey.ts"
import * as FileCredentialStore from "../../src/store/FileCredentialStore.ts"
import { StoreLadder } from "../../src/store/StoreLadder.ts"
import * as Ladder from "../../src/store/StoreLadder.ts"
import { canary, credentialOf, key, keyOf } from "./interceptedFileSystem.ts"
import * as memoryKeychain from "./memoryKeychain.ts"
import { failsWith, generation, list, make, quiet, remove, write } from "./storePlace.ts"

const passphrase = [EncryptionKey.passphrase(Redacted.make("p"), { cost: 10 })] as const

const place = Effect.map(make, (place) => {
  const keychain = memoryKeychain.make()
  const logged: Array<string> = []
  const logger = Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])
  return {
    ...place,
    keychain,
    logged,
    extensions: Effect.map(place.names, (names) => names.map((name) => extname(name)).sort()),
    using: <A, E>(use: Effect.Effect<A, E, CredentialStore | StoreLadder>, keys?: typeof passphrase) =>
      use.pipe(
        Effect.provide(Ladder.layer({ directory: place.directory, keys }).pipe(Layer.provide([keychain.layer, quiet]))),
        Effect.provide(logger)
      )
  }
})

const live = <A, E>(name: string, test: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>) =>
  it.live(name, () => Effect.provide(test, quiet))

const holders = StoreLadder.use(({ holdersOf }) => holdersOf(key))
const choice = StoreLadder.use((ladder) =>
  Effect.map(ladder.choice, ({ passedOver, store }) => [...passedOver.map(({ reason }) => reason), store])
)

for (const failing of [undefined, "Unavailable"] as const) {
  const directory = mkdtempSync(join(tmpdir(), "keyfob-contract-"))
  afterAll(() => rm(directory, { recursive: true }))
  const keychain = memoryKeychain.make()
  if (failing !== undefined) keychain.state.failing = failing
  CredentialStoreContract.suite(
    `ladder, the keychain ${failing ?? "there"}`,
    Layer.provide(Ladder.layer({ directory: join(directory, "credentials") }), [keychain.layer, quiet]),
    { durable: true }
  )
}

live(
  "the keychain, else encrypted files where there is a key, else files; and it says which, and why",
  Effect.gen(function* () {
    for (const [failing, keys, expected, extension] of [
      [undefined, undefined, ["keychain"], ".keychain"],
      ["Locked", passphrase, ["Locked", "encrypted_file"], ".sealed"],
      ["Unavailable", undefined, ["Unavailable", "Locked", "file"], ".json"]
    ] as const) {
      const { extensions, keychain, logged, using } = yield* place
      if (failing !== undefined) keychain.state.failing = failing
      assert.deepStrictEqual(yield* using(choice, keys), [...expected])
      assert.isEmpty(yield* using(holders, keys))
      yield* using(write(credentialOf(1)), keys)
      assert.deepStrictEqual(yield* extensions, [extension])
      assert.deepStrictEqual(yield* using(holders, keys), expected.slice(-1))
      assert.lengthOf(logged, 1)
      assert.include(logged[0], `the store ${expected.at(-1)}`)
      if (failing !== undefined) assert.include(logged[0], "the keychain")
      assert.notInclude(logged.join(), canary)
    }
  })
)

live(
  "a credential in the keychain is not looked for elsewhere while the keychain is away, nor is another put elsewhere",
  Effect.gen(function* () {
    const { extensions, keychain, using } = yield* place
    yield* using(write(credentialOf(1)), passphrase)
    for (const failing of ["Unavailable", "Locked"] as const) {
      keychain.state.failing = failing
      const other = write(credentialOf(7, keyOf("other")))
      for (const attempt of [generation, list, write(credentialOf(2)), remove, other, choice])
        yield* using(failsWith<unknown, StoreFailed, CredentialStore | StoreLadder>(attempt, failing), passphrase)
      assert.deepStrictEqual(yield* using(holders, passphrase), ["keychain"])
      assert.deepStrictEqual(yield* extensions, [".keychain"])
    }
    delete keychain.state.failing
    assert.deepStrictEqual(yield* using(generation, passphrase), Option.some(1))
  })
)

live(
  "an encrypted credential needs its key, also where plain files would do",
  Effect.gen(function* () {
    const { extensions, keychain, using } = yield* place
    keychain.state.failing = "Unavailable"
    yield* using(write(credentialOf(1)), passphrase)
    const wrong = [EncryptionKey.passphrase(Redacted.make("q"), { cost: 10 })] as const
    yield* using(failsWith(generation, "Locked"), wrong)
    yield* using(failsWith(write(credentialOf(2)), "Locked"), wrong)
    yield* using(failsWith(generation, "Locked"))
    yield* using(failsWith(write(credentialOf(2)), "Locked"))
    assert.deepStrictEqual(yield* extensions, [".sealed"])
    assert.deepStrictEqual(yield* using(generation, passphrase), Option.some(1))
  })
)

live(
  "a credential stays where it is until it is removed; then it goes to the best there is",
  Effect.gen(function* () {
    const { directory, extensions, keychain, using } = yield* place
    const plain = FileCredentialStore.layer({ directory }).pipe(Layer.provide(quiet))
    yield* Effect.provide(write(credentialOf(1)), plain)
    assert.deepStrictEqual(yield* using(generation), Option.some(1))
    yield* using(write(credentialOf(2)))
    assert.deepStrictEqual(yield* extensions, [".json"])
    assert.deepStrictEqual(keychain.calls, [])
    yield* using(remove)
    assert.deepStrictEqual(yield* extensions, [])
    yield* using(write(credentialOf(3)))
    assert.deepStrictEqual(yield* extensions, [".keychain"])
    // Left by other settings: a sign-out leaves neither.
    yield* Effect.provide(write(credentialOf(1)), plain)
    yield* using(remove)
    assert.deepStrictEqual([yield* extensions, keychain.entries.size], [[], 0])
  })
)
