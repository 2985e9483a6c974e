import { assert, describe, it } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect } from "effect"
import { exportJWK, generateKeyPair, SignJWT } from "jose"
import { readFileSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"
import * as Keyfob from "./Keyfob.ts"

const env = { KEYFOB_CLIENT_SECRET: clients.billing.secret }

/** Alice at `demo`, a machine at `machine`. */
const signedIn = Effect.gen(function* () {
  const keyfob = yield* Keyfob.make
  const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
  const { issuer } = provider
  const scope = "openid profile email offline_access"
  yield* keyfob.done(
    // oxfmt-ignore
    ["login", "demo", "--issuer", issuer, "--client-id", clients.cli.id, "--scope", scope, "--flow", "device", "-o", "json"],
    {
      onLine: (line) => {
        const event = JSON.parse(line)
        if (event.event === "device_code") Effect.runFork(Person.approve(event.verification_uri_complete))
      }
    }
  )
  const machine = ["login", "machine", "--issuer", issuer, "--client-id", clients.billing.id, "--scope", "api:read"]
  yield* keyfob.done([...machine, "--flow", "client_credentials"], { env })
  yield* provider.clearRequests
  return { keyfob, provider }
})

/** `refresh --force` at a token endpoint that answers so, and knows the process that asks. */
const renewing = Effect.fnUntraced(function* (
  keyfob: Effect.Success<typeof Keyfob.make>,
  issuer: string,
  answer: (pid: number, request: IncomingMessage, response: ServerResponse) => void,
  options?: Keyfob.Options
) {
  const server = createServer((request, response) =>
    answer(Number(readFileSync(keyfob.file("pid"), "utf8")), request, response)
  )
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.sync(() => server.close())
  )
  const { port } = server.address() as AddressInfo // TCP, so never a string or null
  const config = yield* keyfob.read("config.toml")
  const endpoints = `token_endpoint = "http://127.0.0.1:${port}/"\njwks_uri = "${issuer}/jwks"\n`
  yield* keyfob.write("config.toml", `${config}\n[contexts.default.providers.demo.endpoints]\n${endpoints}`)
  const through = ["sh", "-c", 'echo $$ > "$0"; exec "$@"', keyfob.file("pid")]
  const ran = yield* keyfob.run(["refresh", "demo", "--force"], { ...options, through })
  yield* keyfob.write("config.toml", config)
  return ran
}, Effect.scoped)

/** Lets the provider answer. */
const forward = async (issuer: string, request: IncomingMessage, response: ServerResponse) => {
  const headers = { "content-type": request.headers["content-type"] ?? "" }
  const answer = await fetch(`${issuer}/token`, { method: "POST", headers, body: await text(request) })
  response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text())
}

const isLong = (secret: string) => secret.length >= 16

