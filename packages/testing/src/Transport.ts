/** How requests come in and answers go out, by memory or by socket: both speak Effect's server side. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Request, Response } from "./model/Http.ts"

/** What becomes of a request. One that hangs has no delivery at all. */
export type Delivery =
  | { readonly _tag: "Whole" | "Half"; readonly response: Response }
  /** The connection was never there, or broke. */
  | { readonly _tag: "Broken"; readonly how: "ECONNREFUSED" | "ECONNRESET" }

export type Deliver = (request: Request) => Effect.Effect<Delivery>

const read = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest, url: string) {
  const hasBody = request.method !== "GET" && request.method !== "HEAD"
  const body = hasBody ? yield* Effect.orElseSucceed(request.text, () => "") : ""
  return { method: request.method, url, headers: { ...request.headers }, body } satisfies Request
})

export const write = ({ body, headers, status }: Response): HttpServerResponse.HttpServerResponse =>
  body === "" ? HttpServerResponse.empty({ status, headers }) : HttpServerResponse.text(body, { status, headers })

/** Says how long the body will be, and breaks off after half of it. */
const writeHalf = ({ body, headers, status }: Response): HttpServerResponse.HttpServerResponse => {
  const bytes = new TextEncoder().encode(body)
  // The first half has to leave before the connection breaks: a server that is torn down at once sends nothing of it.
  const broken = Stream.fromEffect(
    Effect.andThen(
      Effect.repeat(Effect.yieldNow, { times: 9 }),
      Effect.fail(new Error("the simulated connection broke"))
    )
  )
  return HttpServerResponse.stream(Stream.concat(Stream.make(bytes.slice(0, Math.floor(bytes.length / 2))), broken), {
    status,
    headers,
    contentLength: bytes.length
  })
}

/** A client for which there is nothing in the world but the provider. */
export const inMemory = (origin: string, deliver: Deliver): HttpClient.HttpClient =>
  HttpClient.make((request, url) =>
    Effect.gen(function* () {
      if (url.origin !== origin) return yield* broken(request, "ENOTFOUND")
      const received = yield* read(HttpServerRequest.fromClientRequest(request), `${url.pathname}${url.search}`)
      const delivery = yield* deliver(received)
      if (delivery._tag === "Broken") return yield* broken(request, delivery.how)
      const response = delivery._tag === "Half" ? writeHalf(delivery.response) : write(delivery.response)
      return HttpServerResponse.toClientResponse(response, { request })
    })
  )

/** As undici reports it: the system's code is in the cause of the cause. */
const broken = (request: HttpClientRequest.HttpClientRequest, code: string) =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({
      request,
      cause: new TypeError("fetch failed", { cause: Object.assign(new Error(code), { code }) })
    })
  })

/** The provider as something an HTTP server serves. */
export const overSocket = Effect.fnUntraced(function* (deliver: Deliver) {
  const request = yield* HttpServerRequest.HttpServerRequest
  // Servers run a handler to its end, whoever has gone away meanwhile: one that hangs would keep the server from closing.
  const delivery = yield* Effect.interruptible(deliver(yield* read(request, request.url)))
  if (delivery._tag === "Whole") return write(delivery.response)
  if (delivery._tag === "Half") return writeHalf(delivery.response)
  return yield* cut(request)
})

/** Breaks the connection before a byte of an answer is out, where the server lets one; else before its body. */
const cut = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
  const source: object = request.source
  if ("socket" in source && Predicate.hasProperty(source.socket, "resetAndDestroy")) {
    const { socket } = source
    if (typeof socket.resetAndDestroy === "function") {
      socket.resetAndDestroy()
      return HttpServerResponse.empty()
    }
  }
  return HttpServerResponse.stream(Stream.fail(new Error("the simulated connection broke")))
})
