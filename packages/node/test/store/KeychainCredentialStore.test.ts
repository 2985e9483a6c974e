/** Credentials in a keychain: small entries, crashes, other processes. The keychain is in memory. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { CredentialStoreContract } from "@keyfob/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { AccessToken, Credential, CredentialStore, StoreFailed } from "keyfob"
import { mkdtempSync } from "node:fs"
import { rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as KeychainCredentialStore from "../../src/store/KeychainCredentialStore.ts"
import { canary, credentialOf, key, keyOf, layerFileSystem } from "./interceptedFileSystem.ts"
import * as memoryKeychain from "./memoryKeychain.ts"
import { failsWith, generation, list, make, quiet, remove, write } from "./storePlace.ts"

const place = (longest?: number) =>
  Effect.map(make, (place) => {
    const keychain = memoryKeychain.make(longest)
    return {
      ...place,
      keychain,
      /** Runs it in a store of its own, as another process would. */
      using: <A, E>(use: Effect.Effect<A, E, CredentialStore>, directory = place.directory) =>
        Effect.provide(use, KeychainCredentialStore.layer({ directory }).pipe(Layer.provide([keychain.layer, quiet])))
    }
  })

const live = <A, E>(name: string, test: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>) =>
  it.live(name, () => Effect.provide(test, quiet))

const directory = mkdtempSync(join(tmpdir(), "keyfob-contract-"))
afterAll(() => rm(directory, { recursive: true }))
CredentialStoreContract.suite(
  "keychain with small entries",
  KeychainCredentialStore.layer({ directory: join(directory, "credentials") }).pipe(
    Layer.provide([memoryKeychain.make(200).layer, quiet])
  ),
  { durable: true }
)

live(
  "the files tell where, and nothing else",
  Effect.gen(function* () {
    const { assertClosed, keychain, names, using } = yield* place()
    yield* using(Effect.andThen(write(credentialOf(1)), write(credentialOf(2))))
    yield* assertClosed
    assert.lengthOf(yield* names, 1)
    assert.strictEqual(keychain.entries.size, 1)
  })
)

live(
  "the keychain is asked once in a process, and again when another process wrote",
  Effect.gen(function* () {
    const { keychain, using } = yield* place()
    yield* using(write(credentialOf(1)))
    keychain.calls.length = 0
    yield* using(
      Effect.gen(function* () {
        for (const _ of [1, 2, 3]) assert.deepStrictEqual(yield* generation, Option.some(1))
        yield* list
        assert.lengthOf(keychain.calls, 1)
        // Twice: the entry has the name of before.
        yield* using(Effect.andThen(write(credentialOf(2)), write(credentialOf(3))))
        keychain.calls.length = 0
        for (const _ of [1, 2, 3]) assert.deepStrictEqual(yield* generation, Option.some(3))
        assert.lengthOf(keychain.calls, 1)
      })
    )
  })
)

live(
  "who is not signed in asks nobody",
  Effect.gen(function* () {
    const { keychain, using } = yield* place()
    keychain.state.failing = "Unavailable"
    assert.deepStrictEqual(yield* using(generation), Option.none())
    assert.deepStrictEqual(yield* using(list), [])
    yield* using(remove)
    assert.deepStrictEqual(keychain.calls, [])
  })
)

