/** Encrypted files: what an attacker with the disk, a wrong key or a crash can do about them. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { CredentialStoreContract } from "@keyfob/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { CredentialKey, CredentialStore, StoreFailed } from "keyfob"
import { existsSync, mkdtempSync } from "node:fs"
import { rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as EncryptedFileCredentialStore from "../../src/store/EncryptedFileCredentialStore.ts"
import * as EncryptionKey from "../../src/store/EncryptionKey.ts"
import * as FileCredentialStore from "../../src/store/FileCredentialStore.ts"
import { credentialOf, errno, keyOf, layerFileSystem } from "./interceptedFileSystem.ts"
import * as memoryKeychain from "./memoryKeychain.ts"
import { failsWith, generation, list, make, quiet, remove, write } from "./storePlace.ts"

const random = (fill: number): EncryptionKey.KeySource =>
  Effect.succeed({ _tag: "Random", bytes: Redacted.make(new Uint8Array(EncryptionKey.length).fill(fill)) })
// As little work as is accepted: the tests are about what a key does, not about how dear it is.
const passphrase = (text: string) => EncryptionKey.passphrase(Redacted.make(text), { cost: 10 })

type Keys = readonly [EncryptionKey.KeySource, ...ReadonlyArray<EncryptionKey.KeySource>]

const place = Effect.map(make, (place) => ({
  ...place,
  rotate: (keys: Keys) => EncryptedFileCredentialStore.rotate({ directory: place.directory, keys }),
  /** Runs it in a store of its own, as another process would. */
  using: <A, E>(keys: Keys, use: Effect.Effect<A, E, CredentialStore>) =>
    Effect.provide(
      use,
      EncryptedFileCredentialStore.layer({ directory: place.directory, keys }).pipe(Layer.provide(quiet))
    )
}))

const live = <A, E>(name: string, test: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>) =>
  it.live(name, () => Effect.provide(test, quiet))

for (const [name, keys] of Object.entries({ "a random key": random(1), "a passphrase": passphrase("open sesame") })) {
  const directory = mkdtempSync(join(tmpdir(), "keyfob-contract-"))
  describe(name, () => {
    afterAll(() => rm(directory, { recursive: true }))
    CredentialStoreContract.suite(
      `encrypted file, ${name}`,
      EncryptedFileCredentialStore.layer({ directory: join(directory, "credentials"), keys: [keys] }).pipe(
        Layer.provide(quiet)
      ),
      { durable: true }
    )
  })
}

live(
  "no secret in clear in any file, and none for others",
  Effect.gen(function* () {
    const { assertClosed, file, fs, names, using } = yield* place
    yield* using([passphrase("open sesame")], Effect.andThen(write(credentialOf(1)), write(credentialOf(2))))
    yield* assertClosed
    assert.lengthOf(yield* names, 1)
    const text = yield* fs.readFileString(yield* file(".sealed"))
    assert.notInclude(text, "sesame")
    assert.notInclude(text, "example.com")
  })
)

live(
  "each write has a nonce of its own",
  Effect.gen(function* () {
    const { file, fs, using } = yield* place
    const nonces = new Set<string>()
    for (let time = 0; time < 20; time++) {
      yield* using([random(1)], write(credentialOf(1)))
      nonces.add(JSON.parse(yield* fs.readFileString(yield* file(".sealed"))).nonce)
    }
    assert.strictEqual(nonces.size, 20)
  })
)

