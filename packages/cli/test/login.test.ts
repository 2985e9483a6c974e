import { assert, describe, it } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import * as Keyfob from "./Keyfob.ts"
import * as Misbehaving from "./Misbehaving.ts"

const scope = "openid profile email offline_access"
const login = (issuer: string, ...more: ReadonlyArray<string>) => [
  "login",
  "demo",
  "--issuer",
  issuer,
  "--client-id",
  clients.cli.id,
  "--scope",
  scope,
  "--flow",
  "device",
  ...more
]

/** Does something with the first device code that is shown with `-o json`. */
const onCode = (act: (uri: string) => Effect.Effect<unknown, unknown>) => {
  let seen = false
  return (line: string) => {
    const event = line.startsWith("{") ? JSON.parse(line) : {}
    if (seen || event.event !== "device_code") return
    seen = true
    Effect.runFork(act(event.verification_uri_complete))
  }
}

/** What stands where tokens would. */
const kept = (keyfob: Effect.Success<typeof Keyfob.make>) =>
  Effect.flatMap(keyfob.files, (names) =>
    Effect.forEach(names, (name) =>
      Effect.map(keyfob.read(name), (text): unknown => JSON.parse(text).credential.token.value)
    )
  )

describe.concurrent("R8, R14: a person signs in", () => {
  it.live(
    "with -o json: events on stderr, the account on stdout, and a second login does nothing",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
        const ran = yield* keyfob.done(login(provider.issuer, "-o", "json"), { onLine: onCode(Person.approve) })
        const events = ran.stderr
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line).event)
        assert.deepStrictEqual(events, ["device_code", "waiting", "authorized"])
        const answer = JSON.parse(ran.stdout)
        assert.include(answer, { context: "default", provider: "demo", refreshable: true, store: "file" })
        assert.strictEqual(answer.account.sub, "alice")
        assert.include(answer.scopes, "openid")
        assert.match(answer.expires_at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)

        yield* provider.clearRequests
        const again = yield* keyfob.done(["login", "demo"])
        assert.match(again.stderr, /^keyfob: already signed in to demo; --force signs in again\n$/)
        assert.deepStrictEqual(yield* provider.requests, [])
        const all = yield* keyfob.json(["login"])
        assert.strictEqual(all[0].outcome, "already_signed_in")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "the ID token goes on requests, where that is said: to kubectl, and renewed with the rest",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
        const asked = login(provider.issuer, "--bearer", "id_token", "-o", "json")
        yield* keyfob.done(asked, { onLine: onCode(Person.approve) })
        const told = Effect.gen(function* () {
          const { status } = yield* keyfob.json(["credential", "kubectl", "demo"])
          const { claims } = yield* keyfob.json(["decode", status.token])
          assert.include(claims, { iss: provider.issuer, aud: clients.cli.id, sub: "alice" })
          assert.strictEqual(Date.parse(status.expirationTimestamp), claims.exp * 1000)
        })
        yield* told
        const [renewal] = yield* keyfob.json(["refresh", "demo", "--force"])
        assert.strictEqual(renewal.outcome, "renewed")
        yield* told // within a second of the first it may be the same to the letter
        assert.include((yield* keyfob.done(["context", "show"])).stdout, "bearer")
        const refused = yield* keyfob.run(["userinfo", "demo"])
        Keyfob.failsWith(refused, 2, /with an access token/)
        assert.include(refused.stderr, "keyfob decode --provider demo")
        assert.include((yield* keyfob.done(["decode", "--provider", "demo"])).stdout, "alice")
        // Another setting is another credential: nobody is handed the one for the other.
        Keyfob.failsWith(
          yield* keyfob.run(login(provider.issuer, "--bearer", "access_token", "--non-interactive")),
          3,
          /./
        )
      }).pipe(Effect.scoped),
    120_000
  )

  it.live("no ID token, where none is asked for or the key is another token's: wrong settings", () =>
    Effect.gen(function* () {
      const keyfob = yield* Keyfob.make
      const asked = ["login", "demo", "--issuer", "https://id.example", "--client-id", "a", "--bearer", "id_token"]
      Keyfob.failsWith(yield* keyfob.run(asked), 2, /scopes: expected openid in it, where bearer is id_token/)
      Keyfob.failsWith(yield* keyfob.run([...asked, "--scope", "openid", "--dpop"]), 2, /dpop: expected false/)
      Keyfob.failsWith(
        yield* keyfob.run([...asked, "--scope", "openid", "--certificate-bound-access-tokens"]),
        2,
        /certificate_bound_access_tokens: expected false/
      )
    }).pipe(Effect.scoped)
  )

  it.live(
    "in text: the URL and the code on stderr, no QR code where stderr is no terminal",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
        const onLine = (line: string) => {
          const [uri] = /http:\S+user_code=\S+/.exec(line) ?? []
          if (uri !== undefined) Effect.runFork(Person.approve(uri))
        }
        const { stderr, stdout } = yield* keyfob.done(login(provider.issuer), { onLine })
        assert.include(stderr, `${provider.issuer}/device`)
        assert.notMatch(stderr, /[█▀▄]/)
        assert.match(stdout, /^Signed in to demo as alice, the token ends in \d+ min and is renewed by itself\.\n$/)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "on a terminal: a QR code and a countdown, on the same screen",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start({ deviceInterval: "3 seconds" })
        const typescript = `${keyfob.home}/typescript`
        const watch = Effect.gen(function* () {
          for (;;) {
            yield* Effect.sleep("200 millis")
            const screen = yield* Effect.try(() => readFileSync(typescript, "utf8")).pipe(
              Effect.orElseSucceed(() => "")
            )
            const [uri] = /http:\S+user_code=[\w-]+/.exec(screen) ?? []
            if (uri !== undefined && screen.includes("good for another")) return yield* Person.approve(uri)
          }
        })
        const env = { TERM: "xterm-256color", NO_COLOR: "" }
        // `script` makes the terminal, and writes what is on it to a file while it runs. It takes a line for a shell.
        const through = ["sh", "-c", `exec script -qefc "$*" '${typescript}'`, "sh"]
        const quoted = login(provider.issuer).map((word) => `'${word}'`)
        const ran = keyfob.run(quoted, { env, through })
        const [{ code }] = yield* Effect.all([ran, watch], { concurrency: "unbounded" })
        assert.strictEqual(code, 0)
        const screen = readFileSync(typescript, "utf8")
        assert.match(screen, /[█▀▄]{5}/)
        assert.match(screen, /good for another \d+:\d\d minutes/)
        assert.include(screen, "Signed in to demo")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "denied: exit 4",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
        const ran = yield* keyfob.run(login(provider.issuer, "-o", "json"), { onLine: onCode(Person.deny) })
        assert.strictEqual(Keyfob.errorOf(ran, 4).reason, "Denied")
        assert.deepStrictEqual(yield* kept(keyfob), ['{"unanswered":0,"failures":1,"reason":"Denied"}'])
        assert.deepStrictEqual(yield* keyfob.json(["status"]), [])
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "unanswered: exit 3 when the code expires",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second", deviceCodeTtl: "2 seconds" })
        const ran = yield* keyfob.run(login(provider.issuer))
        assert.strictEqual(ran.code, 3, ran.stderr)
        assert.strictEqual(ran.stdout, "")
        assert.match(
          ran.stderr,
          /keyfob: the login was not completed in time.*\n {8}Sign in again: keyfob login demo\n$/
        )
        assert.deepStrictEqual(yield* kept(keyfob), ['{"unanswered":1,"failures":1,"reason":"Expired"}'])
      }).pipe(Effect.scoped),
    120_000
  )

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it.live(
      `${signal} while it waits: exit 130 at once, nothing left`,
      () =>
        Effect.gen(function* () {
          const keyfob = yield* Keyfob.make
          const provider = yield* EmbeddedProvider.start({ deviceInterval: "10 minutes" })
          // The next poll would come after this test's time is over.
          const ran = yield* keyfob.run(login(provider.issuer, "-o", "json"), {
            onLine: (line, send) => (line.includes('"waiting"') ? send(signal) : undefined)
          })
          assert.strictEqual(ran.code, 130)
          assert.strictEqual(ran.stdout, "")
          assert.deepStrictEqual(yield* keyfob.files, [])
        }).pipe(Effect.scoped),
      120_000
    )
  }

  for (const [name, env, flags] of [
    ["--non-interactive", {}, ["--non-interactive"]],
    ["KEYFOB_NON_INTERACTIVE=yes", { KEYFOB_NON_INTERACTIVE: "yes" }, []],
    ["CI=true", { CI: "true" }, []]
  ] as const) {
    it.live(
      `${name}: exit 3 and the command a person must run, without asking the provider`,
      () =>
        Effect.gen(function* () {
          const keyfob = yield* Keyfob.make
          const server = yield* Misbehaving.make
          const ran = yield* keyfob.run([...login(server.issuer), ...flags], { env })
          Keyfob.failsWith(ran, 3, /nobody is signed in/)
          assert.match(ran.stderr, /A person must run this: keyfob login demo/)
          assert.deepStrictEqual(server.asked, [])
        }).pipe(Effect.scoped),
      120_000
    )
  }

  it.live(
    "--force --non-interactive does not say that nobody is signed in where somebody is",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
        yield* keyfob.done(login(provider.issuer, "-o", "json"), { onLine: onCode(Person.approve) })
        const again = ["login", "demo", "--force", "--non-interactive"]
        const ran = yield* keyfob.run(again)
        Keyfob.failsWith(ran, 3, /signing in to demo again takes a person/)
        assert.match(ran.stderr, /A person must run this: keyfob login demo --force$/m)
        const error = Keyfob.errorOf(yield* keyfob.run([...again, "-o", "json"]), 3)
        assert.deepInclude(error, { tag: "LoginRequired", message: "signing in to demo again takes a person" })
        assert.notProperty(error, "reason")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "what somebody writes into the file while the login waits stays there, beside what the flags say",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
        yield* keyfob.done(["context", "add", "default", ...login(provider.issuer).slice(1)])
        const before = yield* keyfob.read("config.toml")
        const byHand = before.replace(clients.cli.id, "another").concat('audience = "mine"\n')
        const write = (uri: string) => Effect.andThen(keyfob.write("config.toml", byHand), Person.approve(uri))
        const narrower = ["login", "demo", "--scope", "openid", "-o", "json"]
        yield* keyfob.done(narrower, { onLine: onCode(write) })
        const after = byHand.replace(/scopes = .*/, 'scopes = ["openid"]')
        assert.strictEqual(yield* keyfob.read("config.toml"), after)

        const remove = (uri: string) => Effect.andThen(keyfob.write("config.toml", "# none\n"), Person.approve(uri))
        yield* keyfob.write("config.toml", before)
        yield* keyfob.done([...narrower, "--force", "--dpop"], { onLine: onCode(remove) })
        assert.strictEqual(yield* keyfob.read("config.toml"), "# none\n")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "--interactive takes CI back; --no-save leaves the configuration alone; memory forgets",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
        const args = login(provider.issuer, "-o", "json", "--interactive", "--no-save", "--store", "memory")
        const { stdout } = yield* keyfob.done(args, { env: { CI: "true" }, onLine: onCode(Person.approve) })
        assert.strictEqual(JSON.parse(stdout).store, "memory")
        assert.deepStrictEqual(yield* keyfob.files, [])
      }).pipe(Effect.scoped),
    120_000
  )
})
