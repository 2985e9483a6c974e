import { assert, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import { adviceOf } from "keyfob"
import { execFileSync } from "node:child_process"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, request, type RequestListener, type Server } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { type AddressInfo, connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import * as HttpTransport from "../src/HttpTransport.ts"

const listening = <S extends Server>(server: S) =>
  Effect.acquireRelease(
    Effect.callback<S>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )

// A TCP server that listens on a port has an address of this form; a pipe's would be a string.
const portOf = (server: Server) => (server.address() as AddressInfo).port

const saysHello: RequestListener = (_, response) => response.end("hello")

/** A proxy that knows where every name leads: to `target`. It notes what it was asked. */
const proxyTo = Effect.fnUntraced(function* (target: number) {
  const asked: Array<string> = []
  const server = createServer((incoming, outgoing) => {
    asked.push(`${incoming.method} ${incoming.url} ${incoming.headers["proxy-authorization"] ?? ""}`.trim())
    const { pathname } = new URL(incoming.url ?? "")
    incoming.pipe(
      request({ host: "127.0.0.1", port: target, path: pathname, method: incoming.method }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(outgoing)
      })
    )
  })
  server.on("connect", (incoming, socket) => {
    asked.push(`CONNECT ${incoming.url}`)
    const tunnel = connect(target, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
      socket.pipe(tunnel).pipe(socket)
    })
    for (const end of [socket, tunnel]) end.on("error", () => tunnel.destroy())
  })
  return { asked, port: portOf(yield* listening(server)) }
})

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-tls-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** A certificate authority made for this test, and a TLS server with a certificate of it for provider.test and 127.0.0.1. */
const privateTls = Effect.gen(function* () {
  const folder = yield* directory
  const at = (name: string) => join(folder, name)
  const openssl = (command: string) => execFileSync("openssl", command.split(" "), { cwd: folder, stdio: "pipe" })
  writeFileSync(at("names"), "subjectAltName=DNS:provider.test,IP:127.0.0.1\n")
  openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=TestAuthority")
  openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=provider.test")
  openssl("x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.pem")
  const keys = { key: readFileSync(at("server.key")), cert: readFileSync(at("server.pem")) }
  return { caFile: at("ca.pem"), port: portOf(yield* listening(createTlsServer(keys, saysHello))) }
})

const get = (url: string, env: Record<string, string> = {}, caFile?: string) =>
  HttpClient.get(url).pipe(
    Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text }))),
    Effect.provide(
      HttpTransport.layer({ caFile }).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
    )
  )

const hello = { status: 200, text: "hello" }

it.live("goes straight without a proxy, whatever the process's own environment says", () =>
  Effect.gen(function* () {
    const port = portOf(yield* listening(createServer(saysHello)))
    const before = process.env["HTTP_PROXY"]
    process.env["HTTP_PROXY"] = "http://127.0.0.1:9"
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (before === undefined) delete process.env["HTTP_PROXY"]
        else process.env["HTTP_PROXY"] = before
      })
    )
    assert.deepStrictEqual(yield* get(`http://127.0.0.1:${port}/`), hello)
  })
)

it.live.each(["HTTP_PROXY", "http_proxy"])("%s takes plain http, with its password", (name) =>
  Effect.gen(function* () {
    const proxy = yield* proxyTo(portOf(yield* listening(createServer(saysHello))))
    const env = { [name]: `http://ada:pw@127.0.0.1:${proxy.port}` }
    assert.deepStrictEqual(yield* get("http://provider.test/a?b=c", env), hello)
    assert.deepStrictEqual(proxy.asked, [`GET http://provider.test/a?b=c Basic ${btoa("ada:pw")}`])
  })
)

it.live.each(["HTTPS_PROXY", "https_proxy"])("%s takes https through a tunnel", (name) =>
  Effect.gen(function* () {
    const tls = yield* privateTls
    const proxy = yield* proxyTo(tls.port)
    // Without a scheme, as curl takes it too.
    assert.deepStrictEqual(
      yield* get("https://provider.test/", { [name]: `127.0.0.1:${proxy.port}` }, tls.caFile),
      hello
    )
    assert.deepStrictEqual(proxy.asked, ["CONNECT provider.test:443"])
  })
)