describe("a file that was changed opens for nobody, and is kept", () => {
  const head = (file: Uint8Array) => Array.from(file.keys()).slice(0, Buffer.from(file).indexOf("nonce"))
  for (const [what, source, bytes] of [
    ["each byte", random(1), (file: Uint8Array) => file.keys()],
    ["each byte of a passphrase's parameters", passphrase("p"), head]
  ] as const) {
    live(
      `${what}, in turn`,
      Effect.gen(function* () {
        const { file, fs, using } = yield* place
        yield* using([source], write(credentialOf(1)))
        const path = yield* file(".sealed")
        const good = yield* fs.readFile(path)
        yield* using(
          [source],
          Effect.gen(function* () {
            for (const index of bytes(good)) {
              const bad = Uint8Array.from(good)
              bad[index] = (bad[index] ?? 0) ^ 1
              yield* fs.writeFile(path, bad)
              yield* failsWith(generation, "Corrupt", "Locked")
              assert.deepStrictEqual(Uint8Array.from(yield* fs.readFile(path)), bad)
            }
            yield* fs.writeFile(path, good)
            assert.deepStrictEqual(yield* generation, Option.some(1))
          })
        )
      })
    )
  }

  live(
    "another spelling of the same bytes",
    Effect.gen(function* () {
      for (const account of ["a", "ab", "abc"]) {
        const { file, fs, using } = yield* place
        yield* using([random(1)], write(credentialOf(1, keyOf(account))))
        const path = yield* file(".sealed")
        const good = yield* fs.readFileString(path)
        const get = CredentialStore.use((store) => store.get(keyOf(account)))
        const { ciphertext } = JSON.parse(good)
        const spellings = ["", ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="]
          .flatMap((last) => [ciphertext.slice(0, -1) + last, ciphertext + last])
          .filter((text) => text !== ciphertext && text.length > 1)
        yield* using(
          [random(1)],
          Effect.forEach(spellings, (text) =>
            Effect.andThen(fs.writeFileString(path, good.replace(ciphertext, text)), failsWith(get, "Corrupt"))
          )
        )
      }
    })
  )

  live(
    "cut off anywhere",
    Effect.gen(function* () {
      const { file, fs, using } = yield* place
      yield* using([random(1)], write(credentialOf(1)))
      const path = yield* file(".sealed")
      const good = yield* fs.readFileString(path)
      yield* using(
        [random(1)],
        Effect.forEach([0, 1, 2, 10, 50, 100, 150, 200, good.length - 3, good.length - 1], (length) =>
          Effect.andThen(fs.writeFileString(path, good.slice(0, length)), failsWith(generation, "Corrupt"))
        )
      )
    })
  )

  live(
    "another credential's file in its place, of the same key",
    Effect.gen(function* () {
      const { file, fs, names, path, using } = yield* place
      yield* using([random(1)], write(credentialOf(1)))
      const mine = yield* file(".sealed")
      yield* using([random(1)], write(credentialOf(7, keyOf("other"))))
      const others = path.join(path.dirname(mine), (yield* names).find((name) => name.startsWith("other")) ?? "")
      const text = yield* fs.readFileString(others)
      yield* fs.copyFile(others, mine)
      yield* using([random(1)], failsWith(generation, "Corrupt"))
      assert.deepStrictEqual(
        (yield* using([random(1)], list)).map((found) => found.generation),
        [7]
      )
      // A sign-in goes on, and what was there is kept for who wants to know.
      yield* using([random(1)], write(credentialOf(2)))
      assert.deepStrictEqual(yield* using([random(1)], generation), Option.some(2))
      const aside = (yield* names).find((name) => name.includes(".corrupt-")) ?? ""
      assert.strictEqual(yield* fs.readFileString(path.join(path.dirname(mine), aside)), text)
    })
  )

  live(
    "parameters of scrypt that would take the machine's memory are refused before it runs",
    Effect.gen(function* () {
      const { file, fs, using } = yield* place
      yield* using([passphrase("p")], write(credentialOf(1)))
      const path = yield* file(".sealed")
      const good = yield* fs.readFileString(path)
      for (const N of [2 ** 30, 2 ** 21, 1, 0, -1024, 1025]) {
        yield* fs.writeFileString(path, good.replace(`"N":1024`, `"N":${N}`))
        yield* using([passphrase("p")], failsWith(generation, "Corrupt"))
      }
    })
  )
})

describe("a wrong key", () => {
  for (const [name, right, wrong] of [
    ["passphrase", passphrase("right"), passphrase("wrong")],
    ["random key", random(1), random(2)],
    ["kind of key", random(1), passphrase("right")]
  ] as const) {
    live(
      `${name}: Locked, and nothing is read, left out, replaced or removed`,
      Effect.gen(function* () {
        const { file, fs, names, using } = yield* place
        yield* using([right], write(credentialOf(1)))
        const path = yield* file(".sealed")
        const good = yield* fs.readFile(path)
        for (const attempt of [generation, list, write(credentialOf(2)), remove]) {
          const failure = yield* using([wrong], failsWith<unknown, StoreFailed, CredentialStore>(attempt, "Locked"))
          assert.strictEqual(failure.location, path)
          assert.strictEqual(failure.store, "encrypted_file")
        }
        assert.deepStrictEqual(yield* fs.readFile(path), good)
        assert.lengthOf(yield* names, 1)
        assert.deepStrictEqual(yield* using([right], generation), Option.some(1))
        // Another credential is its own affair.
        yield* using([wrong], write(credentialOf(3, keyOf("other"))))
        yield* using([right], remove)
        assert.deepStrictEqual(yield* using([wrong], generation), Option.none())
      })
    )
  }

  live(
    "a source that fails is told only where no other key fits",
    Effect.gen(function* () {
      const { using } = yield* place
      const failing = Effect.fail(new StoreFailed({ reason: "Unavailable", store: "keychain", location: "k" }))
      yield* using([random(1)], write(credentialOf(1)))
      assert.deepStrictEqual(yield* using([failing, random(1)], generation), Option.some(1))
      yield* using([failing, random(2)], failsWith(generation, "Unavailable"))
      yield* using([failing, random(1)], failsWith(write(credentialOf(2)), "Unavailable"))
      assert.deepStrictEqual(yield* using([random(1)], generation), Option.some(1))
    })
  )

  live(
    "an empty passphrase is none",
    Effect.gen(function* () {
      const { names, using } = yield* place
      yield* using([passphrase("")], failsWith(write(credentialOf(1)), "Locked"))
      assert.deepStrictEqual(yield* names, [])
    })
  )
})

describe("rotation", () => {
  live(
    "reads with any key, writes with the first, and rotate leaves nothing to the others",
    Effect.gen(function* () {
      const { rotate, using } = yield* place
      const both = [passphrase("new"), random(1)] as const
      yield* using([random(1)], Effect.andThen(write(credentialOf(1)), write(credentialOf(7, keyOf("other")))))
      assert.deepStrictEqual(yield* using(both, generation), Option.some(1))
      yield* using([random(1)], generation)
      assert.strictEqual(yield* rotate(both), 2)
      yield* using([random(1)], failsWith(generation, "Locked"))
      assert.deepStrictEqual((yield* using([passphrase("new")], list)).map((found) => found.generation).sort(), [1, 7])
    })
  )

  live(
    "a credential that no key opens is told, and the rest can be done again",
    Effect.gen(function* () {
      const { rotate, using } = yield* place
      yield* using([random(1)], write(credentialOf(1)))
      yield* using([random(3)], write(credentialOf(7, keyOf("other"))))
      yield* failsWith(rotate([random(2), random(1)]), "Locked")
      assert.strictEqual(yield* rotate([random(2), random(1), random(3)]), 2)
    })
  )

  live(
    "what is kept beside credentials is written anew, too; what is damaged stays, and keeps nothing up",
    Effect.gen(function* () {
      const { directory, fs, names, path, rotate, using } = yield* place
      // A note of the login supervisor's: no list shows it, and no login goes without it.
      const note = credentialOf(1, CredentialKey.make({ ...keyOf("noted"), use: "logins" }))
      yield* using([random(1)], Effect.andThen(write(note), write(credentialOf(1))))
      const damaged = path.join(directory, `damaged-${"0".repeat(64)}.sealed`)
      yield* fs.writeFileString(damaged, "?", { mode: 0o600 })
      assert.strictEqual(yield* rotate([random(2), random(1)]), 2)
      const found = yield* using(
        [random(2)],
        CredentialStore.use((store) => store.get(note.key))
      )
      assert.isTrue(Option.isSome(found))
      assert.strictEqual(yield* fs.readFileString(damaged), "?")
      assert.lengthOf(yield* names, 3)
    })
  )
})

live(
  "one run of scrypt opens every credential, whoever wrote it",
  Effect.gen(function* () {
    const { directory, fs, names, path, using } = yield* place
    for (const account of ["a", "b", "c"]) yield* using([passphrase("p")], write(credentialOf(1, keyOf(account))))
    const salts = new Set<string>()
    for (const name of yield* names)
      salts.add(JSON.parse(yield* fs.readFileString(path.join(directory, name))).kdf.salt)
    assert.strictEqual(salts.size, 1)
  })
)

live(
  "a salt that somebody else put into the directory is not used, be it only there or in a file that was tried",
  Effect.gen(function* () {
    const { directory, fs, names, path, using } = yield* place
    const planted = keyOf("planted")
    yield* using([passphrase("of the attacker")], write(credentialOf(1, planted)))
    yield* using([passphrase("p")], write(credentialOf(1, keyOf("a"))))
    yield* using(
      [passphrase("p")],
      Effect.gen(function* () {
        yield* failsWith(
          CredentialStore.use(({ get }) => get(planted)),
          "Locked"
        )
        yield* write(credentialOf(1, keyOf("b")))
      })
    )
    const salts: Record<string, string> = {}
    for (const name of yield* names) {
      const account = name.slice(0, name.indexOf("-"))
      salts[account] = JSON.parse(yield* fs.readFileString(path.join(directory, name))).kdf.salt
    }
    assert.strictEqual(salts["b"], salts["a"])
    assert.notStrictEqual(salts["a"], salts["planted"])
  })
)

live(
  "a passphrase is never stretched less than asked for, whatever stands in other files, or in this one",
  Effect.gen(function* () {
    const { directory, fs, names, path, using } = yield* place
    const dearer = EncryptionKey.passphrase(Redacted.make("p"), { cost: 11 })
    yield* using([passphrase("p")], Effect.andThen(write(credentialOf(1)), write(credentialOf(1, keyOf("other")))))
    yield* using([dearer], Effect.andThen(write(credentialOf(2)), write(credentialOf(2, keyOf("third")))))
    const costs = yield* Effect.forEach(yield* names, (name) =>
      Effect.map(fs.readFileString(path.join(directory, name)), (text) => [name.slice(0, 5), JSON.parse(text).kdf.N])
    )
    assert.deepStrictEqual(Object.fromEntries(costs), { "work-": 2048, other: 1024, third: 2048 })
  })
)

live(
  "plain and encrypted files of one directory do not see each other",
  Effect.gen(function* () {
    const { directory, using } = yield* place
    const plainly = <A, E>(use: Effect.Effect<A, E, CredentialStore>) =>
      Effect.provide(use, FileCredentialStore.layer({ directory }).pipe(Layer.provide(quiet)))
    yield* plainly(write(credentialOf(1)))
    assert.deepStrictEqual(yield* using([random(1)], generation), Option.none())
    yield* using([random(1)], write(credentialOf(2)))
    assert.deepStrictEqual(yield* plainly(generation), Option.some(1))
    yield* using([random(1)], remove)
    assert.deepStrictEqual(yield* plainly(generation), Option.some(1))
  })
)

describe("a passphrase from a command", () => {
  const node = (script: string, ...args: ReadonlyArray<string>) =>
    EncryptionKey.command([process.execPath, "-e", script, ...args], { cost: 10 })
  const textOf = (source: EncryptionKey.KeySource) =>
    Effect.map(source, (found) => (found._tag === "Passphrase" ? Redacted.value(found.passphrase) : ""))

  live(
    "what it prints, trimmed; its arguments go through no shell",
    Effect.gen(function* () {
      const argument = `$(echo no); 'a' "b" * > c`
      const printed = yield* textOf(node("console.log(' ' + process.argv[1] + '\\n')", argument))
      assert.strictEqual(printed, argument)
    })
  )

  live(
    "it does not see what was meant for Keyfob",
    Effect.gen(function* () {
      process.env["KEYFOB_CLIENT_SECRET"] = "canary"
      yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env["KEYFOB_CLIENT_SECRET"]))
      const printed = yield* textOf(
        node("console.log(process.env.PATH !== undefined, process.env.KEYFOB_CLIENT_SECRET)")
      )
      assert.strictEqual(printed, "true undefined")
    })
  )

  live(
    "one that fails, is missing, prints nothing or too much: Locked, and not a word of what it printed",
    Effect.gen(function* () {
      for (const bad of [
        node("console.log('canary-77ab01'); process.exit(3)"),
        node("console.log('')"),
        node("process.stdout.write('canary-77ab01'.repeat(20000))"),
        EncryptionKey.command(["/nowhere/program"])
      ]) {
        yield* failsWith(bad, "Locked")
      }
    })
  )

  it.effect("one that does not end is ended: Unavailable", () =>
    Effect.gen(function* () {
      const { fs, path, directory } = yield* place
      yield* fs.makeDirectory(directory)
      const file = path.join(directory, "pid")
      const script = `const fs = require("fs"); fs.writeFileSync(process.argv[1] + ".new", String(process.pid));
        fs.renameSync(process.argv[1] + ".new", process.argv[1]); setInterval(() => {}, 1000)`
      const source = EncryptionKey.command([process.execPath, "-e", script, file], { timeout: "1 second" })
      const asking = yield* Effect.forkChild(failsWith(source, "Unavailable"))
      const moment = Effect.promise(() => new Promise((done) => setTimeout(done, 10)))
      yield* Effect.repeat(Effect.andThen(moment, fs.exists(file)), { until: (there) => there })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(asking)
      const pid = Number(yield* fs.readFileString(file))
      // Killed and reaped, or about to be.
      yield* Effect.repeat(
        Effect.map(moment, () => isThere(pid)),
        { while: (there) => there }
      )
    }).pipe(Effect.provide(quiet))
  )

  live(
    "is asked once by a store that opens much, and again after it failed",
    Effect.gen(function* () {
      const { using } = yield* place
      let asked = 0
      const source = Effect.suspend(() =>
        ++asked === 1
          ? Effect.fail(new StoreFailed({ reason: "Unavailable", store: "x", location: "y" }))
          : passphrase("p")
      )
      yield* using(
        [source],
        Effect.gen(function* () {
          yield* failsWith(write(credentialOf(1)), "Unavailable")
          yield* write(credentialOf(1))
          yield* Effect.all([generation, list, write(credentialOf(2)), generation], { concurrency: "unbounded" })
        })
      )
      assert.strictEqual(asked, 2)
    })
  )
})

