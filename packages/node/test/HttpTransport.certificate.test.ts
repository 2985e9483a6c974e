/** A client certificate goes to who is asked for, and not to the proxy on the way. */
import { assert, it } from "@effect/vitest"
import { Certificate, HttpTransport } from "@keyfob/node"
import { TestAuthority } from "@keyfob/embedded"
import { ConfigProvider, Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { adviceOf, ClientAuthentication, ClientCertificate, OAuthClient } from "keyfob"
import { type ChildProcess, spawn } from "node:child_process"
import { createServer as createPlainServer, type Server, type ServerResponse } from "node:http"
import { createServer } from "node:https"
import { type AddressInfo, connect, type Socket } from "node:net"
import type { TLSSocket } from "node:tls"

const nameOf = (socket: unknown) => (socket as TLSSocket).getPeerX509Certificate()?.subject ?? "nobody" // of an https server

const listening = (server: Server) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port))) // TCP
    }),
    () =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )

type Authority = Effect.Success<typeof TestAuthority.make>

const layerOf = ({ caFile }: Authority, environment: Readonly<Record<string, string>>) =>
  HttpTransport.layer({ caFile }).pipe(
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: environment })))
  )

/** A server that says in the handshake why it refuses: those of Node end the connection without a word. */
const strict = (authority: Authority, version: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly process: ChildProcess }>((resume) => {
      const { certFile, keyFile } = authority.client("localhost")
      const own = ["-cert", certFile, "-key", keyFile, "-CAfile", authority.caFile]
      const asking = ["s_server", "-accept", "127.0.0.1:0", version, "-Verify", "1", "-verify_return_error", "-www"]
      const process = spawn("openssl", [...asking, ...own], { stdio: ["ignore", "pipe", "ignore"] })
      let said = ""
      process.stdout.on("data", (text) => {
        said += String(text)
        const [, port] = /^ACCEPT .*:(\d+)\n/m.exec(said) ?? []
        if (port !== undefined) resume(Effect.succeed({ port: Number(port), process }))
      })
    }),
    ({ process }) => Effect.sync(() => process.kill())
  )

for (const version of ["-tls1_2", "-tls1_3"]) {
  it.live(`a server that refuses the certificate has not processed the request: ${version}`, () =>
    Effect.gen(function* () {
      const authority = yield* TestAuthority.make
      const { port } = yield* strict(authority, version)
      const proxy = createPlainServer()
      proxy.on("connect", (_, socket) => {
        const tunnel = connect(port, "127.0.0.1", () => {
          socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
          socket.pipe(tunnel).pipe(socket)
        })
        for (const end of [socket, tunnel]) end.on("error", () => tunnel.destroy())
      })
      const proxied = { HTTPS_PROXY: `http://localhost:${yield* listening(proxy)}` }
      const { certFile, keyFile } = authority.selfSigned("stranger")
      const issuer = `https://localhost:${port}`
      const asked = Effect.gen(function* () {
        const client = yield* OAuthClient.make({
          issuer,
          clientId: "app",
          endpoints: { token_endpoint: `${issuer}/token` },
          authentication: ClientAuthentication.selfSignedTlsClientAuth,
          certificate: Certificate.files({ certificate: certFile, key: keyFile })
        })
        return yield* Effect.flip(client.post("token", { grant_type: "client_credentials" }, "spending"))
      })
      for (const environment of [{}, proxied]) {
        const error = yield* Effect.provide(asked, layerOf(authority, environment))
        assert.include(
          error,
          { _tag: "ProviderRefused", reason: "InvalidCertificate", code: "unknown_ca" },
          error.message
        )
        assert.match(error.message, /does not accept the client's certificate: localhost:\d+ \(unknown_ca\)/)
        assert.strictEqual(adviceOf(error).exitCode, 2)
      }
    }).pipe(Effect.scoped)
  )
}

it.live("through a tunnel and straight; requests without it have connections of their own", () =>
  Effect.gen(function* () {
    const authority = yield* TestAuthority.make
    const asking = { ...authority.server, requestCert: true, rejectUnauthorized: false }
    const target = createServer(asking, ({ socket }, response) => response.end(nameOf(socket)))
    const port = yield* listening(target)
    const atProxy: Array<string> = []
    const proxy = createServer(asking)
    proxy.on("connect", (incoming, socket) => {
      atProxy.push(nameOf(incoming.socket))
      const tunnel = connect(port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
        socket.pipe(tunnel).pipe(socket)
      })
      for (const end of [socket, tunnel]) end.on("error", () => tunnel.destroy())
    })
    const env = { HTTPS_PROXY: `https://localhost:${yield* listening(proxy)}` }
    const { certFile, keyFile } = authority.client("app.test")
    const certificate = yield* Certificate.files({ certificate: certFile, key: keyFile })
    const get = Effect.flatMap(HttpClient.get(`https://localhost:${port}/`), ({ text }) => text)
    const presented = Effect.provideService(get, ClientCertificate.Presented, certificate)
    const seen = Effect.all([presented, get, presented])
    const expected = ["CN=app.test", "nobody", "CN=app.test"]
    assert.deepStrictEqual(yield* Effect.provide(seen, layerOf(authority, {})), expected)
    assert.deepStrictEqual(atProxy, [])
    assert.deepStrictEqual(yield* Effect.provide(seen, layerOf(authority, env)), expected)
    assert.deepStrictEqual([...new Set(atProxy)], ["nobody"])
  })
)

it.effect(
  "a minute after its last request a certificate has no connection left, and no answer is cut off by that",
  () =>
    Effect.gen(function* () {
      const authority = yield* TestAuthority.make
      const asking = { ...authority.server, requestCert: true, rejectUnauthorized: false, keepAliveTimeout: 600_000 }
      const sockets: Array<Socket> = []
      let held: ServerResponse | undefined
      const server = createServer(asking, ({ socket, url }, response) => {
        if (!sockets.includes(socket)) sockets.push(socket)
        if (url === "/") return response.end()
        response.write("first, ")
        held = response
      })
      const url = `https://localhost:${yield* listening(server)}/`
      const { certFile, keyFile } = authority.client("app.test")
      yield* Effect.gen(function* () {
        const request = Effect.fnUntraced(function* (path: string) {
          // Read anew each time, as a client that is made anew does it.
          const certificate = yield* Certificate.files({ certificate: certFile, key: keyFile })
          return yield* Effect.provideService(HttpClient.get(`${url}${path}`), ClientCertificate.Presented, certificate)
        })
        const quick = Effect.flatMap(request(""), ({ text }) => text)
        yield* quick
        yield* TestClock.adjust("59 seconds")
        yield* quick
        assert.lengthOf(sockets, 1)
        yield* TestClock.adjust("1 minute")
        yield* Effect.callback<void>((resume) => {
          const [socket] = sockets
          if (socket === undefined || socket.destroyed) return resume(Effect.void)
          socket.once("close", () => resume(Effect.void))
        })
        const slow = yield* request("slow")
        yield* TestClock.adjust("2 minutes")
        yield* quick
        assert.lengthOf(sockets, 3)
        held?.end("last")
        assert.strictEqual(yield* slow.text, "first, last")
      }).pipe(Effect.provide(layerOf(authority, {})))
    }).pipe(Effect.scoped)
)
