/** The services behind a real socket, and an imported session at a real authorization server's shapes. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { exportJWK, generateKeyPair, SignJWT } from "jose"
import { CredentialStore, Jwt } from "keyfob"
import { Auki } from "@keyfob/auki"
import type { Answer } from "@keyfob/auki/testing"
import { alice, base, domain, known } from "./given.ts"
import { served } from "./served.ts"

const connected = (url: string) =>
  Auki.layer({ ...base, ...alice, api_url: url, dds_url: url }).pipe(Layer.provide(NodeHttpClient.layerUndici))

describe("on the wire", () => {
  it.live("B-42 a domain, over real HTTP", () =>
    Effect.gen(function* () {
      const { seen, url } = yield* served(known)
      assert.strictEqual((yield* Effect.provide(domain("a"), connected(url))).id, "a")
      assert.deepStrictEqual(
        seen.map(({ path }) => path),
        ["/user/login", "/service/domains-access-token", "/api/v1/domains/a/auth"]
      )
    }).pipe(Effect.scoped)
  )

  const refused: ReadonlyArray<readonly [string, Answer, string]> = [
    [
      "X-14 a redirect, which no credential follows",
      { status: 307, headers: { location: "/elsewhere" } },
      "Redirected"
    ],
    ["X-15 a page", { status: 200, body: "<html>canary</html>" }, "NotJson"],
    ["X-15 more than 512 KiB", { status: 200, body: { access_token: "x".repeat(600_000) } }, "TooLarge"]
  ]
  it.live.each(refused)("%s is no answer", ([, answer, reason]) =>
    Effect.gen(function* () {
      const { next, seen, url } = yield* served(known)
      next("/user/login", answer)
      const failure = yield* Effect.flip(Effect.provide(domain("a"), connected(url)))
      assert.strictEqual(failure._tag === "AnswerRejected" ? failure.reason : failure._tag, reason)
      assert.lengthOf(seen, 1)
    }).pipe(Effect.scoped)
  )

  it.live("B-01 B-02 B-05 B-06 a token's end: of a real ES256 token, of a huge one, of what is none", () =>
    Effect.gen(function* () {
      const { privateKey, publicKey } = yield* Effect.promise(() => generateKeyPair("ES256"))
      assert.strictEqual((yield* Effect.promise(() => exportJWK(publicKey))).crv, "P-256")
      const sign = (exp: number) =>
        Effect.promise(() => new SignJWT({ iss: "dds", exp }).setProtectedHeader({ alg: "ES256" }).sign(privateKey))
      assert.strictEqual(Jwt.expiryOf(yield* sign(1_700_000_000)), 1_700_000_000_000)
      assert.strictEqual(Jwt.expiryOf(yield* sign(9_000_000_000_000)), 8.64e15)
      for (const wrong of ["a.b", "!.!.!", "e30.bm8.c2ln", "e30.e30.c2ln"]) assert.isUndefined(Jwt.expiryOf(wrong))
    })
  )
})

describe("a session imported from OpenID Connect", () => {
  const issuer = "https://id.example"
  const imported = {
    ...base,
    method: "oidc",
    issuer,
    oidc_client_id: "spaces",
    token: Redacted.make("imported"),
    refresh_token: Redacted.make("a+b&c=d é"),
    expiry_ms: 1
  } as const

  const provider = (
    metadata: object,
    answer: Answer = { status: 200, body: { access_token: "next", expires_in: 60 } }
  ) => {
    const bodies: Array<string> = []
    const client = HttpClient.make((request, { href }) =>
      Effect.sync(() => {
        if (href.endsWith("/.well-known/openid-configuration")) {
          return HttpClientResponse.fromWeb(
            request,
            Response.json({ issuer, token_endpoint: `${issuer}/token`, ...metadata })
          )
        }
        if (request.body._tag === "Uint8Array") bodies.push(new TextDecoder().decode(request.body.body))
        return HttpClientResponse.fromWeb(request, Response.json(answer.body, { status: answer.status }))
      })
    )
    const layer = Auki.layerStored(imported).pipe(
      Layer.provide(Layer.merge(Layer.succeed(HttpClient.HttpClient, client), CredentialStore.layerMemory))
    )
    return {
      bodies,
      token: Effect.provide(
        Auki.use(({ network }) => network.token),
        layer
      )
    }
  }

  it.live("X-16 B.8#9 is renewed at its own provider: three parameters, properly encoded, and no scope", () =>
    Effect.gen(function* () {
      const { bodies, token } = provider({})
      assert.strictEqual(Redacted.value((yield* token).value), "next")
      assert.deepStrictEqual(
        bodies.map((body) => Object.fromEntries(new URLSearchParams(body))),
        [{ grant_type: "refresh_token", client_id: "spaces", refresh_token: "a+b&c=d é" }]
      )
      assert.include(bodies[0], "a%2Bb%26c%3Dd")
    })
  )

  const unsafe: ReadonlyArray<readonly [string, object]> = [
    ["of another issuer", { issuer: "https://evil.example" }],
    ["with a token endpoint elsewhere", { token_endpoint: "https://evil.example/token" }],
    ["with one in the clear", { token_endpoint: "http://id.example/token" }],
    ["with a query behind it", { token_endpoint: `${issuer}/token?to=me` }],
    ["without one", { token_endpoint: null }],
    ["that takes no public client", { token_endpoint_auth_methods_supported: ["client_secret_basic"] }],
    ["that renews nothing", { grant_types_supported: ["authorization_code"] }]
  ]
  it.live.each(unsafe)("X-17 a document %s is sent no refresh token", ([, metadata]) =>
    Effect.gen(function* () {
      const { bodies, token } = provider(metadata)
      assert.include(["AnswerRejected", "ConfigurationInvalid"], (yield* Effect.flip(token))._tag)
      assert.deepStrictEqual(bodies, [])
    })
  )

  it.live("X-06 X-18 a refusal is typed by its code, and its description is not repeated", () =>
    Effect.gen(function* () {
      const { bodies, token } = provider(
        {},
        { status: 400, body: { error: "invalid_grant", error_description: "canary" } }
      )
      const failure = yield* Effect.flip(token)
      assert.deepInclude(failure, { _tag: "LoginRequired", reason: "RefreshRefused" })
      assert.notInclude(String(failure), "canary")
      assert.lengthOf(bodies, 1)
    })
  )
})