describe("an entry at a time", () => {
  live(
    "a credential of more than one entry is cut, put together, and removed whole",
    Effect.gen(function* () {
      const { keychain, using } = yield* place(100)
      const long = credentialOf(1, keyOf(`Ærø 🗝 ${"x".repeat(500)}`))
      yield* using(write(long))
      assert.isAbove(keychain.entries.size, 5)
      for (const text of keychain.entries.values()) assert.isAtMost(text.length, 100)
      const [found] = yield* using(list)
      assert.deepStrictEqual(found?.key.canonical, long.key.canonical)
      yield* using(CredentialStore.use((store) => store.modify(long.key, (slot) => slot.remove)))
      assert.strictEqual(keychain.entries.size, 0)
    })
  )

  live(
    "a failure or a crash at each call: old or new, and no entry is left behind by the next write",
    Effect.gen(function* () {
      for (const crash of [false, true]) {
        let calls = Infinity
        for (let at = 0; at < calls; at++) {
          const { keychain, using } = yield* place(100)
          yield* using(write(credentialOf(1)))
          const entries = keychain.entries.size
          keychain.calls.length = 0
          const failure = new StoreFailed({ reason: "Unavailable", store: "keychain", location: "k" })
          keychain.state.before = () => {
            const index = keychain.calls.length - 1
            return (crash ? index >= at : index === at) ? Effect.fail(failure) : Effect.void
          }
          const exit = yield* Effect.exit(using(write(credentialOf(2))))
          calls = Math.min(calls, keychain.calls.length + (Exit.isSuccess(exit) ? 0 : 100))
          keychain.state.before = () => Effect.void
          const found = Option.getOrThrow(yield* using(generation))
          if (Exit.isSuccess(exit)) assert.strictEqual(found, 2)
          else assert.strictEqual(found, 1)
          yield* using(write(credentialOf(3)))
          assert.deepStrictEqual(yield* using(generation), Option.some(3))
          yield* using(write(credentialOf(4)))
          assert.strictEqual(keychain.entries.size, entries, `${crash ? "crash" : "failure"} at call ${at}`)
          if (at > 60) assert.fail("no end")
        }
        assert.isAbove(calls, 10)
      }
    })
  )

  live(
    "what a crash left of a longer credential goes with the next writes",
    Effect.gen(function* () {
      const { keychain, using } = yield* place(100)
      yield* using(write(credentialOf(1)))
      const entries = keychain.entries.size
      let crashed = false
      keychain.state.before = (call) => {
        crashed ||= call.endsWith(` b ${entries + 5}`)
        return crashed ? Effect.die("the process ends") : Effect.void
      }
      const { token, ...rest } = credentialOf(2)
      const longToken = AccessToken.make({ ...token, value: Redacted.make("x".repeat(2000)) })
      yield* Effect.exit(using(write(Credential.make({ ...rest, token: longToken }))))
      assert.isAbove(keychain.entries.size, 2 * entries)
      keychain.state.before = () => Effect.void
      assert.deepStrictEqual(yield* using(generation), Option.some(1))
      yield* using(write(credentialOf(3)))
      assert.strictEqual(keychain.entries.size, entries)
    })
  )

  live(
    "a reader that two writers overtake, at each entry: the last one's, and no mixture",
    Effect.gen(function* () {
      for (let at = 0, parts = Infinity; at < parts; at++) {
        const { keychain, using } = yield* place(100)
        yield* using(write(credentialOf(1)))
        parts = keychain.entries.size
        let overtaken = false
        keychain.state.before = (call) => {
          if (overtaken || !call.startsWith("get") || !call.endsWith(` a ${at}`)) return Effect.void
          overtaken = true
          return Effect.andThen(using(write(credentialOf(2))), using(write(credentialOf(3))))
        }
        const found = Option.getOrThrow(yield* using(CredentialStore.use((store) => store.get(key))))
        assert.isTrue(overtaken)
        assert.strictEqual(found.generation, 3)
        assert.strictEqual(Redacted.value(found.token.value), `${canary}-3`)
        assert.strictEqual(found.refreshToken && Redacted.value(found.refreshToken), `${canary}-refresh-3`)
      }
    })
  )
})

