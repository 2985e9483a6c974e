import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { adviceOf } from "keyfob"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Configuration from "../../src/config/Configuration.ts"
import { settingsOf, types } from "./types.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-config-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const readText = Effect.fnUntraced(function* (content: string | Uint8Array, mode = 0o600) {
  const path = join(yield* directory, "config.toml")
  writeFileSync(path, content)
  chmodSync(path, mode)
  return yield* Configuration.read(path, types)
})

const api = '[contexts.work.providers.api]\ntype = "oauth"\nissuer = "https://id.test"\nclient_id = "cli"\n'

it.live("reads every key of the contract", () =>
  Effect.gen(function* () {
    const configuration = yield* readText(`
current_context = "work"
[contexts.work.providers.api]            # a comment
type = "oauth"
issuer = "https://login.example.com"
client_id = "cli"
client_auth = "client_secret_post"
client_secret = "s3cret"
scopes = ["openid", "profile"]
audience = "https://api.example.com"
resource = ["https://api.example.com"]
flow = "device"
store = "file"
redirect_port = 0
[contexts.work.providers.api.params]
tenant = "t1"
[contexts.work.providers.api.endpoints]
token_endpoint = "https://login.example.com/token"
[contexts.work.plugins]
tasks = "api"
[contexts.empty]
`)
    assert.strictEqual(configuration.currentContext, "work")
    assert.deepStrictEqual(configuration.warnings, [])
    assert.deepStrictEqual([...configuration.contexts.keys()], ["work", "empty"])
    assert.strictEqual(configuration.contexts.get("empty")?.providers.size, 0)
    assert.deepStrictEqual([...(configuration.contexts.get("work")?.plugins ?? [])], [["tasks", "api"]])
    const entry = configuration.contexts.get("work")?.providers.get("api")
    assert.deepInclude(entry, { type: "oauth", store: "file" })
    assert.deepInclude(entry?.known, { context: "work", name: "api", attended: true })
    assert.notInclude(JSON.stringify(entry), "s3cret")
    const settings = settingsOf(entry)
    assert(settings?.clientSecret !== undefined)
    assert.strictEqual(Redacted.value(settings.clientSecret), "s3cret")
    assert.notInclude(JSON.stringify(settings), "s3cret")
    assert.deepStrictEqual<object>(
      { ...settings, clientSecret: "checked above" },
      {
        clientSecret: "checked above",
        type: "oauth",
        issuer: "https://login.example.com",
        clientId: "cli",
        clientAuth: "client_secret_post",
        scopes: ["openid", "profile"],
        audience: "https://api.example.com",
        resource: ["https://api.example.com"],
        flow: "device",
        store: "file",
        redirectPort: 0,
        params: { tenant: "t1" },
        endpoints: { token_endpoint: "https://login.example.com/token" }
      }
    )
  })
)

it.live("leaves the tables of other types as they are, out of sight", () =>
  Effect.gen(function* () {
    const { contexts, warnings } = yield* readText(
      '[contexts.lab.providers.arnica]\ntype = "aqt"\nclient_secret = "s3cret"\nstore_access_token = true\n'
    )
    const settings = contexts.get("lab")?.providers.get("arnica")
    assert(settings?.type === "aqt")
    assert.isUndefined(settings.known)
    assert.strictEqual(Redacted.value(settings.table)["store_access_token"], true)
    assert.notInclude(JSON.stringify(settings), "s3cret")
    assert.deepStrictEqual(warnings, [])
  })
)

it.live("names that objects have by birth are ordinary names", () =>
  Effect.gen(function* () {
    const { contexts } = yield* readText(api.replace("work", "__proto__"))
    assert.isTrue(contexts.get("__proto__")?.providers.has("api"))
    assert.isUndefined(contexts.get("constructor"))
  })
)

it.live("a missing or empty file is an empty configuration", () =>
  Effect.gen(function* () {
    for (const configuration of [
      yield* readText(""),
      yield* Configuration.read(join(yield* directory, "no", "config.toml"), types)
    ]) {
      assert.strictEqual(configuration.contexts.size, 0)
      assert.isUndefined(configuration.currentContext)
      assert.deepStrictEqual(configuration.warnings, [])
    }
  })
)

/** What is wrong with the file, or with its one provider. */
const wrong = Effect.fnUntraced(function* (content: string) {
  const read = yield* Effect.result(readText(content))
  if (Result.isFailure(read)) return read.failure
  const [context] = read.success.contexts.values()
  const [provider] = context?.providers.values() ?? []
  assert.isUndefined(provider?.known)
  return provider?.invalid ?? assert.fail("nothing")
})

it.live("what is wrong with one provider keeps nobody from the others", () =>
  Effect.gen(function* () {
    const broken = '[contexts.work.providers.broken]\ntype = "oauth"\nclient_secret = "s3cret"\n'
    const { contexts, warnings } = yield* readText(`${broken}${api}`)
    const providers = contexts.get("work")?.providers
    assert.deepStrictEqual([...(providers?.keys() ?? [])], ["broken", "api"])
    assert.deepInclude(providers?.get("broken"), { type: "oauth" })
    assert.include(providers?.get("broken")?.invalid?.message, "contexts.work.providers.broken.issuer is missing")
    assert.isDefined(providers?.get("api")?.known)
    assert.isUndefined(providers?.get("api")?.invalid)
    assert.deepStrictEqual(warnings, [])
  })
)

