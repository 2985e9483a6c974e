import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { HttpBody, HttpClient, HttpClientRequest } from "effect/http"
import { AuthorizedHttpClient, TokenSource } from "keyfob"
import { broken, json, metadata, provider, refused, type Reply, scripted, status } from "../scripted.ts"
import { credential, observed, person, tokens, write } from "./given.ts"

class Api extends TokenSource.Service<Api>()("test/Api") {}
const api = "https://api.example"
const things = `${api}/things`
const ok = json({ ok: true })

/** Answers 200 to the tokens named, 401 to all else. */
const accepting =
  (...accepted: ReadonlyArray<string>): Reply =>
  (request) =>
    (accepted.includes(request.headers["authorization"] ?? "") ? ok : status(401))(request)

const scene = (
  replies: Reply | ReadonlyArray<Reply>,
  renewals: Reply | ReadonlyArray<Reply> = [],
  more: Readonly<Record<string, Reply>> = {}
) => {
  const http = scripted({ ...provider, [metadata.token_endpoint]: renewals, [things]: replies, ...more })
  const store = observed()
  const layer = Api.layerStored(person).pipe(Layer.provideMerge([store.layer, http.layer]))
  const tokensSent = (url = things) => http.to(url).map(({ headers }) => headers["authorization"])
  return { http, layer, store, tokensSent, renewals: () => http.to(metadata.token_endpoint) }
}
const signedIn = write(credential())
const authorized = (...origins: ReadonlyArray<string>) =>
  AuthorizedHttpClient.make(Api, { origins: origins.length === 0 ? [api] : origins })

