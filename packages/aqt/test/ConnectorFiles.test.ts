import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, DateTime, Effect, FileSystem, Option, type Path, Redacted } from "effect"
import { Base64Url } from "effect/encoding"
import { AccessToken, Credential } from "keyfob"
import { Aqt, ConnectorFiles, environment, fromEnvironment } from "../src/index.ts"
import { settingsOf } from "./settings.ts"

const { key } = Aqt.flow(settingsOf(), "test")
const encode = (part: object) => Base64Url.encode(JSON.stringify(part))
const jwt = `${encode({ alg: "RS256" })}.${encode({ exp: 2_000_000_000 })}.c2ln`

const test = (
  name: string,
  program: (directory: string) => Effect.Effect<void, unknown, FileSystem.FileSystem | Path.Path>
) =>
  it.live(name, () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      yield* program(`${yield* fs.makeTempDirectoryScoped()}/aqt`)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

const withFiles = Effect.fnUntraced(function* (directory: string, files: Readonly<Record<string, string>>) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.makeDirectory(directory)
  for (const [name, text] of Object.entries(files)) yield* fs.writeFileString(`${directory}/${name}`, text)
  return yield* ConnectorFiles.read(directory)
})

const credential = (token: string, refreshToken: string) =>
  Credential.make({
    key,
    generation: 1,
    issuedAt: DateTime.makeUnsafe(0),
    token: AccessToken.make({ value: Redacted.make(token), type: "Bearer", scopes: [] }),
    refreshToken: Redacted.make(refreshToken)
  })

describe("the Python connector's files", () => {
  test("that are not there are nothing (A-53, A-65)", (directory) =>
    Effect.gen(function* () {
      const files = yield* ConnectorFiles.read(directory)
      assert.deepStrictEqual(files, { directory, settings: {} })
      assert.isUndefined(yield* ConnectorFiles.credentialOf(files, key))
    }))

  test("have settings in the table default, or in none (A-54)", (directory) =>
    Effect.gen(function* () {
      const settings = { client_id: "id", store_access_token: false }
      const text = 'client_id = "id"\nstore_access_token = false\n'
      assert.deepStrictEqual((yield* withFiles(`${directory}1`, { config: `[default]\n${text}` })).settings, settings)
      assert.deepStrictEqual((yield* withFiles(`${directory}2`, { config: text })).settings, settings)
    }))

  test("that are no TOML are said to be, without a word of them", (directory) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(withFiles(directory, { config: "client_secret = canary" }))
      assert.include(String(error), "is not TOML")
      assert.notInclude(String(error), "canary")
    }))

  test("have a session, which is taken over with its end (A-03, A-53)", (directory) =>
    Effect.gen(function* () {
      const files = yield* withFiles(directory, { access_token: `${jwt}\n`, refresh_token: "rt" })
      const taken = yield* ConnectorFiles.credentialOf(files, key)
      assert.strictEqual(Redacted.value(taken?.token.value ?? Redacted.make("")), jwt)
      assert.strictEqual(Redacted.value(taken?.refreshToken ?? Redacted.make("")), "rt")
      assert.strictEqual(taken?.token.expiresAt && DateTime.toEpochMillis(taken.token.expiresAt), 2_000_000_000_000)
      assert.notInclude(JSON.stringify(files), 'rt"')
    }))

  test("are written whole, anew and for their owner alone, in a directory that need not be there (A-08, A-53, A.8#5)", (directory) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      yield* ConnectorFiles.writeTokens(directory, credential("first", "rt-1"))
      yield* ConnectorFiles.writeTokens(directory, credential("second", "rt-2"))
      assert.deepStrictEqual((yield* fs.readDirectory(directory)).sort(), ["access_token", "refresh_token"])
      assert.strictEqual(yield* fs.readFileString(`${directory}/access_token`), "second")
      assert.strictEqual(yield* fs.readFileString(`${directory}/refresh_token`), "rt-2")
      const modeOf = (path: string) => Effect.map(fs.stat(path), ({ mode }) => (mode & 0o777).toString(8))
      assert.strictEqual(yield* modeOf(directory), "700")
      assert.strictEqual(yield* modeOf(`${directory}/access_token`), "600")
      assert.strictEqual(yield* modeOf(`${directory}/refresh_token`), "600")
    }))

  test("have no refresh token of another session's beside the access token (R15)", (directory) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      yield* ConnectorFiles.writeTokens(directory, credential("first", "rt-1"))
      const { refreshToken: _, ...alone } = credential("second", "rt-2")
      yield* ConnectorFiles.writeTokens(directory, Credential.make(alone))
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["access_token"])
    }))

  test("are the old or the new one at every instant, and nobody else's to read (A.8#5)", (directory) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      let halves = 0
      // What a reader sees now, and what a crash now would leave.
      const look = Effect.gen(function* () {
        for (const path of yield* fs.readDirectory(directory, { recursive: true })) {
          const { mode, type } = yield* fs.stat(`${directory}/${path}`)
          assert.strictEqual((mode & 0o777).toString(8), type === "Directory" ? "700" : "600", path)
          if (type === "Directory") continue
          const text = yield* fs.readFileString(`${directory}/${path}`)
          if (["access_token", "refresh_token"].includes(path)) assert.include(["first", "second"], text, path)
          else if (!["first", "second"].includes(text)) halves++
        }
      })
      const watched = FileSystem.make({
        ...fs,
        // A file is written bit by bit, however short it is.
        writeFile: (path, data, options) =>
          Effect.gen(function* () {
            yield* fs.writeFile(path, data.subarray(0, data.length / 2), options)
            yield* look
            yield* fs.writeFile(path, data)
            yield* look
          }),
        rename: (from, to) => Effect.andThen(fs.rename(from, to), look)
      })
      const write = (text: string) =>
        ConnectorFiles.writeTokens(directory, credential(text, text)).pipe(
          Effect.provideService(FileSystem.FileSystem, watched)
        )
      yield* write("first")
      const readers = yield* Effect.forEach(["access_token", "refresh_token"], (name) =>
        fs.open(`${directory}/${name}`)
      )
      yield* write("second")
      assert.strictEqual(halves, 4)
      for (const reader of readers) {
        const rest = Option.getOrThrow(yield* reader.readAlloc(64))
        assert.strictEqual(new TextDecoder().decode(rest), "first", "who has it open reads on in what it opened")
      }
    }).pipe(Effect.scoped))
})

