/** What serves the playground. It is a lot of code that no other command needs, so it is loaded by that one alone. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Playground from "@keyfob/testing/Playground"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import { createServer } from "node:http"

/** Serves until the scope ends, and then no longer: whoever still waits for an answer has waited for nothing. */
export const serve = Effect.fnUntraced(function* (port: number) {
  const sockets = createServer()
  const server = yield* NodeHttpServer.make(() => sockets, { host: "127.0.0.1", port })
  const { issuer, page } = yield* Playground.serve({ seed: crypto.randomUUID() }).pipe(
    Effect.provideService(HttpServer.HttpServer, server)
  )
  yield* Effect.addFinalizer(() => Effect.sync(() => sockets.closeAllConnections()))
  return { issuer, page, clientId: Playground.clients.cli.client_id, commands: Playground.commands(issuer) }
})
