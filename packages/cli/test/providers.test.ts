import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { runKeyfob } from "@keyfob/cli/testing"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A login endpoint: alice and her password, at any address. */
const seen: Array<string> = []
const archive = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request) =>
    Effect.sync(() => {
      seen.push(`${request.method} ${request.url}`)
      const isAlice = request.headers["authorization"] === `Basic ${btoa("alice:canary-password")}`
      return HttpClientResponse.fromWeb(request, new Response(null, { status: isAlice ? 204 : 401 }))
    })
  )
)

const scene = Effect.fnUntraced(function* (providers: string) {
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-providers-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  writeFileSync(join(home, "config.toml"), providers, { mode: 0o600 })
  const run = yield* runKeyfob.make
  const keyfob = (args: string, options: { readonly env?: Record<string, string>; readonly stdin?: string } = {}) =>
    run(args.split(" "), { ...options, env: { KEYFOB_HOME: home, ...options.env } })
  return { home, keyfob }
})

const basic =
  '[contexts.work.providers.archive]\ntype = "basic"\nlogin_url = "https://archive.example/login"\nusername = "alice"\n'
const fixed = '[contexts.work.providers.key]\ntype = "static"\nheader = "X-Api-Key"\n'
const bearer = '[contexts.work.providers.bearer]\ntype = "static"\n'