it.live("NO_PROXY goes past it", () =>
  Effect.gen(function* () {
    const port = portOf(yield* listening(createServer(saysHello)))
    const proxy = yield* proxyTo(port)
    const env = { HTTP_PROXY: `http://127.0.0.1:${proxy.port}`, NO_PROXY: "example.com,127.0.0.1" }
    assert.deepStrictEqual(yield* get(`http://127.0.0.1:${port}/`, env), hello)
    assert.deepStrictEqual(proxy.asked, [])
  })
)

it.live("a loopback request passes a proxy on this machine, and never one elsewhere", () =>
  Effect.gen(function* () {
    const port = portOf(yield* listening(createServer(saysHello)))
    const proxy = yield* proxyTo(port)
    assert.deepStrictEqual(
      yield* get(`http://127.0.0.1:${port}/`, { HTTP_PROXY: `http://127.0.0.1:${proxy.port}` }),
      hello
    )
    assert.strictEqual(proxy.asked.length, 1)
    const elsewhere = { HTTP_PROXY: "http://proxy.invalid:3128", HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` }
    assert.deepStrictEqual(yield* get(`http://127.0.0.1:${port}/`, elsewhere), hello)
    assert.deepStrictEqual(yield* get(`http://localhost:${port}/`, elsewhere), hello)
    // Nobody is there, but nobody else was asked either.
    const error = yield* Effect.flip(get("http://127.0.0.2:1/", elsewhere))
    assert.notInclude(inspect(error, { depth: 9 }), "proxy.invalid")
    assert.strictEqual(proxy.asked.length, 1)
  })
)

it.live("a private authority is trusted where its file is given, and not otherwise", () =>
  Effect.gen(function* () {
    const { caFile, port } = yield* privateTls
    assert.deepStrictEqual(yield* get(`https://127.0.0.1:${port}/`, {}, caFile), hello)
    const error = yield* Effect.flip(get(`https://127.0.0.1:${port}/`))
    assert.strictEqual(error._tag, "HttpClientError")
  })
)

it.live("a redirect is an answer, not a way", () =>
  Effect.gen(function* () {
    let requests = 0
    const port = portOf(
      yield* listening(
        createServer((_, response) => {
          requests++
          response.writeHead(302, { location: "/elsewhere" }).end()
        })
      )
    )
    assert.strictEqual((yield* get(`http://127.0.0.1:${port}/`)).status, 302)
    assert.strictEqual(requests, 1)
  })
)

it.live("an interrupted first request does not spoil the next", () =>
  Effect.gen(function* () {
    const port = portOf(yield* listening(createServer(saysHello)))
    yield* Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      yield* Effect.timeoutOption(client.get(`http://127.0.0.1:${port}/`), "0 millis")
      assert.strictEqual((yield* client.get(`http://127.0.0.1:${port}/`)).status, 200)
    }).pipe(Effect.provide(HttpTransport.layer()))
  })
)

it.live.each([
  ["HTTPS_PROXY", "ftp://ada:pw@proxy.test"],
  ["HTTP_PROXY", "http://ada:pw@:x"],
  ["http_proxy", "http://ada:pw@proxy.test:99999"]
])("%s=%s is refused, its password unseen", ([name = "", value = ""]) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(get("http://provider.test/", { [name]: value }))
    assert(error._tag === "ConfigurationInvalid")
    assert.include(error.message, `${name.toUpperCase()} is no proxy's URL`)
    assert.notInclude(error.message, "pw")
    assert.strictEqual(adviceOf(error).exitCode, 2)
  })
)

it.live("a CA file that is missing or holds something else is refused", () =>
  Effect.gen(function* () {
    const folder = yield* directory
    const refused = Effect.fnUntraced(function* (file: string) {
      const error = yield* Effect.flip(get("https://provider.test/", {}, file))
      assert(error._tag === "ConfigurationInvalid")
      assert.strictEqual(adviceOf(error).exitCode, 2)
      return error.detail
    })
    const file = join(folder, "ca.pem")
    assert.strictEqual(yield* refused(file), `the CA file ${file} cannot be read (ENOENT)`)
    assert.strictEqual(yield* refused(folder), `the CA file ${folder} cannot be read (EISDIR)`)
    const others = [
      "",
      "hello",
      "-----BEGIN CERTIFICATE-----\n",
      "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
    ]
    for (const text of others) {
      writeFileSync(file, text)
      chmodSync(file, 0o600)
      assert.strictEqual(yield* refused(file), `the CA file ${file} holds no certificate in PEM form`)
    }
  })
)
