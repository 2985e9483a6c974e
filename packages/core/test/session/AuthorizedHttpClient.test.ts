import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FetchHttpClient, HttpBody, HttpClient, HttpClientRequest } from "effect/http"
import { decodeJwt } from "jose"
import { AccessToken, AuthorizedHttpClient, type Credential, TokenSource } from "keyfob"
import * as Dpop from "../../src/protocol/Dpop.ts"
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

  it.effect("R5 a renewal that brings a token without any life is an error, and no request", () => {
    const { layer, tokensSent } = scene(status(401), [tokens(2, { expires_in: 0 })])
    return Effect.gen(function* () {
      yield* signedIn
      const client = yield* authorized()
      assert.deepInclude(yield* Effect.flip(client.get(things)), { _tag: "AnswerRejected", reason: "Malformed" })
      assert.deepStrictEqual(tokensSent(), ["Bearer access-1"])
    }).pipe(Effect.provide(layer))
  })

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

  it.effect(
    "X-09 a call has one renewal: a 401 to the token it has just renewed is the answer, for all who waited",
    () => {
      const { layer, renewals, tokensSent } = scene(status(401), [tokens(2), tokens(3)])
      return Effect.gen(function* () {
        yield* signedIn
        yield* TestClock.adjust("1 hour")
        const client = yield* authorized()
        const together = yield* Effect.all(
          Array.from({ length: 10 }, () => client.get(things)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual([...new Set(together.map(({ status }) => status))], [401])
        assert.deepStrictEqual(tokensSent(), Array<string>(10).fill("Bearer access-2"))
        assert.lengthOf(renewals(), 1)
        yield* client.get(things)
        assert.deepStrictEqual(
          tokensSent().slice(10),
          ["Bearer access-2", "Bearer access-3"],
          "the next call has its own"
        )
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("X-09 what a sibling renewed is not this call's renewal", () => {
    const { layer, renewals, tokensSent } = scene(accepting("Bearer access-3"), [tokens(3)])
    return Effect.gen(function* () {
      yield* signedIn
      const client = yield* authorized()
      yield* Api.use(({ token }) => token)
      yield* write(credential(2))
      assert.strictEqual((yield* client.get(things)).status, 200)
      assert.deepStrictEqual(tokensSent(), ["Bearer access-2", "Bearer access-3"])
      assert.lengthOf(renewals(), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("X-09 nor is one in the background: whose old token is refused joins it", () => {
    const { layer, renewals, tokensSent } = scene(accepting("Bearer access-2"), [tokens(2)])
    return Effect.gen(function* () {
      yield* signedIn
      const client = yield* authorized()
      yield* Api.use(({ token }) => token)
      yield* TestClock.adjust("50 minutes")
      assert.strictEqual((yield* client.get(things)).status, 200)
      assert.deepStrictEqual(tokensSent(), ["Bearer access-1", "Bearer access-2"])
      assert.lengthOf(renewals(), 1)
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

  describe("what the API says to the token", () => {
    const challenged = (challenge: string, code = 401) => status(code, { "www-authenticate": challenge })

    it.effect.each([
      'Basic realm="x"',
      'Negotiate, Basic realm="Bearer error=invalid_token"',
      'Bearer error="invalid_request"',
      'DPoP error="use_dpop_nonce"'
    ])("a 401 that no other token would change is the answer: %s", (challenge) => {
      const { layer, renewals, tokensSent } = scene([challenged(challenge)])
      return Effect.gen(function* () {
        yield* signedIn
        assert.strictEqual((yield* (yield* authorized()).get(things)).status, 401)
        assert.lengthOf(tokensSent(), 1)
        assert.lengthOf(renewals(), 0)
      }).pipe(Effect.provide(layer))
    })

    it.effect.each([
      "Bearer",
      'Bearer realm="x"',
      'Basic realm="x", Bearer error="invalid_token"',
      'Bearer error="token_expired"',
      "<html>"
    ])("R16 any other 401 renews the token: %s", (challenge) => {
      const { layer, renewals } = scene([challenged(challenge), ok], [tokens(2)])
      return Effect.gen(function* () {
        yield* signedIn
        assert.strictEqual((yield* (yield* authorized()).get(things)).status, 200)
        assert.lengthOf(renewals(), 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect("C-03 a 403 renews where that is configured, once", () => {
      const { layer, renewals, tokensSent } = scene(status(403), [tokens(2)])
      return Effect.gen(function* () {
        yield* signedIn
        const client = yield* AuthorizedHttpClient.make(Api, { origins: [api], refreshOn: [401, 403] })
        assert.strictEqual((yield* client.get(things)).status, 403)
        assert.lengthOf(tokensSent(), 2)
        assert.lengthOf(renewals(), 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect.each([401, 403])("a scope that is missing is a step-up, and no renewal: %d", (code) => {
      const { layer, renewals, tokensSent } = scene([
        challenged('Bearer error="insufficient_scope", scope="things:write things:read"', code)
      ])
      return Effect.gen(function* () {
        yield* signedIn
        const client = yield* AuthorizedHttpClient.make(Api, { origins: [api], refreshOn: [401, 403] })
        const error = yield* Effect.flip(client.get(things))
        assert.deepInclude(error, {
          _tag: "StepUpRequired",
          reason: "InsufficientScope",
          origin: api,
          scopes: ["things:write", "things:read"],
          acrValues: []
        })
        assert.lengthOf(tokensSent(), 1)
        assert.lengthOf(renewals(), 0)
      }).pipe(Effect.provide(layer))
    })

    it.effect("a stronger or more recent sign-in is a step-up with what to ask for, also after a renewal", () => {
      const wants = challenged(
        'Bearer error="insufficient_user_authentication", acr_values="gold silver", max_age="300"'
      )
      const { layer } = scene([status(401), wants], [tokens(2)])
      return Effect.gen(function* () {
        yield* signedIn
        const error = yield* Effect.flip((yield* authorized()).get(things))
        assert(error._tag === "StepUpRequired")
        assert.strictEqual(error.reason, "InsufficientAuthentication")
        assert.deepStrictEqual(error.authentication, { acrValues: ["gold", "silver"], maxAge: Duration.minutes(5) })
        assert.include(error.message, "gold, silver, within 5m")
      }).pipe(Effect.provide(layer))
    })

    it.effect("what an API may have a person asked for is words, and no more of them than one reads", () => {
      const scope = `good \u001b[31m ${"x".repeat(201)} ${"y ".repeat(100)}`
      const { layer } = scene([challenged(`Bearer error="insufficient_scope", scope="${scope}", max_age="-1"`, 403)])
      return Effect.gen(function* () {
        yield* signedIn
        const error = yield* Effect.flip((yield* authorized()).get(things))
        assert(error._tag === "StepUpRequired")
        assert.deepStrictEqual(error.scopes, ["good", ...Array<string>(49).fill("y")])
        assert.isUndefined(error.maxAge)
      }).pipe(Effect.provide(layer))
    })
  })

  describe("a token that is bound to a key (RFC 9449)", () => {
    const withKey = (generation = 1) =>
      Effect.map(Dpop.makeKey, (dpopKey): Credential => {
        const token = AccessToken.make({ ...credential(generation).token, type: "DPoP", dpopKey })
        return credential(generation, { token })
      })
    const proofs = (http: ReturnType<typeof scripted>, url = things) =>
      http.to(url).map(({ headers }) => decodeJwt(headers["dpop"] ?? ""))
    const wantsNonce = (nonce: string) =>
      status(401, { "dpop-nonce": nonce, "www-authenticate": 'DPoP error="use_dpop_nonce", algs="ES256"' })

    it.effect("goes with a proof for this request, without its query; each has its own", () => {
      const { http, layer, tokensSent } = scene([ok], [], { [`${things}?a=b`]: ok })
      return Effect.gen(function* () {
        yield* write(yield* withKey())
        const client = yield* authorized()
        yield* client.get(things)
        yield* client.post(`${things}?a=b`)
        assert.deepStrictEqual(tokensSent(), ["DPoP access-1"])
        const [first, second] = [...proofs(http), ...proofs(http, `${things}?a=b`)]
        assert.deepInclude(first, { htm: "GET", htu: things })
        assert.deepInclude(second, { htm: "POST", htu: things })
        assert.notStrictEqual(first?.jti, second?.jti)
        assert.isString(first?.["ath"])
      }).pipe(Effect.provide(layer))
    })

    it.effect("a nonce the API wants is used at once and from then on, and is not the one renewal", () => {
      const { http, layer, renewals } = scene(
        [wantsNonce("n1"), status(401), ok, ok],
        [tokens(2, { token_type: "DPoP" })]
      )
      return Effect.gen(function* () {
        yield* write(yield* withKey())
        const client = yield* authorized()
        assert.strictEqual((yield* client.get(things)).status, 200)
        assert.strictEqual((yield* client.get(things)).status, 200)
        assert.lengthOf(renewals(), 1)
        assert.deepStrictEqual(
          proofs(http).map(({ nonce }) => nonce),
          [undefined, "n1", "n1", "n1"]
        )
        const key = (request: { readonly headers: Readonly<Record<string, string>> } | undefined) =>
          JSON.stringify(JSON.parse(atob((request?.headers["dpop"] ?? "").split(".")[0] ?? "")).jwk)
        assert.strictEqual(key(renewals()[0]), key(http.to(things)[0]))
        assert.strictEqual(key(http.to(things)[3]), key(http.to(things)[0]))
      }).pipe(Effect.provide(layer))
    })

    it.effect("who wants one nonce after the other gets his 401 handed on: two requests, no renewal", () => {
      const { layer, renewals, tokensSent } = scene([wantsNonce("n1"), wantsNonce("n2")])
      return Effect.gen(function* () {
        yield* write(yield* withKey())
        assert.strictEqual((yield* (yield* authorized()).get(things)).status, 401)
        assert.lengthOf(tokensSent(), 2)
        assert.lengthOf(renewals(), 0)
      }).pipe(Effect.provide(layer))
    })

    it.effect("a redirect elsewhere carries neither token nor proof, whoever follows it", () => {
      const evil = "https://evil.example/"
      const { http, layer } = scene([status(302, { location: evil })], [], { [evil]: ok })
      return Effect.gen(function* () {
        yield* write(yield* withKey())
        const client = HttpClient.followRedirects(yield* authorized())
        assert.strictEqual((yield* client.get(things)).status, 200)
        const [foreign] = http.to(evil)
        assert.isUndefined(foreign?.headers["authorization"])
        assert.isUndefined(foreign?.headers["dpop"])
      }).pipe(Effect.provide(layer))
    })

    it.effect("fetch follows no redirect with it", () => {
      const seen: Array<RequestInit | undefined> = []
      const fetch = (_: unknown, init?: RequestInit) => {
        seen.push(init)
        return Promise.resolve(Response.redirect("https://evil.example/", 302))
      }
      const { layer } = scene([])
      return Effect.gen(function* () {
        yield* write(yield* withKey())
        const given = Effect.provide(HttpClient.HttpClient, FetchHttpClient.layer)
        const client = yield* Effect.provideService(authorized(), HttpClient.HttpClient, yield* given)
        const asked = Effect.provideService(client.get(things), FetchHttpClient.RequestInit, { mode: "cors" })
        assert.strictEqual((yield* Effect.provideService(asked, FetchHttpClient.Fetch, fetch)).status, 302)
        assert.strictEqual(seen[0]?.redirect, "manual")
        assert.strictEqual(seen[0]?.mode, "cors")
        assert.lengthOf(seen, 1)
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

    it.effect("a stream that its owner calls replayable is", () => {
      const { http, layer, renewals } = scene(accepting("Bearer access-2"), [tokens(2)])
      return Effect.gen(function* () {
        yield* signedIn
        const client = yield* authorized()
        const body = AuthorizedHttpClient.replayable(HttpBody.stream(Stream.succeed(bytes)))
        assert.strictEqual((yield* client.post(things, { body })).status, 200)
        assert.lengthOf(http.to(things), 2)
        assert.lengthOf(renewals(), 1)
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
