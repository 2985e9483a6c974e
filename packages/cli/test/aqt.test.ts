import { assert, it } from "@effect/vitest"
import { runKeyfob } from "@keyfob/cli/testing"
import { Effect } from "effect"
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { arnicaUrl, deviceClientId, is, jobId, machine } from "../../aqt/test/FakeArnica.ts"
import { Served } from "../../aqt/test/Served.ts"

const scene = Effect.gen(function* () {
  const { fake, url } = yield* Served
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-aqt-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const run = yield* runKeyfob.make
  const keyfob = (args: string, env: Record<string, string> = {}) =>
    run(args.split(" "), { env: { HOME: home, KEYFOB_HOME: join(home, "keyfob"), ...env } })
  const configure = (keys: Readonly<Record<string, string | boolean>>) => {
    const all = {
      type: "aqt",
      issuer: url,
      arnica_url: `${url}api`,
      audience: arnicaUrl,
      device_client_id: deviceClientId,
      ...keys
    }
    const lines = Object.entries(all).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
    mkdirSync(join(home, "keyfob"), { recursive: true })
    writeFileSync(join(home, "keyfob/config.toml"), `[contexts.lab.providers.arnica]\n${lines.join("\n")}\n`, {
      mode: 0o600
    })
  }
  return { configure, fake, home, keyfob, url }
})

it.live(
  "shows a job with a machine's token, its client from AQT_ variables, which outrank the file (A-26, A-54, A-67)",
  () =>
    Effect.gen(function* () {
      const { configure, fake, keyfob } = yield* scene
      configure({ client_id: "somebody-else", client_secret: "wrong" })
      const env = { AQT_CLIENT_ID: machine.client_id, AQT_CLIENT_SECRET: machine.client_secret }
      fake.jobs(is({ status: "ongoing", finished_count: 2 }), is({ status: "finished", result: { 0: [[1, 0]] } }))
      const shown = yield* keyfob(`aqt job ${jobId} -o json`, env)
      assert.strictEqual(shown.exitCode, 0, shown.stderr)
      assert.deepInclude(JSON.parse(shown.stdout), { response: { status: "ongoing", finished_count: 2 } })
      const waited = yield* keyfob(`aqt job ${jobId} --wait -o json`, env)
      assert.deepInclude(JSON.parse(waited.stdout), { response: { status: "finished", result: { 0: [[1, 0]] } } })
      assert.strictEqual(fake.seen.filter(({ path }) => path === "/oauth/token").length, 1, "the token is kept")

      fake.jobs({ status: 404, body: { secret: "canary" } })
      const unknown = yield* keyfob(`aqt job ${jobId} -o json`, env)
      assert.strictEqual(unknown.exitCode, 2)
      assert.deepInclude(JSON.parse(unknown.stderr).error, { tag: "JobUnavailable", retry: "give up" })
      assert.notInclude(unknown.stderr, "canary")
    }).pipe(Effect.scoped, Effect.provide(Served.layer)),
  120_000
)

it.live("what AQT_ variables say is not written to the file, where a flag says where the credential is kept", () =>
  Effect.gen(function* () {
    const { configure, home, keyfob } = yield* scene
    configure({ client_id: "of-the-file" })
    const env = { AQT_CLIENT_ID: "of-the-environment", AQT_CLIENT_SECRET: "canary" }
    const before = readFileSync(join(home, "keyfob/config.toml"), "utf8")
    const moved = yield* keyfob("context add lab arnica --store memory", env)
    assert.strictEqual(moved.exitCode, 0, moved.stderr)
    assert.strictEqual(readFileSync(join(home, "keyfob/config.toml"), "utf8"), `${before}store = "memory"\n`)
  }).pipe(Effect.scoped, Effect.provide(Served.layer))
)

it.live(
  "signs a person in, says so by its exit code, and leaves a token for Python programs (A-27, A.8#7, A.8#13)",
  () =>
    Effect.gen(function* () {
      const { configure, fake, home, keyfob } = yield* scene
      configure({})
      assert.strictEqual((yield* keyfob("token")).exitCode, 3)
      yield* fake.idp.deny()
      assert.strictEqual((yield* keyfob("login")).exitCode, 4)
      yield* fake.idp.approve("alice")
      const login = yield* keyfob("login")
      assert.strictEqual(login.exitCode, 0, login.stderr)
      const token = yield* keyfob("token")
      assert.strictEqual((yield* keyfob("aqt files")).exitCode, 0)
      assert.strictEqual(readFileSync(join(home, ".aqt/access_token"), "utf8"), token.stdout.trim())
      assert.strictEqual(statSync(join(home, ".aqt/access_token")).mode & 0o777, 0o600)
      assert.deepStrictEqual(
        readdirSync(join(home, ".aqt")),
        ["access_token"],
        "a refresh token that two spend ends for both"
      )
      assert.strictEqual((yield* keyfob("logout")).exitCode, 0)
      assert.strictEqual((yield* keyfob("token")).exitCode, 3)
    }).pipe(Effect.scoped, Effect.provide(Served.layer)),
  120_000
)