describe("where they are", () => {
  it.live("is in two directories, the library's and the command's (A.8#7)", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* ConnectorFiles.directories, ["/home/alice/.aqt", "/home/alice/.config/aqt"])
    }).pipe(
      Effect.provide(NodeServices.layer),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: { HOME: "/home/alice" } }))
    )
  )
})

describe("AQT_ variables", () => {
  const read = (env: Readonly<Record<string, string>>) =>
    environment.pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })))

  it.effect("are read without their prefix (A-54)", () =>
    Effect.gen(function* () {
      const found = yield* read({ AQT_ARNICA_URL: "https://a.test/api", AQT_CLIENT_ID: "id", AQT_CLIENT_SECRET: "s" })
      assert.strictEqual(found.arnica_url, "https://a.test/api")
      assert.strictEqual(found.client_id, "id")
      assert.strictEqual(found.client_secret, "s")
      assert.isUndefined(found.store_access_token)
    })
  )

  for (const [text, meant] of Object.entries({ false: false, 0: false, no: false, off: false, true: true, 1: true })) {
    it.effect(`AQT_STORE_ACCESS_TOKEN=${text} is ${String(meant)} (A.8#6)`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* read({ AQT_STORE_ACCESS_TOKEN: text })).store_access_token, meant)
      })
    )
  }

  it.effect("are settings of their own, with the defaults for the rest (A-54)", () =>
    Effect.gen(function* () {
      const settingsOf = (env: Readonly<Record<string, string>>) =>
        Effect.provideService(fromEnvironment, ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
      const { arnica_url, client_id, store_access_token } = yield* settingsOf({ AQT_CLIENT_ID: "id" })
      assert.deepStrictEqual([arnica_url, client_id, store_access_token], ["https://arnica.aqt.eu/api", "id", true])
      assert.isUndefined((yield* settingsOf({})).client_id)
      const half = yield* Effect.flip(settingsOf({ AQT_CLIENT_SECRET: "canary" }))
      assert.strictEqual(half.message, "a needed setting is missing: AQT.client_id")
      const odd = yield* Effect.flip(settingsOf({ AQT_STORE_ACCESS_TOKEN: "canary" }))
      assert.strictEqual(odd.message, "a setting has a wrong value: AQT_STORE_ACCESS_TOKEN: true or false")
    })
  )
})