describe("a writer that was stopped until another had its lease neither spoils nor removes what that one wrote", () => {
  for (const where of ["before its first entry", "after its last entry"] as const) {
    live(
      where,
      Effect.gen(function* () {
        const { directory, fs, keychain, names, path, using } = yield* place(100)
        yield* using(write(credentialOf(1)))
        let stopped = false
        const stop = Effect.gen(function* () {
          if (stopped) return
          stopped = true
          const lock = (yield* names).find((name) => name.endsWith(".lock")) ?? ""
          yield* fs.remove(path.join(directory, lock), { recursive: true })
          yield* using(write(credentialOf(2)))
        }).pipe(Effect.orDie)
        const files = layerFileSystem((method, path) =>
          where === "before its first entry" && method === "readDirectory" && path === directory ? stop : Effect.void
        )
        if (where === "after its last entry") {
          keychain.state.before = (call) => (call.startsWith("remove") ? stop : Effect.void)
        }
        const store = KeychainCredentialStore.layer({ directory }).pipe(
          Layer.provide([keychain.layer, Layer.merge(quiet, files)])
        )
        yield* Effect.provide(failsWith(write(credentialOf(9)), "Busy"), store)
        assert.isTrue(stopped)
        assert.deepStrictEqual(yield* using(generation), Option.some(2))
      })
    )
  }
})

describe("what is not as it should be", () => {
  for (const reason of ["Unavailable", "Locked"] as const) {
    live(
      `${reason}: told, never an empty store, and nothing is replaced or removed`,
      Effect.gen(function* () {
        const { keychain, names, using } = yield* place()
        yield* using(write(credentialOf(1)))
        const before = [yield* names, new Map(keychain.entries)]
        keychain.state.failing = reason
        for (const attempt of [generation, list, write(credentialOf(2)), remove])
          yield* using(failsWith<unknown, StoreFailed, CredentialStore>(attempt, reason))
        assert.deepStrictEqual([yield* names, keychain.entries], before)
        delete keychain.state.failing
        assert.deepStrictEqual(yield* using(generation), Option.some(1))
      })
    )
  }

  live(
    "entries that are gone, of another write or another credential: Corrupt, and a sign-in goes on",
    Effect.gen(function* () {
      const { directory, fs, keychain, names, path, using } = yield* place()
      yield* using(Effect.andThen(write(credentialOf(1)), write(credentialOf(7, keyOf("other")))))
      const mine = path.join(directory, (yield* names).find((name) => name.startsWith("work-login")) ?? "")
      const others = path.join(directory, (yield* names).find((name) => name.startsWith("other")) ?? "")
      const good = yield* fs.readFileString(mine)
      const entries = new Map(keychain.entries)
      const spoil = {
        gone: Effect.sync(() => keychain.entries.clear()),
        foreign: Effect.sync(() => {
          for (const name of entries.keys()) keychain.entries.set(name, `${entries.get(name)}`.replace(/^\S+/, "x"))
        }),
        swapped: fs.copyFile(others, mine),
        empty: fs.writeFileString(mine, ""),
        endless: fs.writeFileString(mine, good.replace(`"parts":1`, `"parts":1000000000`))
      }
      for (const [what, act] of Object.entries(spoil)) {
        yield* act
        yield* using(failsWith(generation, "Corrupt"))
        yield* fs.writeFileString(mine, good)
        for (const [name, text] of entries) keychain.entries.set(name, text)
        assert.deepStrictEqual(yield* using(generation), Option.some(1), what)
      }
      keychain.entries.clear()
      yield* using(write(credentialOf(2)))
      assert.deepStrictEqual(yield* using(generation), Option.some(2))
      assert.isDefined((yield* names).find((name) => name.includes(".corrupt-")))
    })
  )

  live(
    "two directories with one keychain do not share",
    Effect.gen(function* () {
      const { directory, using } = yield* place()
      yield* using(write(credentialOf(1)))
      yield* using(write(credentialOf(2)), `${directory}-other`)
      assert.deepStrictEqual(yield* using(generation), Option.some(1))
      yield* using(remove, `${directory}-other`)
      assert.deepStrictEqual(yield* using(generation), Option.some(1))
    })
  )
})
