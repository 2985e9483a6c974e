/** `exec` and `curl`: real programs in a process of their own, looked at from inside and from outside. */
import { assert, describe, it } from "@effect/vitest"
import { clients, EmbeddedProvider, TestAuthority } from "@keyfob/embedded"
import { Effect } from "effect"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { createServer as createHttpsServer } from "node:https"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { TLSSocket } from "node:tls"
import * as Keyfob from "./Keyfob.ts"
import * as Misbehaving from "./Misbehaving.ts"

const env = { KEYFOB_CLIENT_SECRET: clients.billing.secret }

/** A machine that is signed in. */
const signedIn = Effect.gen(function* () {
  const keyfob = yield* Keyfob.make
  const provider = yield* EmbeddedProvider.start()
  const machine = ["login", "machine", "--issuer", provider.issuer, "--client-id", clients.billing.id]
  yield* keyfob.done([...machine, "--scope", "api:read", "--flow", "client_credentials"], { env })
  const token = (yield* keyfob.done(["token"])).stdout.trim()
  return { keyfob, provider, token }
})

const node = (script: string) => [process.execPath, "-e", script]

/** What every process of this machine shows of its command line. */
const commandLines = () =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8")
      } catch {
        return "" // it has ended meanwhile
      }
    })

/** A server that is asked by curl. */
const serving = (answer: (request: IncomingMessage, response: ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer(answer).listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo // TCP, so never a string or null
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}/`, close: () => void server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

describe.concurrent("exec", () => {
  it.live(
    "the token is in the child's environment, and in no command line and no other environment",
    () =>
      Effect.gen(function* () {
        const { keyfob, token } = yield* signedIn
        const script = `
          const { readFileSync, readdirSync } = require("node:fs")
          const of = (pid, what) => { try { return readFileSync("/proc/" + pid + "/" + what, "utf8") } catch { return "" } }
          const token = process.env.ACCESS_TOKEN
          const pids = readdirSync("/proc").filter((name) => /^\\d+$/.test(name))
          console.log(JSON.stringify({
            token,
            shown: pids.filter((pid) => of(pid, "cmdline").includes(token)).length,
            parent: of(process.ppid, "environ").includes(token),
            command: of(process.ppid, "cmdline").includes("exec"),
            keyfob: Object.keys(process.env).filter((name) => name.startsWith("KEYFOB_"))
          }))`
        const ran = yield* keyfob.done(["exec", "machine", "--", ...node(script)], { env })
        const seen = { token, shown: 0, parent: false, command: true, keyfob: ["KEYFOB_HOME"] }
        assert.deepStrictEqual(JSON.parse(ran.stdout), seen)
        const other = [
          "exec",
          "--env",
          "API_TOKEN",
          "--",
          ...node("console.log(process.env.API_TOKEN, process.env.ACCESS_TOKEN)")
        ]
        assert.strictEqual((yield* keyfob.done(other)).stdout, `${token} undefined\n`)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "input, output, arguments and exit code are the program's; no shell is in between",
    () =>
      Effect.gen(function* () {
        const { keyfob } = yield* signedIn
        assert.strictEqual((yield* keyfob.done(["exec", "--", "cat"], { stdin: "in and out" })).stdout, "in and out")
        const words = ["$HOME; exit 3", "a b", "--", "--env", "-o", "json", "*"]
        const echo = [...node("console.log(JSON.stringify(process.argv.slice(1)))"), "--", ...words]
        assert.deepStrictEqual(JSON.parse((yield* keyfob.done(["exec", "machine", "--", ...echo])).stdout), words)
        const failing = yield* keyfob.run(["exec", "--", "sh", "-c", "echo said >&2; exit 42"])
        assert.deepInclude(failing, { code: 42, stdout: "", stderr: "said\n" })
        assert.strictEqual((yield* keyfob.run(["exec", "--", "sh", "-c", "kill -KILL $$"])).code, 128 + 9)
      }).pipe(Effect.scoped),
    240_000
  )

  for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    it.live(
      `${name} is the program's to answer`,
      () =>
        Effect.gen(function* () {
          const { keyfob } = yield* signedIn
          const script = `process.on("${name}", () => { console.log("heard"); process.exit(9) })
            setInterval(() => undefined, 1000); console.error("ready")`
          const ran = yield* keyfob.run(["exec", "--", ...node(script)], {
            onLine: (line, signal) => (line === "ready" ? signal(name) : undefined)
          })
          assert.deepInclude(ran, { code: 9, stdout: "heard\n" })
        }).pipe(Effect.scoped),
      240_000
    )
  }

  it.live(
    "Ctrl-C on a terminal comes once, also to a program that reads from a file",
    () =>
      Effect.gen(function* () {
        const { keyfob } = yield* signedIn
        // A terminal's key is a signal to the whole group. What keyfob passes on comes in order, so that SIGUSR1 is the last.
        const script = `
          const fs = require("node:fs")
          let heard = 0, keys = 0
          const press = () => { keys++; process.kill(0, "SIGINT"); process.kill(process.ppid, "SIGUSR1") }
          process.on("SIGINT", () => heard++)
          process.on("SIGUSR1", () => keys < 10 ? press() : process.exit(fs.writeFileSync(process.argv[2], heard + " of " + keys)))
          setInterval(() => undefined, 1000)
          press()`
        const program = keyfob.file("script.js")
        yield* keyfob.write("script.js", script)
        const through = ["sh", "-c", `exec script -qefc "exec $* < /dev/null" /dev/null`, "sh"]
        const args = ["exec", "machine", "--", process.execPath, program, keyfob.file("heard")]
        yield* keyfob.done(args, { env: { ...env, TERM: "xterm" }, through })
        assert.strictEqual(yield* keyfob.read("heard"), "10 of 10")
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "nothing is run where there is no token, or it is not clear what",
    () =>
      Effect.gen(function* () {
        const { keyfob } = yield* signedIn
        const { run } = keyfob
        const touch = ["--", "touch", keyfob.file("ran")]
        Keyfob.failsWith(yield* run(["exec", "machine", ...touch.slice(1)]), 2, /-- is missing/)
        Keyfob.failsWith(yield* run(["exec", "machine", "other", ...touch]), 2, /one provider, then --/)
        Keyfob.failsWith(yield* run(["exec", "machine", "--"]), 2, /one provider, then --/)
        Keyfob.failsWith(yield* run(["exec", "--env", "A=B", ...touch]), 2, /--env needs another value/)
        Keyfob.failsWith(yield* run(["exec", "nobody", ...touch]), 2, /there is machine/)
        Keyfob.failsWith(yield* run(["exec", "--", "no-such-program"]), 2, /no-such-program cannot be run \(ENOENT\)/)
        yield* keyfob.done(["logout", "machine", "--no-revoke"], { env })
        yield* keyfob.done(["context", "add", "default", "machine", "--flow", "device"])
        Keyfob.failsWith(yield* run(["exec", ...touch]), 3, /nobody is signed in/)
        assert.notInclude(yield* keyfob.files, "ran")
      }).pipe(Effect.scoped),
    240_000
  )
})