describe.concurrent("R14: a session", () => {
  it.live(
    "a terminal that is closed cuts off no renewal: what it brought is kept (R1)",
    () =>
      Effect.gen(function* () {
        const { keyfob, provider } = yield* signedIn
        const { access_token: before } = yield* keyfob.json(["token", "demo"])
        // The window is closed when the provider has been asked, and has not answered yet.
        yield* renewing(keyfob, provider.issuer, (pid, request, response) => {
          process.kill(pid, "SIGHUP")
          void forward(provider.issuer, request, response)
        })
        assert.notStrictEqual((yield* keyfob.json(["token", "demo"])).access_token, before)
        assert.notMatch((yield* keyfob.run(["doctor"])).stdout, /did not finish|locks/)
        yield* keyfob.done(["refresh", "demo", "--force"])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "Ctrl-C, and then the terminal is closed: that cuts off no renewal either",
    () =>
      Effect.gen(function* () {
        const { keyfob, provider } = yield* signedIn
        const { access_token: before } = yield* keyfob.json(["token", "demo"])
        let close = () => {}
        const closed = new Promise<void>((resolve) => (close = resolve))
        const onLine: Keyfob.Options["onLine"] = (line, signal) => {
          if (!line.includes("Ctrl-C again")) return
          signal("SIGHUP")
          close()
        }
        const late = (pid: number, request: IncomingMessage, response: ServerResponse) => {
          process.kill(pid, "SIGINT")
          void closed.then(() => forward(provider.issuer, request, response))
        }
        yield* renewing(keyfob, provider.issuer, late, { onLine })
        assert.notStrictEqual((yield* keyfob.json(["token", "demo"])).access_token, before)
        assert.notMatch((yield* keyfob.run(["doctor"])).stdout, /did not finish|locks/)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "Ctrl-C where a renewal is not answered: one who waits is told of it, the next ends it, and the session stays",
    () =>
      Effect.gen(function* () {
        const { keyfob, provider } = yield* signedIn
        const onLine: Keyfob.Options["onLine"] = (line, signal) =>
          line.includes("Ctrl-C again") ? signal("SIGINT") : undefined
        // As npm does it: what the terminal has sent already is passed on.
        const twice = (pid: number) => [0, 1].forEach(() => process.kill(pid, "SIGINT"))
        const ran = yield* renewing(keyfob, provider.issuer, twice, { onLine })
        assert.deepInclude(ran, { code: 130, stdout: "" })
        assert.match(ran.stderr, /^keyfob: warning: waiting for what is on its way, so that nothing is lost; .*\n$/)
        yield* keyfob.done(["refresh", "demo", "--force"])
        assert.notMatch((yield* keyfob.run(["doctor"])).stdout, /did not finish|locks/)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "a token that is bound to a key (DPoP) is kept so, and no header is made of it",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const { issuer } = yield* EmbeddedProvider.start({ dpopNonces: true })
        const machine = [
          "login",
          "machine",
          "--issuer",
          issuer,
          "--client-id",
          clients.billing.id,
          "--scope",
          "api:read"
        ]
        yield* keyfob.done([...machine, "--flow", "client_credentials", "--dpop"], { env })
        assert.include(yield* keyfob.json(["token", "machine"]), { token_type: "DPoP" })
        yield* keyfob.done(["refresh", "machine", "--force"], { env })
        assert.include(yield* keyfob.json(["token", "machine"]), { token_type: "DPoP" })
        Keyfob.failsWith(yield* keyfob.run(["header", "machine"]), 2, /bound to a key \(DPoP\)/)
      }),
    240_000
  )

  it.live(
    "a fresh token, its status and its header talk to nobody",
    () =>
      Effect.gen(function* () {
        const { keyfob, provider } = yield* signedIn
        const token = (yield* keyfob.done(["token", "demo"])).stdout.trim()
        assert.match(token, /^\S+$/)
        const json = yield* keyfob.json(["token", "demo"])
        assert.deepStrictEqual(Object.keys(json), ["access_token", "token_type", "expires_at", "scopes"])
        assert.include(json, { access_token: token, token_type: "Bearer" })
        // Flags the short way does not know take the long one, to the same token.
        assert.deepStrictEqual(yield* keyfob.json(["token", "demo", "--min-validity", "5m"]), json)
        assert.strictEqual((yield* keyfob.done(["token", "demo", "--log-level", "info"])).stdout, `${token}\n`)
        assert.strictEqual((yield* keyfob.done(["header", "demo"])).stdout, `Authorization: Bearer ${token}\n`)
        assert.deepStrictEqual(yield* keyfob.json(["header", "demo"]), { Authorization: `Bearer ${token}` })
        const [row, machine] = yield* keyfob.json(["status"])
        assert.include(row, {
          context: "default",
          provider: "demo",
          type: "oauth",
          status: "authenticated",
          current: true
        })
        assert.include(row, { refreshable: true, store: "file" })
        assert.strictEqual(row.account.sub, "alice")
        assert.isBelow(Date.parse(row.refresh_at), Date.parse(row.expires_at))
        assert.include(machine, { provider: "machine", status: "authenticated", refreshable: true })
        const text = (yield* keyfob.done(["status", "--all"])).stdout
        assert.match(text, /default +demo +authenticated +alice +in \d+ min +file/)
        for (const line of text.split("\n")) assert.isAtMost(line.length, 80)
        assert.deepStrictEqual(yield* provider.requests, [])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "refresh renews what is due, and anything with --force; by name or all",
    () =>
      Effect.gen(function* () {
        const { keyfob } = yield* signedIn
        const before = (yield* keyfob.done(["token", "demo"])).stdout
        assert.deepStrictEqual(yield* keyfob.json(["refresh", "demo"]), [
          { context: "default", provider: "demo", outcome: "fresh" }
        ])
        const rows = yield* keyfob.json(["refresh", "--force"], { env })
        assert.deepStrictEqual(
          rows.map(({ outcome, provider }: Record<string, string>) => [provider, outcome]),
          [
            ["demo", "renewed"],
            ["machine", "renewed"]
          ]
        )
        assert.notStrictEqual((yield* keyfob.done(["token", "demo"])).stdout, before)
        assert.strictEqual((yield* keyfob.done(["refresh", "demo", "--force"])).stdout, "demo: renewed\n")
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "the secret of the environment goes to the provider that calls for it, and to no other",
    () =>
      Effect.gen(function* () {
        const { keyfob } = yield* signedIn
        // demo is a public client: with a secret the provider would refuse it.
        const rows = yield* keyfob.json(["refresh", "--force"], { env })
        assert.strictEqual(rows[0].outcome, "renewed")
        const without = yield* keyfob.json(["refresh", "--force"])
        assert.strictEqual(without[0].outcome, "renewed")
        assert.include(without[1], { outcome: "failed" })
        assert.match(without[1].error.message, /client secret/)
        Keyfob.failsWith(yield* keyfob.run(["refresh", "machine", "--force"]), 2, /client secret/)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "userinfo, introspect, decode and verify",
    () =>
      Effect.gen(function* () {
        const { keyfob, provider } = yield* signedIn
        assert.strictEqual((yield* keyfob.json(["userinfo", "demo"])).sub, "alice")
        assert.match((yield* keyfob.done(["userinfo", "demo"])).stdout, /"sub": "alice"/)
        const claims = yield* keyfob.json(["introspect", "demo"])
        assert.deepInclude(claims, { active: true, sub: "alice", client_id: clients.cli.id })
        assert.match((yield* keyfob.done(["introspect", "demo"])).stdout, /"sub": "alice"/)
        const jwt = (yield* keyfob.done(["token", "machine"])).stdout
        const decoded = yield* keyfob.done(["decode", "-", "-o", "json"], { stdin: jwt })
        assert.strictEqual(JSON.parse(decoded.stdout).claims.sub, clients.billing.id)
        assert.match(decoded.stderr, /nothing was verified/)
        assert.match((yield* keyfob.done(["decode", "--provider", "machine"])).stdout, /"alg": "ES256"/)
        Keyfob.failsWith(yield* keyfob.run(["decode", "-"], { stdin: "canary" }), 7, /not a well-formed/)

        const audience = ["--audience", provider.audience]
        const stored = yield* keyfob.json(["verify", "--provider", "machine", ...audience])
        assert.strictEqual(stored.sub, clients.billing.id)
        const given = ["verify", "-", "--issuer", provider.issuer]
        assert.strictEqual((yield* keyfob.json([...given, ...audience], { stdin: jwt })).iss, provider.issuer)
        const other = yield* keyfob.run([...given, "--audience", "somebody-else"], { stdin: jwt })
        Keyfob.failsWith(other, 7, /another audience/)
        const idToken = (yield* keyfob.done(["token", "demo", "--id-token"])).stdout
        assert.strictEqual((yield* keyfob.json(["verify", "-", "--provider", "demo"], { stdin: idToken })).sub, "alice")
        Keyfob.failsWith(yield* keyfob.run(["token", "machine", "--id-token"]), 2, /no ID token/)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "introspect: a token the provider took back is an answer, and exit 7; one that cannot be asked about is exit 2",
    () =>
      Effect.gen(function* () {
        const { keyfob, provider } = yield* signedIn
        const token = (yield* keyfob.done(["token", "demo"])).stdout.trim()
        const body = new URLSearchParams({ token, client_id: clients.cli.id })
        yield* Effect.promise(() => fetch(`${provider.issuer}/token/revocation`, { method: "POST", body }))
        const ran = yield* keyfob.run(["introspect", "demo"])
        assert.strictEqual(ran.code, 7)
        assert.strictEqual(ran.stdout, '{\n  "active": false\n}\n')
        assert.match(ran.stderr, /not active.*\n.*keyfob refresh demo/)
        const json = yield* keyfob.run(["introspect", "demo", "-o", "json"])
        assert.deepStrictEqual([json.code, JSON.parse(json.stdout)], [7, { active: false }])
        assert.include(JSON.parse(json.stderr).error, { tag: "TokenRejected", reason: "Inactive" })
        for (const { stderr } of keyfob.ran) assert.notInclude(stderr, token)
        // A machine is not told whose token it is unless it proves who it is.
        Keyfob.failsWith(yield* keyfob.run(["introspect", "machine"]), 2, /client secret/)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "a server without a discovery document: endpoints by flag, remembered, and nothing else is asked",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start()
        const { issuer } = provider
        const login = ["login", "bare", "--issuer", issuer, "--client-id", clients.billing.id, "--scope", "api:read"]
        const flow = ["--flow", "client_credentials"]
        yield* keyfob.done([...login, ...flow, "--endpoint", `token_endpoint=${issuer}/token`], { env })
        yield* keyfob.done(["refresh", "bare", "--force"], { env })
        assert.match(yield* keyfob.read("config.toml"), /providers\.bare\.endpoints\]\ntoken_endpoint = /)
        assert.deepStrictEqual(
          (yield* provider.requests).map(({ path }) => path),
          ["/token", "/token"]
        )
        Keyfob.failsWith(yield* keyfob.run(["introspect", "bare"], { env }), 2, /no introspection_endpoint among/)
        const open = [...login, ...flow, "--force", "--endpoint", "token_endpoint=http://id.example/token"]
        Keyfob.failsWith(yield* keyfob.run(open, { env }), 2, /not https.*token_endpoint/)
        assert.match((yield* keyfob.done(["doctor"])).stdout, /known from its configured endpoints/)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "jwt_bearer: signs in with what the platform wrote into a file, and with the next one when it is due",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const { privateKey, publicKey } = yield* Effect.promise(() => generateKeyPair("ES256"))
        const jwk = yield* Effect.promise(() => exportJWK(publicKey))
        const grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        const robot = { client_id: "robot", token_endpoint_auth_method: "none", grant_types: [grantType] }
        const { issuer } = yield* EmbeddedProvider.start({
          trustedIssuers: [{ issuer: "https://platform.test", jwks: { keys: [jwk] } }],
          clients: [{ ...robot, redirect_uris: [], response_types: [] }]
        })
        const write = Effect.fnUntraced(function* (sub: string) {
          const jwt = new SignJWT({ sub }).setProtectedHeader({ alg: "ES256" }).setIssuer("https://platform.test")
          const signed = jwt.setAudience(issuer).setExpirationTime("1 hour").sign(privateKey)
          // As platforms do: for others to read.
          yield* keyfob.write("assertion.jwt", yield* Effect.promise(() => signed), 0o644)
        })
        const login = ["login", "robot", "--issuer", issuer, "--client-id", "robot", "--flow", "jwt_bearer"]
        Keyfob.failsWith(yield* keyfob.run([...login, "--no-save"]), 2, /--assertion-file/)
        const signIn = [...login, "--assertion-file", keyfob.file("assertion.jwt")]
        Keyfob.failsWith(yield* keyfob.run(signIn), 2, /assertion\.jwt cannot be read/)
        yield* write("alice")
        yield* keyfob.done(signIn)
        const first = (yield* keyfob.done(["token", "robot"])).stdout
        assert.include(yield* keyfob.json(["introspect", "robot"]), { sub: "alice" })
        yield* write("bob")
        assert.strictEqual((yield* keyfob.json(["refresh", "robot", "--force"]))[0].outcome, "renewed")
        assert.include(yield* keyfob.json(["introspect", "robot"]), { sub: "bob" })
        assert.notStrictEqual((yield* keyfob.done(["token", "robot"])).stdout, first)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "logout revokes and forgets, under present settings and older ones; what could not be revoked is said",
    () =>
      Effect.gen(function* () {
        const { keyfob, provider } = yield* signedIn
        const credentials = Effect.map(keyfob.files, (names) => names.filter((name) => name.startsWith("credentials")))
        Keyfob.failsWith(yield* keyfob.run(["context", "remove", "default"]), 2, /still signed in to demo, machine/)
        yield* keyfob.done(["context", "add", "default", "demo", "--scope", "openid"])
        assert.deepStrictEqual(yield* keyfob.json(["logout", "demo"]), [
          { context: "default", provider: "demo", revoked: true, removed: true }
        ])
        assert.lengthOf(
          (yield* provider.requests).filter(({ path }) => path === "/token/revocation"),
          2
        )
        assert.lengthOf(yield* credentials, 1)
        const machine = yield* keyfob.done(["logout", "--all"], { env })
        assert.match(machine.stdout, /^Nobody was signed in to demo\.\nSigned out of machine\.\n$/)
        assert.match(machine.stderr, /machine is forgotten here, but not revoked/)
        assert.deepStrictEqual(yield* credentials, [])
        const [row] = yield* keyfob.json(["logout", "machine", "--no-revoke"])
        assert.include(row, { removed: false, revoked: false })
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "R15: two contexts never share a credential",
    () =>
      Effect.gen(function* () {
        const { keyfob, provider } = yield* signedIn
        yield* keyfob.done(
          // oxfmt-ignore
          ["context", "add", "lab", "machine", "--issuer", provider.issuer, "--client-id", clients.billing.id,
            "--scope", "api:read", "--flow", "client_credentials"]
        )
        Keyfob.failsWith(yield* keyfob.run(["token", "machine", "--context", "lab"]), 2, /client secret/)
        yield* keyfob.done(["login", "machine", "--context", "lab"], { env })
        const here = (yield* keyfob.done(["token", "machine"])).stdout
        assert.notStrictEqual((yield* keyfob.done(["token", "machine", "--context", "lab"])).stdout, here)
        yield* keyfob.done(["logout", "--context", "lab"], { env })
        assert.strictEqual((yield* keyfob.done(["token", "machine"])).stdout, here)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "R15: nor do names with slashes that read alike",
    () =>
      Effect.gen(function* () {
        const { keyfob, provider } = yield* signedIn
        const machine = ["--issuer", provider.issuer, "--client-id", clients.billing.id, "--flow", "client_credentials"]
        const [one, other] = [
          ["c", "--context", "a/b"],
          ["b/c", "--context", "a"]
        ] as const
        yield* keyfob.done(["login", ...one, ...machine], { env })
        const there = yield* keyfob.json(["login", ...other, ...machine], { env })
        assert.strictEqual(there.outcome, "signed_in")
        yield* keyfob.done(["logout", ...other, "--no-revoke"], { env })
        yield* keyfob.done(["token", ...one])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "doctor finds a sound set-up sound, and an unreachable provider",
    () =>
      Effect.gen(function* () {
        const { keyfob } = yield* signedIn
        const findings = yield* keyfob.json(["doctor"])
        assert.deepStrictEqual(
          findings.filter(({ status }: { readonly status: string }) => status !== "ok"),
          []
        )
        const checks = findings.map(({ check }: { readonly check: string }) => check)
        for (const name of ["config", "credentials", "proxy", "provider demo", "provider demo, clock"]) {
          assert.include(checks, name)
        }
        yield* keyfob.done(["context", "add", "default", "gone", "--issuer", "http://127.0.0.1:1", "--client-id", "c"])
        const { code, stdout, stderr } = yield* keyfob.run(["doctor"])
        assert.strictEqual(code, 5)
        assert.match(stdout, /problem +provider gone: the provider cannot be reached/)
        assert.match(stderr, /^keyfob: there is a problem\n/)
        const proxied = yield* keyfob.run(["doctor"], { env: { HTTPS_PROXY: "http://u:canary@127.0.0.1:2" } })
        assert.match(proxied.stdout, /HTTPS_PROXY leads through 127\.0\.0\.1:2/)
        assert.notInclude(proxied.stdout + proxied.stderr, "canary")
        const both = { HTTPS_PROXY: "http://127.0.0.1:2", https_proxy: "http://127.0.0.1:3" }
        assert.match((yield* keyfob.run(["doctor"], { env: both })).stdout, /HTTPS_PROXY leads through 127\.0\.0\.1:3/)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "R13: no token or secret where it does not belong: argv, stderr, other answers, config.toml",
    () =>
      Effect.gen(function* () {
        const { keyfob } = yield* signedIn
        const jwt = (yield* keyfob.done(["token", "machine"])).stdout
        for (const args of [
          ["status"],
          ["status", "-o", "json", "--log-level", "all"],
          ["refresh", "--force", "--log-level", "all"],
          ["userinfo", "demo", "--log-level", "all"],
          ["decode", "-"],
          ["doctor", "--log-level", "all"],
          ["context", "show"],
          ["logout", "--log-level", "all"]
        ]) {
          yield* keyfob.done(args, { env, ...(args.includes("-") ? { stdin: jwt } : {}) })
        }
        const secrets = new Set<string>([clients.billing.secret, jwt.trim()])
        for (const { args, stdout } of keyfob.ran) if (args[0] === "token") secrets.add(stdout.trim())
        assert.isTrue([...secrets].every(isLong))
        for (const { args, stderr, stdout } of keyfob.ran) {
          for (const secret of secrets) {
            assert.notInclude(args, secret)
            assert.notInclude(stderr, secret, args.join(" "))
            if (args[0] !== "token") assert.notInclude(stdout, secret, args.join(" "))
          }
        }
        const config = yield* keyfob.read("config.toml")
        for (const secret of secrets) assert.notInclude(config, secret)
      }).pipe(Effect.scoped),
    240_000
  )
})
