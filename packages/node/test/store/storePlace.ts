/** A directory of the test's own, and what the tests of stores ask of it. */
import { assert } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { type Credential, CredentialStore, StoreFailed, toJson } from "keyfob"
import { inspect } from "node:util"
import { canary, key } from "./interceptedFileSystem.ts"

export const quiet = Layer.merge(NodeServices.layer, Logger.layer([]))

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = path.join(yield* fs.makeTempDirectoryScoped(), "credentials")
  const names = Effect.orElseSucceed(fs.readDirectory(directory), () => [])
  return {
    fs,
    path,
    directory,
    names,
    /** The one file with that extension. */
    file: (extension: string) =>
      Effect.map(names, (all) => {
        const [name = assert.fail(`no ${extension} among ${all.join()}`)] = all.filter((one) => one.endsWith(extension))
        return path.join(directory, name)
      }),
    /** No secret in clear, and nothing that others may read. */
    assertClosed: Effect.gen(function* () {
      assert.strictEqual((yield* fs.stat(directory)).mode & 0o777, 0o700)
      for (const name of yield* fs.readDirectory(directory)) {
        const file = path.join(directory, name)
        assert.strictEqual((yield* fs.stat(file)).mode & 0o777, 0o600, name)
        const content = Buffer.from(yield* fs.readFile(file))
        for (const spelled of [canary, Buffer.from(canary).toString("base64"), Buffer.from(canary).toString("hex")]) {
          assert.isFalse(content.includes(spelled.replace(/=+$/, "").slice(0, -2)), name)
        }
      }
    })
  }
})

export const write = (credential: Credential) =>
  CredentialStore.use((store) => store.modify(credential.key, (slot) => slot.write(credential)))

export const remove = CredentialStore.use((store) => store.modify(key, (slot) => slot.remove))

export const list = CredentialStore.use((store) => store.list)

/** The generation that is there. */
export const generation = Effect.map(
  CredentialStore.use((store) => store.get(key)),
  Option.map((found) => found.generation)
)

/** Runs to a typed failure with that reason, which shows no secret. */
export const failsWith = <A, E, R>(effect: Effect.Effect<A, E, R>, ...reasons: ReadonlyArray<StoreFailed["reason"]>) =>
  Effect.map(Effect.flip(effect), (failure) => {
    if (!(failure instanceof StoreFailed)) return assert.fail(inspect(failure))
    assert.include(reasons, failure.reason, failure.message)
    const printed = [failure.message, JSON.stringify(toJson(failure)), inspect(failure, { depth: 9 })]
    assert.notInclude(printed.join("\n"), canary)
    return failure
  })
