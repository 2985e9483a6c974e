import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer } from "effect"
import { HttpBody, HttpClient, HttpClientRequest, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { FakeArnica } from "./FakeArnica.ts"

/** The fake behind a socket. */
export class Served extends Context.Service<Served, { readonly url: string; readonly fake: FakeArnica["Service"] }>()(
  "test/Served"
) {
  static readonly layer = Layer.effect(
    Served,
    Effect.gen(function* () {
      const server = yield* HttpServer.HttpServer
      const url = `${HttpServer.formatAddress(server.address)}/`
      const inside = yield* Layer.build(FakeArnica.layer(url, 0))
      const client = Context.get(inside, HttpClient.HttpClient)
      const front = Effect.gen(function* () {
        const { headers, method, text, url: path } = yield* HttpServerRequest.HttpServerRequest
        const { authorization, "content-type": type = "" } = headers
        const body = HttpBody.text(method === "GET" ? "" : yield* text, type)
        const request = HttpClientRequest.make(method === "GET" ? "GET" : "POST")(new URL(path, url), {
          headers: authorization === undefined ? {} : { authorization }
        })
        const response = yield* client.execute(method === "GET" ? request : HttpClientRequest.setBody(request, body))
        return HttpServerResponse.text(yield* response.text, {
          status: response.status,
          headers: { "content-type": response.headers["content-type"] ?? "application/json" }
        })
      }).pipe(Effect.orDie)
      yield* server.serve(front)
      return { url, fake: Context.get(inside, FakeArnica) }
    })
  ).pipe(Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
}