describe("provider types in the command", () => {
  it.effect("basic: login from the environment, standard input and a file; status, token, header, logout", () =>
    Effect.gen(function* () {
      const { home, keyfob } = yield* scene(basic)
      const missing = yield* keyfob("login archive")
      assert.strictEqual(missing.exitCode, 2)
      assert.match(
        missing.stderr,
        /setting is missing: password\n.*as KEYFOB_PASSWORD, or as password in config\.toml\n/
      )
      // What reads lines would take the second for something else (RFC 7617 section 2).
      const lines = yield* keyfob("login archive", { env: { KEYFOB_PASSWORD: "canary\nhost=evil.example" } })
      assert.strictEqual(lines.exitCode, 2)
      assert.match(lines.stderr, /a setting has a wrong value: password\n/)
      assert.notInclude(lines.stderr, "canary")
      const wrong = yield* keyfob("login archive", { env: { KEYFOB_PASSWORD: "canary-wrong" } })
      assert.strictEqual(wrong.exitCode, 4)
      assert.notInclude(wrong.stderr, "canary")
      assert.strictEqual((yield* keyfob("token archive")).exitCode, 3)

      const login = yield* keyfob("login archive -o json --non-interactive --password-stdin", {
        stdin: "canary-password\n"
      })
      assert.deepStrictEqual([login.exitCode, login.stderr], [0, ""])
      assert.deepInclude(JSON.parse(login.stdout), {
        provider: "archive",
        outcome: "signed_in",
        refreshable: false,
        store: "file"
      })
      const [row] = JSON.parse((yield* keyfob("status -o json")).stdout)
      assert.deepInclude(row, { provider: "archive", type: "basic", status: "authenticated" })
      const asked = seen.length
      assert.strictEqual(
        (yield* keyfob("header archive")).stdout,
        `Authorization: Basic ${btoa("alice:canary-password")}\n`
      )
      assert.strictEqual((yield* keyfob("token archive")).stdout, `${btoa("alice:canary-password")}\n`)
      assert.lengthOf(seen, asked)

      writeFileSync(join(home, "password"), "canary-password\n", { mode: 0o600 })
      assert.strictEqual((yield* keyfob(`login archive --force --password-file ${join(home, "password")}`)).exitCode, 0)
      const logout = yield* keyfob("logout archive -o json")
      assert.deepStrictEqual(JSON.parse(logout.stdout), [
        { context: "work", provider: "archive", revoked: false, removed: true }
      ])
      assert.strictEqual((yield* keyfob("token archive")).exitCode, 3)
    }).pipe(Effect.provide(archive))
  )

  it.effect("static: a token as a bearer, an API key in its header; each secret to its own provider", () =>
    Effect.gen(function* () {
      const { keyfob } = yield* scene(fixed + bearer + basic)
      const all = yield* keyfob("login", { env: { KEYFOB_TOKEN: "canary-token", KEYFOB_PASSWORD: "canary-password" } })
      assert.deepStrictEqual([all.exitCode, all.stderr], [0, ""])
      assert.strictEqual((yield* keyfob("header key")).stdout, "X-Api-Key: canary-token\n")
      assert.deepStrictEqual(JSON.parse((yield* keyfob("header key -o json")).stdout), { "X-Api-Key": "canary-token" })
      assert.strictEqual((yield* keyfob("header bearer")).stdout, "Authorization: Bearer canary-token\n")
      assert.strictEqual((yield* keyfob("token bearer")).stdout, "canary-token\n")
      assert.notInclude((yield* keyfob("status")).stdout + (yield* keyfob("context show")).stdout, "canary")
    }).pipe(Effect.provide(archive))
  )

  it.effect("C-15 what cannot be renewed is not: named it says so, of all it is left out", () =>
    Effect.gen(function* () {
      const { keyfob } = yield* scene(bearer)
      yield* keyfob("login bearer", { env: { KEYFOB_TOKEN: "t" } })
      const named = yield* keyfob("refresh bearer --force")
      assert.strictEqual(named.exitCode, 2)
      assert.match(named.stderr, /provider bearer has no way to renew its token\n/)
      for (const command of ["refresh", "keepalive"]) {
        const { exitCode, stdout } = yield* keyfob(`${command} -o json`)
        assert.deepStrictEqual([exitCode, JSON.parse(stdout)], [0, []])
      }
      const userinfo = yield* keyfob("userinfo bearer")
      assert.strictEqual(userinfo.exitCode, 2)
      assert.match(userinfo.stderr, /provider bearer has no authorization server to ask\n/)
    }).pipe(Effect.provide(archive))
  )

  it.effect("a wrong key is a clear sentence: exit 2, place and what is expected; a misspelled one a warning", () =>
    Effect.gen(function* () {
      const wrong = yield* (yield* scene(`${basic}password = 12345\n`)).keyfob("status archive")
      assert.strictEqual(wrong.exitCode, 2)
      assert.match(wrong.stderr, /config\.toml, line 5: contexts\.work\.providers\.archive\.password: expected string/)
      assert.notInclude(wrong.stderr, "12345")
      const absent = yield* (yield* scene(basic.replace(/username.*\n/, ""))).keyfob("status archive")
      assert.strictEqual(absent.exitCode, 2)
      assert.match(absent.stderr, /archive\.username is missing/)
      // It is there, and lacks a key: no other provider has to be added.
      const login = yield* (yield* scene(basic.replace(/username.*\n/, ""))).keyfob("login archive")
      assert.strictEqual(login.exitCode, 2)
      assert.match(login.stderr, /archive\.username is missing\n +Add it to config\.toml/)
      const near = yield* (yield* scene(`${basic}pasword = "canary"\n`)).keyfob("status")
      assert.strictEqual(near.exitCode, 0)
      assert.match(near.stderr, /archive\.pasword is not a known key; did you mean password\?/)
      const odd = yield* (yield* scene('[contexts.work.providers.x]\ntype = "odd"\n')).keyfob("token x")
      assert.strictEqual(odd.exitCode, 2)
      assert.match(
        odd.stderr,
        /no such name: type odd of provider x; this keyfob knows oauth, basic, static.*\n +Use a name that is there/
      )
    }).pipe(Effect.provide(archive))
  )

  it.effect("where nothing is configured, every command says how to add a provider", () =>
    Effect.gen(function* () {
      const { keyfob } = yield* scene("")
      for (const command of ["login", "login x", "token", "refresh", "logout"]) {
        const { exitCode, stderr } = yield* keyfob(command)
        assert.strictEqual(exitCode, 2)
        assert.match(
          stderr,
          /^keyfob: context default has no provider in .*\n +Add one: keyfob login NAME --issuer URL/
        )
      }
    }).pipe(Effect.provide(archive))
  )

  it.effect("a provider that cannot be read fails what needs it, with exit 2, and nothing else", () =>
    Effect.gen(function* () {
      const { keyfob } = yield* scene(`${bearer}${basic.replace(/username.*\n/, "")}`)
      const env = { KEYFOB_TOKEN: "t" }
      assert.strictEqual((yield* keyfob("login bearer", { env })).exitCode, 0)
      assert.strictEqual((yield* keyfob("token bearer")).stdout, "t\n")
      for (const command of [
        "context list",
        "context use work",
        "context add work other --issuer https://a --client-id b"
      ])
        assert.strictEqual((yield* keyfob(command)).exitCode, 0, command)
      const { exitCode, stdout } = yield* keyfob("status -o json")
      assert.strictEqual(exitCode, 0)
      const rows: ReadonlyArray<Record<string, unknown>> = JSON.parse(stdout)
      const [, archive] = rows
      assert.deepStrictEqual(
        rows.map(({ provider, status }) => `${provider} ${status}`),
        ["bearer authenticated", "archive error", "other login_required"]
      )
      assert.deepInclude(archive, { type: "basic" })
      assert.match(
        (yield* keyfob("context show work")).stdout,
        /archive\n {2}type +basic\n {2}error .*username is missing/
      )
      const refused = [
        "token archive",
        "login archive",
        "login archive --store memory",
        "logout archive",
        "verify a.b.c --provider archive",
        "doctor",
        "context remove work"
      ]
      for (const command of refused) {
        const ran = yield* keyfob(command)
        assert.strictEqual(ran.exitCode, 2, command)
        assert.match(ran.stdout + ran.stderr, /config\.toml: contexts\.work\.providers\.archive\.username is missing/)
      }
      const every = yield* keyfob("logout -o json")
      assert.strictEqual(every.exitCode, 2)
      assert.deepInclude(JSON.parse(every.stdout)[0], { provider: "bearer", removed: true })
      assert.strictEqual((yield* keyfob("context remove work --force")).exitCode, 0)
    }).pipe(Effect.provide(archive))
  )

  it.effect("provider list has the types, and what can be set for each", () =>
    Effect.gen(function* () {
      const { keyfob } = yield* scene("")
      const rows = JSON.parse((yield* keyfob("provider list -o json")).stdout)
      const found = rows.find((row: { readonly type: string }) => row.type === "basic")
      assert.isNotEmpty(found.description)
      const [url, , password] = found.settings
      assert.deepInclude(url, { key: "login_url", required: true, secret: false })
      assert.deepInclude(password, { key: "password", required: false, secret: true })
      const { stdout } = yield* keyfob("provider list")
      assert.match(stdout, /^oauth {2}An OAuth 2/m)
      assert.match(stdout, /^ {2}flow +auto \| browser \| device/m)
      assert.match(stdout, /^ {2}password +secret, KEYFOB_PASSWORD$/m)
    }).pipe(Effect.provide(archive))
  )
})
