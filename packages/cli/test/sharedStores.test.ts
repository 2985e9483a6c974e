/** The stores that hosts share, as the command uses them: each home of a test is a host of its own. */
import { assert, describe, it } from "@effect/vitest"
import * as PostgresServer from "@keyfob/embedded/PostgresServer"
import * as RedisServer from "@keyfob/embedded/RedisServer"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Keyfob from "./Keyfob.ts"
import * as Misbehaving from "./Misbehaving.ts"

const canary = "canary-access"
const secret = { KEYFOB_CLIENT_SECRET: "s" }

const servers = {
  redis: Effect.map(RedisServer.start(["--requirepass", "canary-redis"]), ({ port, process }) => ({
    url: `redis://:canary-redis@127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    process
  })),
  sql: Effect.map(PostgresServer.start(), ({ port, process, url }) => ({ url, host: `127.0.0.1:${port}`, process }))
}

const make = Effect.fnUntraced(function* (store: keyof typeof servers) {
  const server = yield* servers[store]
  const provider = yield* Misbehaving.make
  yield* provider.set("/token", { body: { access_token: canary, token_type: "Bearer", expires_in: 3600 } })
  const config = [
    "[contexts.default.providers.m]",
    'type = "oauth"',
    `issuer = "${provider.issuer}"`,
    'client_id = "c"',
    'flow = "client_credentials"',
    `store = "${store}"`
  ].join("\n")
  const host = Effect.tap(Keyfob.make, (keyfob) => {
    mkdirSync(keyfob.base, { mode: 0o700 })
    return keyfob.write("config.toml", config)
  })
  return { server, provider, config, host, asked: provider.asked }
})

/** An authority made for the test, and a certificate of its for this machine's loopback address: as files of a directory. */
const certificates = Effect.gen(function* () {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-ca-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const openssl = (...args: ReadonlyArray<string>) =>
    Effect.sync(() => execFileSync("openssl", args, { cwd: directory, stdio: "ignore" }))
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
  for (const authority of ["ca", "other"]) {
    const files = ["-keyout", `${authority}.key`, "-out", `${authority}.pem`]
    yield* openssl("req", "-x509", ...key, ...files, "-subj", `/CN=${authority}`)
  }
  const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=db", "-addext", "subjectAltName=IP:127.0.0.1"]
  yield* openssl("req", "-x509", ...key, "-keyout", "key.pem", "-out", "cert.pem", ...signed)
  const file = (name: string) => join(directory, name)
  return { directory, cert: file("cert.pem"), key: file("key.pem"), ca: file("ca.pem"), otherCa: file("other.pem") }
})

const secured = {
  redis: ({ cert, key }: Effect.Success<typeof certificates>) =>
    Effect.map(RedisServer.start([], { cert, key }), ({ url }) => url),
  sql: ({ cert, key }: Effect.Success<typeof certificates>) =>
    Effect.map(PostgresServer.start([], { cert, key }), ({ url }) => `${url}?sslmode=verify-full`)
}

for (const store of ["redis", "sql"] as const) {
  describe(`store = "${store}"`, () => {
    it.live(
      "two hosts have one credential; nothing of it is in a file, and no password is told",
      () =>
        Effect.gen(function* () {
          const { config, host, provider, server } = yield* make(store)
          const [one, other] = [yield* host, yield* host]
          const env = { ...secret, KEYFOB_STORE_URL: server.url }
          assert.include(yield* one.json(["login", "m"], { env }), { store, outcome: "signed_in" })
          yield* provider.set("/token", { status: 500, body: {} })
          assert.strictEqual((yield* other.done(["token"], { env })).stdout, `${canary}\n`)
          const [row] = yield* other.json(["status"], { env })
          assert.include(row, { status: "authenticated", store })

          // The file's URL serves as well; its password makes the file one to keep closed.
          yield* other.write("config.toml", `${config}\nstore_url = "${server.url}"\n`, 0o644)
          const warned = yield* other.done(["token"], { env: secret })
          assert.strictEqual(warned.stdout, `${canary}\n`)
          assert.match(warned.stderr, /holds a secret and others can read it/)
          const shown = yield* other.json(["context", "show"])
          assert.strictEqual(shown.providers[0].store_host, server.host)

          yield* one.done(["logout", "m"], { env })
          Keyfob.failsWith(yield* one.run(["token"], { env: { ...env, KEYFOB_CLIENT_SECRET: "" } }), 2, /secret/)
          for (const keyfob of [one, other]) {
            for (const name of yield* keyfob.files) assert.notInclude(readFileSync(keyfob.file(name), "utf8"), canary)
            for (const { args, stderr, stdout } of keyfob.ran) {
              assert.notInclude(stderr, "canary", args.join(" "))
              if (args[0] !== "token") assert.notInclude(stdout, "canary", args.join(" "))
            }
          }
        }).pipe(Effect.scoped),
      240_000
    )

    it.live(
      "over TLS, to a server that --ca-file vouches for and to no other",
      () =>
        Effect.gen(function* () {
          const { host } = yield* make(store)
          const files = yield* certificates
          const keyfob = yield* host
          const env = { ...secret, KEYFOB_STORE_URL: yield* secured[store](files) }
          const through = (ca: string) => ["token", "--ca-file", ca]
          Keyfob.failsWith(yield* keyfob.run(["token"], { env }), 6, /the credential store does not answer/)
          Keyfob.failsWith(yield* keyfob.run(through(files.otherCa), { env }), 6, /does not answer/)
          assert.strictEqual((yield* keyfob.done(through(files.ca), { env })).stdout, `${canary}\n`)
        }).pipe(Effect.scoped),
      240_000
    )

    it.live(
      "no URL, another's URL, a wrong password, a server that hangs, none at all: typed, and in time",
      () =>
        Effect.gen(function* () {
          const { host, server } = yield* make(store)
          const keyfob = yield* host
          const run = (url: string) => keyfob.run(["token"], { env: { ...secret, KEYFOB_STORE_URL: url } })
          Keyfob.failsWith(yield* run(""), 2, /say where, as store_url or KEYFOB_STORE_URL/)
          Keyfob.failsWith(yield* run("https://user:canary@example.com"), 2, /its URL is not/)
          const wrong = server.url.replace(/:[^:@/]+@/, ":canary-wrong@")
          Keyfob.failsWith(yield* run(wrong), 6, /cannot be unlocked, and was left as it is/)
          if (store === "redis") {
            server.process.kill("SIGSTOP")
            Keyfob.failsWith(yield* run(server.url), 6, /the credential store does not answer/)
            server.process.kill("SIGCONT")
          }
          yield* Effect.callback<void>((resume) => {
            server.process.once("exit", () => resume(Effect.void))
            server.process.kill(store === "redis" ? "SIGKILL" : "SIGQUIT")
          })
          Keyfob.failsWith(yield* run(server.url), 6, /the credential store does not answer/)
          for (const { stderr } of keyfob.ran) assert.notInclude(stderr, "canary")
        }).pipe(Effect.scoped),
      240_000
    )
  })
}