describe.concurrent("curl", () => {
  it.live(
    "asks with the token, which shows in no command line while it does",
    () =>
      Effect.gen(function* () {
        const { keyfob, provider, token } = yield* signedIn
        const me = yield* keyfob.done(["curl", "machine", "--", "-sS", provider.apiUrl])
        assert.include(JSON.parse(me.stdout), { client_id: clients.billing.id, token: "jwt" })
        const seen: Array<string> = []
        const server = yield* serving((request, response) => {
          seen.push(String(request.headers.authorization), ...commandLines())
          response.end("ok")
        })
        const ran = yield* keyfob.done(["curl", "--", "-sS", "-X", "POST", "-d", "a=b", server.url])
        assert.strictEqual(ran.stdout, "ok")
        const [authorization, ...lines] = seen
        assert.strictEqual(authorization, `Bearer ${token}`)
        assert.isTrue(lines.some((line) => line.includes("--config\0-\0-sS")))
        for (const line of lines) assert.notInclude(line, token)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "a provider of another type has its own header",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const seen: Array<string | undefined> = []
        const server = yield* serving((request, response) => {
          seen.push(request.headers.authorization)
          response.setHeader("content-type", "application/json").end("{}")
        })
        yield* keyfob.done(["context", "add", "default"])
        const settings = { type: "basic", login_url: server.url, username: 'al"ice\\', password: "canary" }
        const lines = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
        yield* keyfob.write("config.toml", ["[contexts.default.providers.old]", ...lines].join("\n"))
        yield* keyfob.done(["login", "old"])
        yield* keyfob.done(["curl", "--", "-sS", server.url])
        const expected = `Basic ${btoa('al"ice\\:canary')}`
        assert.deepStrictEqual(seen, [expected, expected])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "the token goes over no unprotected line, and to nobody a redirect names",
    () =>
      Effect.gen(function* () {
        const { keyfob } = yield* signedIn
        const seen: Array<string | undefined> = []
        const elsewhere = yield* serving((request, response) => {
          seen.push(request.headers.authorization)
          response.end("elsewhere")
        })
        const api = yield* serving((_, response) => response.writeHead(302, { location: elsewhere.url }).end())
        // 192.0.2.1 is nobody's (RFC 5737); curl never gets as far.
        const open = yield* keyfob.run(["curl", "--", "-sS", "http://192.0.2.1/"])
        assert.strictEqual(open.code, 1, open.stderr)
        const through = yield* keyfob.run(["curl", "--", "-sS", "-x", elsewhere.url, "http://192.0.2.1/"])
        assert.strictEqual(through.code, 1, through.stderr)
        const followed = yield* keyfob.run(["curl", "--", "-sS", "-L", api.url])
        assert.strictEqual(followed.code, 1, followed.stderr)
        assert.deepStrictEqual(seen, [])
        const told = yield* keyfob.done(["curl", "--", "-sS", "-L", "--proto-redir", "=http", api.url])
        assert.strictEqual(told.stdout, "elsewhere")
        assert.deepStrictEqual(seen, [undefined])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "an API key's header, which curl would not keep from other hosts, is sent where no redirect is followed",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const seen: Array<string | undefined> = []
        const api = yield* serving((request, response) => {
          seen.push(String(request.headers["x-api-key"]))
          if (request.url === "/")
            response.writeHead(302, { location: api.url.replace("127.0.0.1", "localhost") + "on" })
          response.end("ok")
        })
        yield* keyfob.done(["context", "add", "default"])
        yield* keyfob.write("config.toml", '[contexts.default.providers.key]\ntype = "static"\nheader = "X-Api-Key"\n')
        yield* keyfob.done(["login", "key"], { env: { KEYFOB_TOKEN: "canary" } })
        assert.strictEqual((yield* keyfob.done(["curl", "--", "-s", api.url])).stdout, "ok")
        assert.deepStrictEqual(seen, ["canary"])
        const followed = yield* keyfob.run(["curl", "--", "-sL", "--proto-redir", "=http", api.url])
        Keyfob.failsWith(followed, 2, /would send X-Api-Key to every host that a redirect names/)
        assert.deepStrictEqual(seen, ["canary"])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "what goes to this machine in clear goes there, whatever proxy the environment, .curlrc or an argument names",
    () =>
      Effect.gen(function* () {
        const { keyfob, token } = yield* signedIn
        const seen: Array<string> = []
        const serves = (name: string) =>
          serving((request, response) => {
            seen.push(`${name}: ${request.headers.authorization}${request.headers["x-curlrc"] ?? ""}`)
            response.end()
          })
        const api = yield* serves("api")
        const proxy = yield* serves("proxy")
        writeFileSync(join(keyfob.home, ".curlrc"), `proxy = "${proxy.url}"\nheader = "X-Curlrc: read"\n`)
        for (const variable of ["http_proxy", "ALL_PROXY"]) {
          yield* keyfob.done(["curl", "--", "-sS", api.url], { env: { [variable]: proxy.url } })
        }
        assert.deepStrictEqual(seen.splice(0), [`api: Bearer ${token}`, `api: Bearer ${token}`])
        const detour = yield* keyfob.run(["curl", "--", "-sx", proxy.url, api.url])
        Keyfob.failsWith(detour, 2, /over plain http the token does not leave this machine/)
        // What stands in a glob is not looked at.
        const { url } = proxy
        for (const glob of [`{a.b,${url}}`, `{"a",${url}}`, `{${url.replace(":", "\\:")}}`]) {
          assert.notStrictEqual((yield* keyfob.run(["curl", "--", "-s", api.url, glob])).code, 0)
          assert.deepStrictEqual(seen.splice(0), [`api: Bearer ${token}`], glob)
        }
        // A proxy of this machine for https is another matter; nobody listens there.
        const tunnelled = yield* keyfob.run(["curl", "--", "-sS", "-x", "http://127.0.0.1:1", "https://id.example"])
        assert.strictEqual(tunnelled.code, 7, tunnelled.stderr)
        assert.deepStrictEqual(seen, [])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "a token that is bound to the client's certificate is sent with it; who only gets the token is told (RFC 8705 section 3)",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const authority = yield* TestAuthority.make
        const provider = yield* EmbeddedProvider.start({
          tls: authority.server,
          clients: [
            {
              client_id: "bound",
              grant_types: ["client_credentials"],
              redirect_uris: [],
              response_types: [],
              token_endpoint_auth_method: "tls_client_auth",
              tls_client_auth_san_dns: "app.test",
              tls_client_certificate_bound_access_tokens: true
            }
          ]
        })
        const { certFile, keyFile } = authority.client("app.test")
        // A word of this test alone: it is looked for in the command lines of all the others as well.
        const word = "opens-the-key-of-app"
        const passphrase = `${word} "of\\ a key`
        const encrypted = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase } as const
        writeFileSync(join(keyfob.home, "app:1.pem"), readFileSync(certFile))
        writeFileSync(join(keyfob.home, "app:1.key"), createPrivateKey(readFileSync(keyFile)).export(encrypted), {
          mode: 0o600
        })
        const env = { KEYFOB_CA_FILE: authority.caFile, KEYFOB_PRIVATE_KEY_PASSPHRASE: passphrase }
        const who = ["--issuer", provider.issuer, "--client-id", "bound", "--scope", "api:read"]
        const how = ["--flow", "client_credentials", "--cert-file", "~/app:1.pem", "--key-file", "~/app:1.key"]
        yield* keyfob.done(["login", "m", ...who, ...how], { env })
        const lines: Array<string> = []
        const api = createHttpsServer({ ...authority.server, requestCert: true }, ({ headers, socket }, response) => {
          lines.push(...commandLines())
          const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
          response.end(JSON.stringify([certificate?.subject, headers.authorization]))
        })
        const port = yield* Effect.acquireRelease(
          Effect.callback<number>((resume) => {
            api.listen(0, "127.0.0.1", () => resume(Effect.succeed((api.address() as AddressInfo).port))) // TCP
          }),
          () => Effect.sync(() => api.close())
        )
        const asked = ["curl", "--", "-sS", "--cacert", authority.caFile, `https://localhost:${port}/`]
        const ran = yield* keyfob.done(asked, { env })
        const header = yield* keyfob.done(["header"], { env })
        const [subject, authorization] = JSON.parse(ran.stdout)
        assert.strictEqual(subject, "CN=app.test")
        assert.strictEqual(`Authorization: ${authorization}\n`, header.stdout)
        assert.strictEqual(ran.stderr, "")
        for (const line of lines) assert.notInclude(line, word)
        const followed = yield* keyfob.run([...asked, "-L"], { env })
        Keyfob.failsWith(followed, 2, /would send the client's certificate to every host that a redirect names/)
        const said = "keyfob: the token is bound to the client's certificate: whoever sends it has to present that"
        assert.include(header.stderr, said)
        assert.include((yield* keyfob.done(["exec", "--", "true"], { env })).stderr, said)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "a token that cannot be read is bound where the client takes none that is not",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const { certFile, keyFile } = (yield* TestAuthority.make).client("app.test")
        const digest = new X509Certificate(readFileSync(certFile)).fingerprint256.replaceAll(":", "")
        const cnf = { "x5t#S256": Buffer.from(digest, "hex").toString("base64url") }
        const { discovery, issuer, metadata, set } = yield* Misbehaving.make
        yield* set(discovery, { body: { ...metadata, introspection_endpoint: `${issuer}/introspect` } })
        yield* set("/token", { body: { access_token: "opaque", token_type: "Bearer", expires_in: 3600 } })
        yield* set("/introspect", { body: { active: true, cnf } })
        const who = ["--issuer", issuer, "--client-id", "c", "--flow", "client_credentials"]
        const how = ["--client-auth", "client_secret_post", "--cert-file", certFile, "--key-file", keyFile]
        yield* keyfob.done(["login", "m", ...who, ...how, "--certificate-bound-access-tokens"], { env })
        const { stderr, stdout } = yield* keyfob.done(["header"])
        assert.strictEqual(stdout, "Authorization: Bearer opaque\n")
        assert.include(stderr, "the token is bound to the client's certificate")
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "its exit code is curl's; where curl would read what is not there, it is not run",
    () =>
      Effect.gen(function* () {
        const { keyfob } = yield* signedIn
        assert.strictEqual((yield* keyfob.run(["curl", "--", "-sS", "http://127.0.0.1:1/"])).code, 7)
        for (const args of [["-d", "@-"], ["--data-binary=@-"], ["-F", "a=<-"], ["-T", "-"], ["-sT", "."], ["-T-"]]) {
          const ran = yield* keyfob.run(["curl", "--", "https://id.example", ...args], { stdin: "data" })
          Keyfob.failsWith(ran, 2, /standard input is taken/)
        }
        Keyfob.failsWith(yield* keyfob.run(["curl", "https://id.example"]), 2, /-- is missing/)
      }).pipe(Effect.scoped),
    240_000
  )
})
