import { assert, it } from "@effect/vitest"
import { runKeyfob } from "@keyfob/cli/testing"
import { Effect } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { FakeQlam, machine, qshDirectory } from "../../qlam/test/FakeQlam.ts"

const scene = Effect.gen(function* () {
  const { idp, url, ...qlam } = yield* FakeQlam
  yield* idp.approve("alice")
  const qsh = yield* qshDirectory({
    current_context: "gemini-logical",
    contexts: [
      {
        name: "gemini-logical",
        qpu: "gemini-1",
        defaults: { api_base_url: "https://api.example/canary", qpu_mode: null, group: "everyone" },
        plugins: {
          tasks: { auth_provider: "quera", group: "tasks" },
          results: { auth_provider: "batch" },
          billing: { auth_provider: "odd" }
        },
        auth_providers: [
          {
            name: "quera",
            provider: "oauth",
            client_id: "shell",
            grant_type: "device_code",
            issuer: url,
            audience: null
          },
          {
            name: "batch",
            provider: "oauth",
            client_id: machine.client_id,
            grant_type: "client_credentials",
            auth_base_url: url
          },
          { name: "odd", provider: "kerberos", realm: "R" },
          { name: "half", provider: "oauth", grant_type: "password", client_id: "canary", issuer: url }
        ]
      },
      { name: "empty" }
    ]
  })
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-qlam-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const run = yield* runKeyfob.make
  const keyfob = (args: string, env: Record<string, string> = {}) =>
    run(args.split(" "), { env: { KEYFOB_HOME: home, QSH_CONFIG_DIR: qsh, ...env } })
  return { ...qlam, idp, url, home, keyfob }
})

it.live(
  "C-09 C-22 takes over qsh's contexts, signs in by their words, and has all a provider has",
  () =>
    Effect.gen(function* () {
      const { forms, home, idp, keyfob } = yield* scene
      const taken = yield* keyfob("context import qlam -o json")
      assert.strictEqual(taken.exitCode, 0, taken.stderr)
      assert.deepStrictEqual(JSON.parse(taken.stdout), [
        { context: "gemini-logical", provider: "quera", type: "qlam" },
        { context: "gemini-logical", provider: "batch", type: "qlam" }
      ])
      assert.match(taken.stderr, /odd is left out: this keyfob knows no type kerberos/)
      assert.match(taken.stderr, /half is left out: grant_type: expected/)
      assert.include(
        taken.stderr,
        "gemini-logical: there is no place here for qpu, defaults.api_base_url, defaults.group, plugins.tasks.group, plugins.billing.auth_provider"
      )
      assert.notInclude(taken.stderr, "canary")
      const text = readFileSync(join(home, "config.toml"), "utf8")
      assert.match(text, /^current_context = "gemini-logical"$/m)
      assert.match(text, /^\[contexts\.empty\]$/m)
      assert.match(text, /^\[contexts\.gemini-logical\.plugins\]\ntasks = "quera"\nresults = "batch"$/m)
      assert.strictEqual((yield* keyfob("context import qlam")).exitCode, 0)
      assert.strictEqual(readFileSync(join(home, "config.toml"), "utf8"), text)

      const login = yield* keyfob("login quera -o json")
      assert.strictEqual(login.exitCode, 0, login.stderr)
      assert.deepInclude(JSON.parse(login.stdout), { account: { sub: "alice" }, refreshable: true })
      assert.match(login.stderr, /"event":"device_code"/)
      const [row] = JSON.parse((yield* keyfob("status quera -o json")).stdout)
      assert.deepInclude(row, { type: "qlam", status: "authenticated" })
      const token = (yield* keyfob("token quera")).stdout.trim()
      assert.isTrue(yield* idp.accepts(token))
      assert.strictEqual((yield* keyfob("header quera")).stdout, `Authorization: Bearer ${token}\n`)
      assert.strictEqual((yield* keyfob("token tasks")).stdout.trim(), token, "by the plugin's name as well")
      assert.match((yield* keyfob("context show")).stdout, /^ {2}tasks uses quera$/m)
      assert.strictEqual((yield* keyfob("refresh quera --force")).exitCode, 0)
      assert.strictEqual((yield* keyfob("userinfo quera")).exitCode, 0)
      assert.strictEqual((yield* keyfob("logout quera")).exitCode, 0)
      assert.strictEqual(yield* idp.liveRefreshTokens, 0)
      assert.lengthOf(forms("/oauth/device/code"), 1)
    }).pipe(Effect.scoped, Effect.provide(FakeQlam.layer())),
  120_000
)

it.live(
  "C-16 C.8#7 a machine's secret from the environment, one request for all runs; exit codes for what is wrong",
  () =>
    Effect.gen(function* () {
      const { forms, keyfob } = yield* scene
      yield* keyfob("context import qlam")
      assert.strictEqual((yield* keyfob("token quera")).exitCode, 3)
      const missing = yield* keyfob("token batch")
      assert.strictEqual(missing.exitCode, 2)
      assert.match(missing.stderr, /client secret/)
      const env = { KEYFOB_CLIENT_SECRET: machine.client_secret }
      const first = yield* keyfob("token batch", env)
      assert.strictEqual(first.exitCode, 0, first.stderr)
      assert.strictEqual((yield* keyfob("token batch")).stdout, first.stdout)
      assert.lengthOf(forms("/oauth/token"), 1)
      const wrong = yield* keyfob("refresh batch --force", { KEYFOB_CLIENT_SECRET: "canary-wrong" })
      assert.strictEqual(wrong.exitCode, 2)
      assert.notInclude(wrong.stderr, "canary")
    }).pipe(Effect.scoped, Effect.provide(FakeQlam.layer())),
  120_000
)

it.live(
  "C-20 who works in a context already goes on there, and is told so",
  () =>
    Effect.gen(function* () {
      const { home, keyfob } = yield* scene
      writeFileSync(join(home, "config.toml"), 'current_context = "mine"\n[contexts.mine]\n', { mode: 0o600 })
      const { stderr } = yield* keyfob("context import qlam")
      assert.include(stderr, "the current context is still mine; to change it: keyfob context use gemini-logical")
      assert.match(readFileSync(join(home, "config.toml"), "utf8"), /^current_context = "mine"$/m)
    }).pipe(Effect.scoped, Effect.provide(FakeQlam.layer())),
  120_000
)
