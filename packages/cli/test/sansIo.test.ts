import { assert, describe, it } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { mkdirSync } from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { served } from "../../auki/test/served.ts"
import * as Keyfob from "./Keyfob.ts"

const example = fileURLToPath(new URL("../../../docs/sans_io.py", import.meta.url))

const services = served({ users: { "alice@example.com": "canary-password" }, domains: ["hall"] })

/**
 * The example in Python, with a provider of these settings.
 *
 * @param person answers a line that it shows with one of theirs
 */
const python = Effect.fnUntraced(function* (
  settings: string,
  args: ReadonlyArray<string>,
  person: (line: string) => Effect.Effect<string | void, Person.PersonError> = () => Effect.void
) {
  const keyfob = yield* Keyfob.make
  mkdirSync(keyfob.base, { recursive: true, mode: 0o700 })
  yield* keyfob.write("config.toml", `[contexts.lab.providers.spaces]\n${settings}\n`)
  const env = { PATH: process.env["PATH"] ?? "", KEYFOB_HOME: keyfob.base, KEYFOB_PASSWORD: "canary-password" }
  return yield* Effect.callback<{
    readonly code: number | null
    readonly stderr: string
    readonly stdout: string
  }>((resume) => {
    const program = [example, process.execPath, Keyfob.bundle, "sans-io", "spaces", ...args]
    const child = spawn("python3", program, { env })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (chunk) => (stdout += String(chunk)))
    createInterface({ input: child.stderr }).on("line", (line) => {
      stderr += `${line}\n`
      // Who has nothing to say may be done after the program is, which then reads no more.
      const tell = (answer: string | void) => (answer === undefined ? undefined : child.stdin.write(`${answer}\n`))
      Effect.runFork(Effect.map(person(line), tell))
    })
    child.on("close", (code) => resume(Effect.succeed({ code, stderr, stdout })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })
})

const auki = (url: string) =>
  `type = "auki"\napi_url = "${url}"\ndds_url = "${url}"\nclient_id = "laptop"\nemail = "alice@example.com"`
const oauth = (issuer: string) =>
  `type = "oauth"\nissuer = "${issuer}"\nclient_id = "${clients.cli.id}"\nscopes = ["openid"]`

/** A host that has each step in a process of its own, and nothing between two but what was said. */
const stepwise = Effect.fnUntraced(function* (settings: string, env: Readonly<Record<string, string>>) {
  const keyfob = yield* Keyfob.make
  mkdirSync(keyfob.base, { recursive: true, mode: 0o700 })
  yield* keyfob.write("config.toml", `[contexts.lab.providers.spaces]\n${settings}\n`)
  const run = Effect.fnUntraced(function* (
    first: { readonly now: number; readonly session?: string },
    ...args: ReadonlyArray<string>
  ) {
    let line: object = first
    for (;;) {
      const { code, stdout } = yield* keyfob.run(["sans-io", "spaces", ...args], { stdin: JSON.stringify(line), env })
      const said = JSON.parse(stdout)
      if (said.actions === undefined) return { code, ...said }
      const { body = null, headers, id, method, url } = said.actions[0]
      const { now } = first
      line = yield* Effect.promise(async () => {
        const answer = await fetch(url, { method, headers, body })
        const { status } = answer
        return {
          now,
          state: said.state,
          id,
          status,
          headers: Object.fromEntries(answer.headers),
          body: await answer.text()
        }
      })
    }
  })
  return { run }
})

describe("sans-io", () => {
  it.live(
    "B.6 a program in Python sends what keyfob hands out, and has a domain's token",
    () =>
      Effect.gen(function* () {
        const { seen, url } = yield* services
        const { code, stderr, stdout } = yield* python(auki(url), ["--domain", "hall"])
        assert.strictEqual(code, 0, stderr)
        assert.strictEqual(JSON.parse(atob(stdout.trim().split(".")[1] ?? "")).domain_id, "hall")
        assert.deepStrictEqual(
          seen.map(({ path }) => path),
          ["/user/login", "/service/domains-access-token", "/api/v1/domains/hall/auth"]
        )
        assert.isTrue(seen.every(({ headers }) => headers["user-agent"]?.startsWith("Python-urllib")))
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "X-14 it follows no redirect: what a request carries is for its own host",
    () =>
      Effect.gen(function* () {
        const { next, url } = yield* services
        const elsewhere = yield* services
        next("/service/domains-access-token", { status: 302, headers: { location: `${elsewhere.url}/` } })
        const { stdout } = yield* python(auki(url), ["--domain", "hall"])
        assert.strictEqual(stdout.trim(), "no token")
        assert.deepStrictEqual(elsewhere.seen, [])
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "X-11 half an answer is none, and a page of a proxy is one: the host in Python goes on",
    () =>
      Effect.gen(function* () {
        const { next, seen, url } = yield* services
        const page = { status: 502, headers: { "content-type": "text/html" }, body: "down" }
        const cut = {
          status: 200,
          headers: { "content-length": "1000", connection: "close" },
          body: { access_token: "x" }
        }
        next("/service/domains-access-token", cut, page)
        const { code, stderr, stdout } = yield* python(auki(url), ["--domain", "hall"])
        assert.strictEqual(code, 0, stderr)
        assert.strictEqual(JSON.parse(atob(stdout.trim().split(".")[1] ?? "")).domain_id, "hall")
        assert.lengthOf(seen, 5)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "R8 a person signs in with a code that the host shows",
    () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
        const { code, stderr, stdout } = yield* python(oauth(issuer), [], (line) => {
          const [verificationUri = "", userCode = ""] = line.split(" ")
          return Effect.asVoid(Person.approve({ verificationUri, userCode }))
        })
        assert.strictEqual(code, 0, stderr)
        assert.match(stdout.trim(), /^[\w-]{20,}$/)
        assert.strictEqual(stderr.trim().split("\n").length, 1, stderr)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "a person signs in in the host's browser: what that comes to is the answer, and nothing else is",
    () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider.start()
        const redirectUri = "http://127.0.0.1:49152/callback"
        let lines = 0
        const { code, stderr, stdout } = yield* python(oauth(issuer), ["--redirect-uri", redirectUri], (line) =>
          lines++ === 0
            ? Effect.succeed(`${redirectUri}?code=stolen&state=foreign`)
            : Effect.map(Person.approve(line, { followRedirect: false }), ({ url }) => url)
        )
        assert.strictEqual(code, 0, stderr)
        assert.strictEqual(lines, 2)
        assert.match(stdout.trim(), /^[\w-]{20,}$/)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "R15 a state of another level, or of an earlier version, is not gone on from",
    () =>
      Effect.gen(function* () {
        const { url } = yield* services
        const keyfob = yield* Keyfob.make
        mkdirSync(keyfob.base, { recursive: true, mode: 0o700 })
        yield* keyfob.write("config.toml", `[contexts.lab.providers.spaces]\n${auki(url)}\n`)
        const tell = (...lines: ReadonlyArray<object>) => ({
          stdin: lines.map((line) => JSON.stringify(line)).join("\n"),
          env: { KEYFOB_PASSWORD: "canary-password" }
        })
        const begun = yield* keyfob.run(["sans-io", "spaces"], tell({ now: 1 }))
        const { actions, state } = JSON.parse(begun.stdout)
        assert.lengthOf(actions, 2)
        assert.notInclude(JSON.stringify(state), "canary")
        const again = yield* keyfob.run(["sans-io", "spaces"], tell({ now: 1, state }))
        assert.deepStrictEqual(JSON.parse(again.stdout).actions, actions)
        for (const given of [
          { ...state, version: 1 },
          { ...state, of: "other" }
        ]) {
          Keyfob.failsWith(yield* keyfob.run(["sans-io", "spaces"], tell({ now: 1, state: given })), 2, /state|line/)
        }
        const discovery = yield* keyfob.run(["sans-io", "spaces", "--level", "discovery"], tell({ now: 1, state }))
        Keyfob.failsWith(discovery, 2, /another provider's/)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "a domain or a level of a provider that has none is wrong usage, said before a person is asked for anything",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        mkdirSync(keyfob.base, { recursive: true, mode: 0o700 })
        const settings = 'type = "aqt"\nissuer = "https://tenant.example/"'
        yield* keyfob.write("config.toml", `[contexts.lab.providers.arnica]\n${settings}\n`)
        const stdin = JSON.stringify({ now: 1 })
        for (const command of ["sans-io", "token", "explain"]) {
          for (const [flags, message] of [
            [["--domain", "hall"], /provider arnica has no domains\n {8}Leave out --domain$/],
            [["--level", "discovery"], /provider arnica has no levels\n {8}Leave out --level$/]
          ] as const) {
            const ran = yield* keyfob.run([command, "arnica", ...flags], { stdin })
            Keyfob.failsWith(ran, 2, /^keyfob: provider arnica has no /)
            assert.match(ran.stderr.trimEnd(), message)
          }
        }
        const begun = yield* keyfob.run(["sans-io", "arnica"], { stdin })
        assert.deepInclude(JSON.parse(begun.stdout).actions[0], { url: "https://tenant.example/oauth/device/code" })
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "X-21 R3 a session goes on in the next process: renewed, not begun anew, and not lost where what follows fails",
    () =>
      Effect.gen(function* () {
        const { to, url } = yield* services
        const { run } = yield* stepwise(auki(url), { KEYFOB_PASSWORD: "canary-password" })
        const ask = (session: string | undefined, now: number, domain: string) =>
          run({ now, ...(session === undefined ? {} : { session }) }, "--domain", domain)
        const now = Date.now()
        const first = yield* ask(undefined, now, "hall")
        assert.strictEqual(first.code, 0)
        assert.deepStrictEqual((yield* ask(first.session, now, "hall")).done, first.done)
        const failed = yield* ask(first.session, now + 3_600_000, "elsewhere")
        assert.deepStrictEqual([failed.code, failed.done], [4, undefined])
        assert.notDeepEqual(failed.session, first.session)
        const last = yield* ask(failed.session, now + 3_600_000, "hall")
        assert.strictEqual(last.code, 0)
        assert.deepStrictEqual(
          ["login", "refresh", "domains-access-token"].map((end) => to(end).length),
          [1, 1, 2]
        )
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "whatever signs in does: a name and a password are checked by way of the host, a token that was given asks nobody",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        mkdirSync(keyfob.base, { recursive: true, mode: 0o700 })
        const basic = `type = "basic"\nlogin_url = "https://api.example/login"\nusername = "alice"`
        const providers = `[contexts.lab.providers.spaces]\n${basic}\n[contexts.lab.providers.fixed]\ntype = "static"\n`
        yield* keyfob.write("config.toml", providers)
        const run = (name: string, ...lines: ReadonlyArray<object>) =>
          keyfob.run(["sans-io", name], {
            stdin: lines.map((line) => JSON.stringify(line)).join("\n"),
            env: { KEYFOB_PASSWORD: "canary", KEYFOB_TOKEN: "given" }
          })
        const told = yield* run("spaces", { now: 0 }, { now: 0, id: 1, status: 204 })
        const [asked, done] = told.stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line))
        assert.deepInclude(asked.actions[0], { url: "https://api.example/login" })
        assert.strictEqual(done.done.access_token, btoa("alice:canary"))
        assert.strictEqual(JSON.parse((yield* run("fixed", { now: 0 })).stdout).done.access_token, "given")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "a token that is bound to a key comes with the key: its proofs are the host's to make",
    () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider.start({ dpopNonces: true })
        const settings = `type = "oauth"\nissuer = "${issuer}"\nclient_id = "${clients.billing.id}"\nflow = "client_credentials"\ndpop = true`
        const { run } = yield* stepwise(settings, { KEYFOB_CLIENT_SECRET: clients.billing.secret })
        const { done } = yield* run({ now: Date.now() })
        assert.strictEqual(done.token_type, "DPoP")
        assert.deepInclude(done.dpop_key, { kty: "EC", crv: "P-256" })
        assert.isString(done.dpop_key.d)
      }).pipe(Effect.scoped),
    120_000
  )
})
