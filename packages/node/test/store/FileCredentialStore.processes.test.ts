/** Real processes on real files. */
import { assert, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { CredentialStore } from "keyfob"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { credentialOf, key, layerStore } from "./interceptedFileSystem.ts"

const fixture = fileURLToPath(new URL("./fixtures/process.ts", import.meta.url))

const start = (...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [fixture, ...args], { stdio: ["ignore", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

const exitCode = (child: ChildProcess) => Effect.promise(() => once(child, "exit").then(([code]) => code))

const quiet = Layer.merge(NodeServices.layer, Logger.layer([]))

const directory = Effect.andThen(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

it.live(
  "no update of three processes is lost",
  () =>
    Effect.gen(function* () {
      const shared = yield* directory
      const children = yield* Effect.forEach([1, 2, 3], () => start(shared, "increment", "20"))
      assert.deepStrictEqual(yield* Effect.all(children.map(exitCode), { concurrency: "unbounded" }), [0, 0, 0])
      const found = yield* CredentialStore.use((store) => store.get(key)).pipe(Effect.provide(layerStore(shared)))
      assert.strictEqual(Option.getOrThrow(found).generation, 60)
      const fs = yield* FileSystem.FileSystem
      assert.lengthOf(yield* fs.readDirectory(shared), 1)
    }).pipe(Effect.provide(quiet)),
  60_000
)

it.live(
  "the lease of a killed process is taken over at once, and what it wrote is there",
  () =>
    Effect.gen(function* () {
      const shared = yield* directory
      const child = yield* start(shared, "hold")
      yield* Effect.promise(() => once(child.stdout, "data"))
      const second = yield* CredentialStore.pipe(
        Effect.flatMap((store) =>
          store.modify(key, (slot) =>
            Effect.gen(function* () {
              assert.strictEqual(Option.getOrThrow(yield* slot.read).generation, 1)
              yield* slot.write(credentialOf(2))
            })
          )
        ),
        Effect.provide(layerStore(shared)),
        Effect.forkChild
      )
      yield* Effect.sleep("300 millis")
      assert.isUndefined(second.pollUnsafe(), "the holder lives: wait for it")
      child.kill("SIGKILL")
      yield* Effect.timeout(Fiber.join(second), "10 seconds")
      const found = yield* CredentialStore.use((store) => store.get(key)).pipe(Effect.provide(layerStore(shared)))
      assert.strictEqual(Option.getOrThrow(found).generation, 2)
    }).pipe(Effect.provide(quiet)),
  60_000
)
