/** A client certificate goes to who is asked for, and not to the proxy on the way. */
import { assert, it } from "@effect/vitest"
import { Certificate, HttpTransport } from "@keyfob/node"
import { TestAuthority } from "@keyfob/embedded"
import { ConfigProvider, Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import { ClientCertificate } from "keyfob"
import type { Server } from "node:http"
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
    const layer = (environment: Readonly<Record<string, string>>) =>
      HttpTransport.layer({ caFile: authority.caFile }).pipe(
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: environment })))
      )
    const get = Effect.flatMap(HttpClient.get(`https://localhost:${port}/`), ({ text }) => text)
    const presented = Effect.provideService(get, ClientCertificate.Presented, certificate)
    const seen = Effect.all([presented, get, presented])
    const expected = ["CN=app.test", "nobody", "CN=app.test"]
    assert.deepStrictEqual(yield* Effect.provide(seen, layer({})), expected)
    assert.deepStrictEqual(atProxy, [])
    assert.deepStrictEqual(yield* Effect.provide(seen, layer(env)), expected)
    assert.deepStrictEqual([...new Set(atProxy)], ["nobody"])
  })
)
