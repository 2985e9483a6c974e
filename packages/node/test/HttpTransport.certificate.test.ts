/** A client certificate goes to who is asked for, and not to the proxy on the way. */
import { assert, it } from "@effect/vitest"
import { Certificate, HttpTransport } from "@keyfob/node"
import { TestAuthority } from "@keyfob/embedded"
import { ConfigProvider, Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import { adviceOf, ClientAuthentication, ClientCertificate, OAuthClient } from "keyfob"
import { type ChildProcess, spawn } from "node:child_process"
import { createServer as createPlainServer, type Server } from "node:http"
import { createServer } from "node:https"
import { type AddressInfo, connect } from "node:net"
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
      process.stdout.on("data", (text) => {
        const [, port] = /^ACCEPT .*:(\d+)$/m.exec(String(text)) ?? []
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