describe("AuthorizedHttpClient", () => {
  it.effect("C-01 puts the token on a request; a success renews nothing", () => {
    const { layer, renewals, tokensSent } = scene([ok])
    return Effect.gen(function* () {
      yield* signedIn
      const client = yield* authorized()
      assert.strictEqual((yield* client.get(things)).status, 200)
      assert.deepStrictEqual(tokensSent(), ["Bearer access-1"])
      assert.lengthOf(renewals(), 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("R16 C-04 A-30 X-07 a 401 renews the token and sends the request once more", () => {
    const { layer, renewals, tokensSent } = scene(accepting("Bearer access-2"), [tokens(2)])
    return Effect.gen(function* () {
      yield* signedIn
      const client = yield* authorized()
      assert.strictEqual((yield* client.get(things)).status, 200)
      assert.deepStrictEqual(tokensSent(), ["Bearer access-1", "Bearer access-2"])
      assert.lengthOf(renewals(), 1)
      yield* client.get(things)
      assert.strictEqual(tokensSent()[2], "Bearer access-2")
    }).pipe(Effect.provide(layer))
  })

  it.effect("R16 C-06 a second 401 is the answer: two requests, one renewal", () => {
    const { layer, renewals, tokensSent } = scene(status(401), [tokens(2)])
    return Effect.gen(function* () {
      yield* signedIn
      const client = yield* authorized()
      assert.strictEqual((yield* client.get(things)).status, 401)
      assert.lengthOf(tokensSent(), 2)
      assert.lengthOf(renewals(), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect.each([
    ["C-03 a 403 (R16: no renewal, where C-03 has one)", 403],
    ["C-02 a 500", 500],
    ["a 503", 503],
    ["a 404", 404]
  ] as const)("%s is the answer", ([, code]) => {
    const { layer, renewals, tokensSent } = scene(status(code))
    return Effect.gen(function* () {
      yield* signedIn
      const client = yield* authorized()
      assert.strictEqual((yield* client.get(things)).status, code)
      assert.lengthOf(tokensSent(), 1)
      assert.lengthOf(renewals(), 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect.each([
    ["refused", refused("invalid_grant"), "LoginRequired"],
    ["answered with an error", status(500), "ProviderUnavailable"]
  ] as const)(
    "C-05 A-31 a 401 whose renewal is %s: one request, and the reason as a typed error",
    ([, renewal, tag]) => {
      const { layer, tokensSent } = scene(status(401), renewal)
      return Effect.gen(function* () {
        yield* signedIn
        const client = yield* authorized()
        assert.strictEqual((yield* Effect.flip(client.get(things)))._tag, tag)
        assert.lengthOf(tokensSent(), 1)
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("nobody signed in: a typed error, and no request", () => {
    const { http, layer } = scene([])
    return Effect.gen(function* () {
      const client = yield* authorized()
      assert.deepInclude(yield* Effect.flip(client.get(things)), { _tag: "LoginRequired", reason: "NoCredential" })
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("what the API's connection fails with stays what it is", () => {
    const { layer } = scene([broken("ECONNRESET")])
    return Effect.gen(function* () {
      yield* signedIn
      const client = yield* authorized()
      assert.strictEqual((yield* Effect.flip(client.get(things)))._tag, "HttpClientError")
    }).pipe(Effect.provide(layer))
  })

  it.effect("A-35 R2 a herd of 401s is one renewal, and so is the next one", () => {
    let accepted = "Bearer access-2"
    const { layer, renewals, tokensSent } = scene((request) => accepting(accepted)(request), [tokens(2), tokens(3)])
    return Effect.gen(function* () {
      yield* signedIn
      const client = yield* authorized()
      const many = Effect.all(
        Array.from({ length: 100 }, () => client.get(things)),
        { concurrency: "unbounded" }
      )
      assert.isTrue((yield* many).every(({ status }) => status === 200))
      assert.lengthOf(renewals(), 1)
      assert.lengthOf(tokensSent(), 200)
      accepted = "Bearer access-3"
      assert.isTrue((yield* many).every(({ status }) => status === 200))
      assert.lengthOf(renewals(), 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("R5 a token that is due is renewed before the request, which goes out once", () => {
    const { layer, tokensSent } = scene(accepting("Bearer access-2"), [tokens(2)])
    return Effect.gen(function* () {
      yield* signedIn
      yield* TestClock.adjust("1 hour")
      const client = yield* authorized()
      assert.strictEqual((yield* client.get(things)).status, 200)
      assert.deepStrictEqual(tokensSent(), ["Bearer access-2"])
    }).pipe(Effect.provide(layer))
  })

  describe("the token is for the allowed origins", () => {
    it.effect.each([
      "https://api.example",
      "https://api.example/a/b?c=d",
      "https://API.EXAMPLE/",
      "https://api.example:443/",
      "https://user@api.example/",
      "https://second.example:8443/"
    ])("%s gets it", (url) => {
      const { http, layer } = scene([], [], { [new URL(url).href]: ok })
      return Effect.gen(function* () {
        yield* signedIn
        yield* (yield* authorized("https://api.example/", "https://second.example:8443")).get(url)
        assert.strictEqual(http.requests[0]?.headers["authorization"], "Bearer access-1")
      }).pipe(Effect.provide(layer))
    })

    it.effect.each([
      "https://other.example/",
      "http://api.example/",
      "https://api.example:8443/",
      "https://api.example.evil.example/",
      "https://evil-api.example/",
      "https://sub.api.example/",
      "https://example/",
      "https://api.example@evil.example/",
      "https://api.example:443@evil.example/",
      "https://evil.example/https://api.example/",
      "https://evil.example/?https://api.example",
      "https://evil.example#@api.example/",
      "https://evil.example\\@api.example/",
      "https://api.example.:443/",
      "https://\u0430pi.example/"
    ])("%s does not, and nobody is asked for one", (url) => {
      const { http, layer, store } = scene([], [], { [new URL(url).href]: status(401) })
      return Effect.gen(function* () {
        yield* signedIn
        store.journal.length = 0
        const client = yield* authorized()
        assert.strictEqual((yield* client.get(url)).status, 401)
        assert.lengthOf(http.requests, 1)
        assert.isUndefined(http.requests[0]?.headers["authorization"])
        assert.deepStrictEqual(store.journal, [])
      }).pipe(Effect.provide(layer))
    })

    it.effect("a redirect to elsewhere is handed back, not followed", () => {
      const { http, layer } = scene([status(302, { location: "https://evil.example/" })])
      return Effect.gen(function* () {
        yield* signedIn
        const client = yield* authorized()
        assert.strictEqual((yield* client.get(things)).status, 302)
        assert.lengthOf(http.requests, 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect.each([
      "",
      "api.example",
      "https://api.example/path",
      "https://api.example?query",
      "https://api.example#fragment",
      "https://user@api.example",
      "https://*.example",
      "null",
      "data:text/plain,x",
      "file:///etc"
    ])("%j is no origin: a typed error before any request", (origin) => {
      const { layer } = scene([])
      return Effect.gen(function* () {
        assert.deepInclude(yield* Effect.flip(authorized(api, origin)), {
          _tag: "ConfigurationInvalid",
          reason: "InvalidValue"
        })
      }).pipe(Effect.provide(layer))
    })

    it.effect("http is no way for a token, but on this machine", () => {
      const { layer } = scene([])
      return Effect.gen(function* () {
        assert.deepInclude(yield* Effect.flip(authorized("http://api.example")), {
          _tag: "ConfigurationInvalid",
          reason: "InsecureUrl"
        })
        yield* authorized("http://127.0.0.1:8080", "http://localhost", "http://[::1]:9")
      }).pipe(Effect.provide(layer))
    })
  })

  describe("what is sent once more", () => {
    it.effect("is the same request: method, headers, body", () => {
      const { http, layer } = scene(accepting("Bearer access-2"), [tokens(2)])
      return Effect.gen(function* () {
        yield* signedIn
        const client = yield* authorized()
        const request = HttpClientRequest.put(things).pipe(
          HttpClientRequest.setHeader("x-trace", "7"),
          HttpClientRequest.bodyJsonUnsafe({ name: "thing" })
        )
        assert.strictEqual((yield* client.execute(request)).status, 200)
        const [first, second] = http.to(things).map(({ body, headers, method }) => {
          const { authorization: _, b3: __, traceparent: ___, ...others } = headers
          return { body, method, others }
        })
        assert.strictEqual(first?.body, '{"name":"thing"}')
        assert.deepStrictEqual(second, first)
      }).pipe(Effect.provide(layer))
    })

    it.effect("replaces an Authorization header of the caller's", () => {
      const { layer, tokensSent } = scene([ok])
      return Effect.gen(function* () {
        yield* signedIn
        yield* (yield* authorized()).get(things, { headers: { authorization: "Basic abc" } })
        assert.deepStrictEqual(tokensSent(), ["Bearer access-1"])
      }).pipe(Effect.provide(layer))
    })

    const bytes = new TextEncoder().encode("once")
    it.effect.each([
      ["a stream", () => HttpBody.stream(Stream.succeed(bytes))],
      ["a platform's stream", () => HttpBody.raw(new Blob([bytes]).stream())]
    ] as const)("is never %s: its 401 is the answer", ([, body]) => {
      const { http, layer, renewals } = scene([status(401)], [tokens(2)])
      return Effect.gen(function* () {
        yield* signedIn
        const client = yield* authorized()
        assert.strictEqual((yield* client.post(things, { body: body() })).status, 401)
        assert.lengthOf(http.to(things), 1)
        assert.lengthOf(renewals(), 0)
      }).pipe(Effect.provide(layer))
    })

    it.effect("passes once through what the given client does to requests", () => {
      const { http, layer } = scene(accepting("Bearer access-2"), [tokens(2)])
      return Effect.gen(function* () {
        yield* signedIn
        const given = HttpClient.mapRequest(yield* HttpClient.HttpClient, (request) =>
          HttpClientRequest.setHeader(
            request.url.startsWith("/") ? HttpClientRequest.prependUrl(request, api) : request,
            "x-passes",
            `${request.headers["x-passes"] ?? ""}+`
          )
        )
        const client = yield* Effect.provideService(authorized(), HttpClient.HttpClient, given)
        assert.strictEqual((yield* client.get("/things")).status, 200)
        assert.deepStrictEqual(
          http.to(things).map(({ headers }) => headers["x-passes"]),
          ["+", "+"]
        )
      }).pipe(Effect.provide(layer))
    })
  })
})