const isThere = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe("a key from the keychain", () => {
  const withKeychain = (keychain: ReturnType<typeof memoryKeychain.make>, directory: string) =>
    EncryptedFileCredentialStore.layer({ directory, keys: [EncryptionKey.keychain({ directory })] }).pipe(
      Layer.provide([keychain.layer, quiet])
    )

  live(
    "is made once, by whoever comes first, and asked for once in a process",
    Effect.gen(function* () {
      const { assertClosed, directory } = yield* place
      const keychain = memoryKeychain.make()
      yield* Effect.forEach(
        ["a", "b", "c", "d"],
        (account) => Effect.provide(write(credentialOf(1, keyOf(account))), withKeychain(keychain, directory)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(keychain.entries.size, 1)
      keychain.calls.length = 0
      yield* Effect.provide(
        Effect.gen(function* () {
          assert.lengthOf(yield* list, 4)
          yield* write(credentialOf(1))
          yield* generation
        }),
        withKeychain(keychain, directory)
      )
      assert.lengthOf(keychain.calls, 1)
      yield* assertClosed
    })
  )

  live(
    "whose name was written, though the write failed or was stopped: it stays in the keychain, for others have it",
    Effect.gen(function* () {
      for (const how of ["fails", "is stopped"]) {
        const { directory, file, fs } = yield* place
        const keychain = memoryKeychain.make()
        let after = false
        const last = Effect.gen(function* () {
          after = true
          // Another process has the name by now, and uses the key.
          yield* Effect.orDie(Effect.provide(write(credentialOf(1)), withKeychain(keychain, directory)))
          return yield* how === "fails" ? Effect.fail(errno("EIO")) : Effect.interrupt
        })
        const intercepted = layerFileSystem((method, path) =>
          Effect.suspend(() =>
            method === "open" && path === directory && !after && existsSync(join(directory, "encryption-key"))
              ? last
              : Effect.void
          )
        )
        const source = EncryptionKey.keychain({ directory })
        const exit = yield* Effect.exit(Effect.provide(source, [keychain.layer, Layer.merge(quiet, intercepted)]))
        assert.isTrue(Exit.isFailure(exit) && after, how)
        assert.strictEqual(keychain.entries.size, 1)
        const again = Effect.provide(generation, withKeychain(keychain, directory))
        assert.deepStrictEqual(yield* again, Option.some(1))
        assert.isTrue(yield* fs.exists(yield* file(".sealed")))
      }
    })
  )

  live(
    "whose name cannot be read: told, never an empty list",
    Effect.gen(function* () {
      const { directory, fs, path } = yield* place
      const keychain = memoryKeychain.make()
      const run = <A, E>(use: Effect.Effect<A, E, CredentialStore>) =>
        Effect.provide(use, withKeychain(keychain, directory))
      yield* run(write(credentialOf(1)))
      yield* fs.remove(path.join(directory, "encryption-key"))
      yield* fs.makeDirectory(path.join(directory, "encryption-key"))
      yield* run(failsWith(list, "Locked"))
    })
  )

  live(
    "that is gone, or does not answer: the files stay as they are, and no other key is made",
    Effect.gen(function* () {
      const { directory, file, fs } = yield* place
      const keychain = memoryKeychain.make()
      const run = <A, E>(use: Effect.Effect<A, E, CredentialStore>) =>
        Effect.provide(use, withKeychain(keychain, directory))
      yield* run(write(credentialOf(1)))
      const good = yield* fs.readFile(yield* file(".sealed"))
      keychain.state.failing = "Unavailable"
      yield* run(failsWith(generation, "Unavailable"))
      yield* run(failsWith(write(credentialOf(2)), "Unavailable"))
      delete keychain.state.failing
      const before = new Map(keychain.entries)
      keychain.entries.clear()
      yield* run(failsWith(generation, "Locked"))
      yield* run(failsWith(write(credentialOf(2)), "Locked"))
      assert.strictEqual(keychain.entries.size, 0)
      assert.deepStrictEqual(yield* fs.readFile(yield* file(".sealed")), good)
      for (const [name, text] of before) keychain.entries.set(name, text)
      assert.deepStrictEqual(yield* run(generation), Option.some(1))
    })
  )
})
