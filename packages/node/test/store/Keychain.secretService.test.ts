/** The keychain on Linux: a real Secret Service, which may be locked, hang, or not be there. */
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import { CredentialStoreContract } from "@keyfob/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { CredentialStore, StoreFailed } from "keyfob"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync } from "node:fs"
import { readFile, rm } from "node:fs/promises"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Keychain } from "../../src/store/Keychain.ts"
import { program, type Question } from "../../src/store/keychainProcess.ts"
import * as KeychainCredentialStore from "../../src/store/KeychainCredentialStore.ts"
import { credentialOf } from "./interceptedFileSystem.ts"
import * as secretService from "./secretService.ts"
import { failsWith, generation, make, quiet, remove, write } from "./storePlace.ts"

const bus = "DBUS_SESSION_BUS_ADDRESS"
const before = process.env[bus]
const useBus = (address: string | undefined) => {
  if (address === undefined) delete process.env[bus]
  else process.env[bus] = address
}
const directory = mkdtempSync(join(tmpdir(), "keyfob-keychain-"))
const scope = Scope.makeUnsafe()
beforeAll(() =>
  Effect.runPromise(Effect.map(Scope.provide(secretService.make, scope), ({ address }) => useBus(address)))
)
afterAll(async () => {
  useBus(before)
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await rm(directory, { recursive: true })
})

CredentialStoreContract.suite(
  "keychain, a real Secret Service",
  KeychainCredentialStore.layer({ directory: join(directory, "credentials") }).pipe(
    Layer.provide([Keychain.layer(), quiet])
  ),
  { durable: true }
)

const live = <A, E>(name: string, test: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>) =>
  it.live(name, () => Effect.provide(test, quiet), 120_000)

/** Runs it on a bus of that address alone. */
const onBus = (address: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = process.env[bus]
      useBus(address)
      return before
    }),
    (before) => Effect.sync(() => useBus(before))
  )

const short = Keychain.layer({ timeout: "1 second" })

/** A store with a credential in a keyring of the test's own. */
const place = Effect.gen(function* () {
  const secrets = yield* secretService.make
  yield* onBus(secrets.address)
  const { directory } = yield* make
  const using = <A, E>(use: Effect.Effect<A, E, CredentialStore>, keychain = Keychain.layer()) =>
    Effect.provide(use, KeychainCredentialStore.layer({ directory }).pipe(Layer.provide([keychain, quiet])))
  yield* using(write(credentialOf(1)))
  return { secrets, using }
})

const attempts: ReadonlyArray<Effect.Effect<unknown, StoreFailed, CredentialStore>> = [
  generation,
  write(credentialOf(2)),
  remove
]

live(
  "entries of any text and 100 kB, read by another process, removed once",
  Effect.gen(function* () {
    const text = `Ærø 🗝 "'\\\u0000\n${"x".repeat(100_000)}`
    yield* Effect.provide(
      Keychain.use(({ set }) => set("any", Redacted.make(text))),
      Keychain.layer()
    )
    yield* Effect.gen(function* () {
      const { get, remove } = yield* Keychain
      assert.deepStrictEqual(Option.map(yield* get("any"), Redacted.value), Option.some(text))
      assert.isTrue(yield* remove("any"))
      assert.isFalse(yield* remove("any"))
      assert.deepStrictEqual(yield* get("any"), Option.none())
      yield* Keychain.probe
      assert.deepStrictEqual(yield* get("probe"), Option.none())
    }).pipe(Effect.provide(Keychain.layer()))
  })
)

live(
  "a locked keyring whose prompt nobody answers: Locked, and all is there when it is unlocked",
  Effect.gen(function* () {
    const { secrets, using } = yield* place
    yield* secrets.lock
    for (const attempt of attempts) yield* using(failsWith(attempt, "Locked"))
    yield* Effect.provide(failsWith(Keychain.probe, "Locked"), Keychain.layer())
    yield* secrets.unlock
    assert.deepStrictEqual(yield* using(generation), Option.some(1))
  })
)