it.live(
  "keeps nothing where storage is off, in the file or the environment (A-28, A.8#6)",
  () =>
    Effect.gen(function* () {
      const { configure, home, keyfob } = yield* scene
      configure(machine)
      const env = { AQT_STORE_ACCESS_TOKEN: "false" }
      const { stdout: token } = yield* keyfob("token", env)
      assert.match(token, /^ey/)
      const kept = readdirSync(home, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
      for (const text of kept) assert.notInclude(text, token.trim())
    }).pipe(Effect.scoped, Effect.provide(Served.layer)),
  120_000
)

it.live(
  "takes over both directories of the connector, and the session in one (A.8#7)",
  () =>
    Effect.gen(function* () {
      const { configure, fake, home, keyfob, url } = yield* scene
      configure({})
      yield* fake.idp.approve("alice")
      yield* keyfob("login")
      const { stdout: token } = yield* keyfob("token")
      rmSync(join(home, "keyfob"), { recursive: true })
      mkdirSync(join(home, ".aqt"))
      mkdirSync(join(home, ".config/aqt"), { recursive: true })
      writeFileSync(join(home, ".aqt/config"), `[default]\narnica_url = "${url}api"\nunknown = 1\n`)
      writeFileSync(join(home, ".config/aqt/access_token"), token.trim())
      writeFileSync(join(home, ".config/aqt/refresh_token"), "canary")
      const taken = yield* keyfob("context import aqt -o json")
      assert.match(taken.stderr, /aqt still has the refresh token/)
      assert.notInclude(taken.stderr, "canary")
      assert.strictEqual(taken.exitCode, 0, taken.stderr)
      assert.deepStrictEqual(JSON.parse(taken.stdout), [{ context: "aqt", provider: "arnica", type: "aqt" }])
      const again = yield* keyfob("token --context aqt")
      assert.strictEqual(again.stdout, token, again.stderr)
    }).pipe(Effect.scoped, Effect.provide(Served.layer)),
  120_000
)

it.live(
  "leaves no token there that is not for Arnica, and finds its own provider among others",
  () =>
    Effect.gen(function* () {
      const { configure, home, keyfob } = yield* scene
      configure(machine)
      appendFileSync(
        join(home, "keyfob/config.toml"),
        '[contexts.lab.providers.other]\ntype = "static"\ntoken = "canary"\n'
      )
      assert.strictEqual((yield* keyfob("login other")).exitCode, 0)
      const refused = yield* keyfob("aqt files other")
      assert.strictEqual(refused.exitCode, 2, refused.stderr)
      assert.isFalse(existsSync(join(home, ".aqt")))
      assert.strictEqual((yield* keyfob("aqt files")).exitCode, 0)
      assert.match(readFileSync(join(home, ".aqt/access_token"), "utf8"), /^ey/)
    }).pipe(Effect.scoped, Effect.provide(Served.layer)),
  120_000
)

it.live(
  "takes no secret over for another client, and no session where storage is off (A.8#4)",
  () =>
    Effect.gen(function* () {
      const { home, keyfob } = yield* scene
      mkdirSync(join(home, ".aqt"))
      mkdirSync(join(home, ".config/aqt"), { recursive: true })
      writeFileSync(join(home, ".aqt/config"), 'client_id = "library"\nstore_access_token = false\n')
      writeFileSync(join(home, ".config/aqt/config"), 'client_id = "command"\nclient_secret = "canary-secret"\n')
      writeFileSync(join(home, ".aqt/access_token"), "e30.e30.canary")
      const taken = yield* keyfob("context import aqt")
      assert.strictEqual(taken.exitCode, 0, taken.stderr)
      const kept = readdirSync(join(home, "keyfob"), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
      assert.include(kept.join(), "library")
      assert.notInclude(kept.join(), "canary")
    }).pipe(Effect.scoped, Effect.provide(Served.layer)),
  120_000
)