it.live.each<readonly [string, string]>([
  ['current_context = "work', "config.toml: Unterminated basic string at line 1, column 24"],
  [`${api}client_secret = hunter2\n`, "config.toml: Invalid value at line 5, column 24"],
  [`${api}${api}`, "config.toml: Cannot redefine table 'contexts.work.providers.api' at line 5"],
  ["current_context = 1", "config.toml, line 1: current_context: expected string"],
  ['contexts = "work"', "config.toml, line 1: contexts: expected a table"],
  ["[contexts]\nwork = 1", "config.toml, line 2: contexts.work: expected a table"],
  ["[contexts.work]\nproviders = []", "config.toml, line 2: contexts.work.providers: expected a table"],
  ["[contexts.work.plugins]\ntasks = 1", "config.toml, line 2: contexts.work.plugins.tasks: expected string"],
  ["[contexts.work]\nproviders.api = 1", "config.toml, line 2: contexts.work.providers.api: expected a table"],
  [
    '[contexts.work.providers."my api"]\n\ntype = 1',
    'config.toml, line 3: contexts.work.providers."my api".type: expected string'
  ],
  [`${api}flow = "sideways"`, 'line 5: contexts.work.providers.api.flow: expected "auto" | "browser" | "device"'],
  [`${api}scopes = "openid"`, "line 5: contexts.work.providers.api.scopes: expected array"],
  [`${api}scopes = ["openid", 7]`, "line 5: contexts.work.providers.api.scopes.1: expected string"],
  [
    `${api}redirect_port = 70000`,
    "line 5: contexts.work.providers.api.redirect_port: expected a value between 0 and 65535"
  ],
  [`${api}client_secret = 12345`, "line 5: contexts.work.providers.api.client_secret: expected string"],
  [`${api}[contexts.work.providers.api.params]\na = 1`, "line 6: contexts.work.providers.api.params.a: expected string"]
])("refuses %j", ([content, message]) =>
  Effect.gen(function* () {
    const error = yield* wrong(content)
    assert.include(error.message, message)
    assert.strictEqual(error.reason, "InvalidValue")
    assert.strictEqual(adviceOf(error).exitCode, 2)
    assert.notMatch(JSON.stringify(error), /hunter2|12345|sideways/)
  })
)

it.live.each<readonly [string, string]>([
  [
    '[contexts.work.providers.api]\nissuer = "https://id.test"',
    'contexts.work.providers.api.type is missing; for example "oauth"'
  ],
  [
    '[contexts.work.providers.api]\ntype = "oauth"\nissuer = "https://id.test"',
    "contexts.work.providers.api.client_id is missing"
  ],
  ['[contexts.work.providers.api]\ntype = "oauth"\nclient_id = "cli"', "contexts.work.providers.api.issuer is missing"]
])("misses what is needed in %j", ([content, message]) =>
  Effect.gen(function* () {
    const error = yield* wrong(content)
    assert.include(error.message, message)
    assert.strictEqual(error.reason, "MissingValue")
  })
)

it.live("a header inside a string is no header", () =>
  Effect.gen(function* () {
    const error = yield* wrong(`${api}audience = """\n[contexts.work]\nflow = 1\n"""\nflow = 2\n`)
    assert.include(error.message, "line 9: contexts.work.providers.api.flow")
  })
)

it.live("lines of Windows count too", () =>
  Effect.gen(function* () {
    const error = yield* wrong(`\uFEFF${api}flow = 2\n`.replaceAll("\n", "\r\n"))
    assert.include(error.message, "line 5: contexts.work.providers.api.flow")
  })
)

it.live("refuses what is no text, no file or not readable", () =>
  Effect.gen(function* () {
    const utf16 = yield* Effect.flip(readText(Buffer.from('\uFEFFcurrent_context = "a"', "utf16le")))
    assert.match(utf16.message, /config\.toml is not UTF-8 text$/)
    const folder = yield* directory
    mkdirSync(join(folder, "config.toml"))
    const error = yield* Effect.flip(Configuration.read(join(folder, "config.toml"), types))
    assert.match(error.message, /config\.toml cannot be read \(EISDIR\)$/)
  })
)

it.live("warns of unknown keys, with the likely one", () =>
  Effect.gen(function* () {
    const { path, warnings } = yield* readText(
      `curent_context = "work"\n[context.lab]\n${api}scope = ["openid"]\nx = 1\n[contexts.work.provider.b]\n`
    )
    assert.deepStrictEqual(warnings, [
      `${path}, line 1: curent_context is not a known key; did you mean current_context?`,
      `${path}, line 2: context is not a known key; did you mean contexts?`,
      `${path}, line 9: contexts.work.provider is not a known key; did you mean providers?`,
      `${path}, line 7: contexts.work.providers.api.scope is not a known key; did you mean scopes?`,
      `${path}, line 8: contexts.work.providers.api.x is not a known key`
    ])
  })
)

it.live.each<readonly [string, number, boolean]>([
  [`${api}client_secret = "s3cret"\n`, 0o600, false],
  [`${api}client_secret = "s3cret"\n`, 0o400, false],
  [`${api}client_secret = "s3cret"\n`, 0o644, true],
  [`${api}client_secret = "s3cret"\n`, 0o640, true],
  [`[contexts.lab.providers.a]\ntype = "aqt"\nclient_secret = "s3cret"\n`, 0o644, true],
  [api, 0o644, false]
])("%j with mode %o warns: %s", ([content, mode, expected]) =>
  Effect.gen(function* () {
    const { path, warnings } = yield* readText(content, mode)
    assert.deepStrictEqual(
      warnings,
      expected
        ? [`${path} holds a secret and others can read it (mode 0${mode.toString(8)}); run: chmod 600 ${path}`]
        : []
    )
  })
)