live(
  "a service that owns its name and never answers: Unavailable in time, and all is there when it does again",
  Effect.gen(function* () {
    const { secrets, using } = yield* place
    yield* secrets.hang
    for (const attempt of attempts) {
      const { detail } = yield* using(failsWith(attempt, "Unavailable"), short)
      assert.strictEqual(detail, "no answer in 1 s")
    }
    // The bus says that nobody replied, or that its policy blocked that, which is no lock.
    yield* using(failsWith(generation, "Unavailable"))
    yield* secrets.wake
    assert.deepStrictEqual(yield* using(generation), Option.some(1))
    yield* using(write(credentialOf(2)))
    assert.deepStrictEqual(yield* using(generation), Option.some(2))
  })
)

// On a test's clock: a process that starts late is not given up.
it.effect("after a call that was given up, the same store goes on with the next", () =>
  Effect.gen(function* () {
    const { secrets, using } = yield* TestClock.withLive(place)
    yield* secrets.hang
    yield* using(
      Effect.gen(function* () {
        const asking = yield* Effect.forkChild(failsWith(generation, "Unavailable"))
        while (asking.pollUnsafe() === undefined) {
          yield* TestClock.adjust("1 second")
          yield* Effect.promise(() => new Promise((done) => setTimeout(done, 10)))
        }
        assert.strictEqual((yield* Fiber.join(asking)).detail, "no answer in 1 s")
        yield* secrets.wake
        // Its library waits 2 s, which a service that was stopped a moment ago may take.
        const found = yield* Effect.retry(generation, { while: ({ reason }) => reason === "Unavailable" })
        assert.deepStrictEqual(found, Option.some(1))
      }),
      short
    )
  }).pipe(Effect.provide(quiet))
)

live(
  "a process whose asker is gone ends, also while the service hangs",
  Effect.gen(function* () {
    const secrets = yield* secretService.make
    yield* secrets.hang
    const library = createRequire(import.meta.url).resolve("@napi-rs/keyring")
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, ["--eval", `(${String(program)})()`, library], {
          env: secrets.env,
          stdio: ["ignore", "ignore", "ignore", "ipc"]
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const ended = once(child, "exit")
    child.send({ operation: "get", service: "keyfob", name: "any" } satisfies Question)
    yield* Effect.sleep("2 seconds")
    assert.deepStrictEqual([child.exitCode, child.connected], [null, true])
    child.disconnect()
    yield* Effect.promise(() => ended)
  })
)

live(
  "the keychain's process is told nothing that was meant for Keyfob",
  Effect.gen(function* () {
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        Object.assign(process.env, { KEYFOB_CLIENT_SECRET: "canary", NODE_OPTIONS: "--no-such-option" })
      ),
      () =>
        Effect.sync(() => {
          delete process.env["KEYFOB_CLIENT_SECRET"]
          delete process.env["NODE_OPTIONS"]
        })
    )
    yield* Effect.gen(function* () {
      yield* Keychain.probe
      const children = yield* Effect.promise(() => readFile(`/proc/self/task/${process.pid}/children`, "utf8"))
      // Those of tests before may be ending.
      const environments = yield* Effect.forEach(children.trim().split(" "), (pid) =>
        Effect.promise(() => readFile(`/proc/${pid}/environ`, "utf8").catch(() => ""))
      )
      const own = environments.filter((text) => text.includes(`${bus}=${process.env[bus]}`))
      assert.isNotEmpty(own)
      for (const text of own) assert.notInclude(text, "canary")
    }).pipe(Effect.provide(Keychain.layer()))
  })
)

live(
  "no bus, and a bus that takes connections and says nothing: Unavailable",
  Effect.gen(function* () {
    const { fs, path, directory } = yield* make
    yield* fs.makeDirectory(directory)
    const socket = path.join(directory, "bus")
    yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((connection) => void connection.on("error", () => undefined))
        server.listen(socket, () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    for (const address of [`unix:path=${path.join(directory, "none")}`, `unix:path=${socket}`]) {
      yield* Effect.scoped(
        Effect.andThen(onBus(address), Effect.provide(failsWith(Keychain.probe, "Unavailable"), short))
      )
    }
  })
)
