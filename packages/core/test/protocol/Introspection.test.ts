import { assert, describe, it } from "@effect/vitest"
import { SimulatedProvider } from "@keyfob/testing"
import { Effect, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { ClientAuthentication, Introspection, OAuthClient } from "keyfob"
import { grant } from "../../src/protocol/TokenEndpoint.ts"
import { answer, json, metadata, named, refused, type Reply, status } from "../scripted.ts"
import { asClient } from "./client.ts"

const token = Redacted.make("canary-token")
const options = { authentication: ClientAuthentication.secretPost(Redacted.make("s3cret")) }

const ask = (reply: Reply | ReadonlyArray<Reply>) =>
  asClient(
    { [metadata.introspection_endpoint]: reply },
    (client) => Introspection.introspect(client, token, "access_token"),
    options
  )

describe("Introspection", () => {
  it.effect("asks as the client, the token in the form alone, and gives all claims", () =>
    Effect.gen(function* () {
      const claims = {
        active: true,
        sub: "alice",
        scope: "a b",
        exp: 1_735_689_600,
        aud: ["api"],
        team: "red"
      } as const
      const { requests, result, to } = ask(json(claims))
      assert.deepStrictEqual(yield* result, claims)
      const [request] = to(metadata.introspection_endpoint)
      assert.strictEqual(request?.method, "POST")
      assert.deepStrictEqual(request?.form, {
        token: "canary-token",
        token_type_hint: "access_token",
        client_id: "app",
        client_secret: "s3cret"
      })
      for (const { headers, url } of requests) assert.notInclude(JSON.stringify([url, headers]), "canary")
    })
  )

  it.effect("of a token that is not active nothing else is told, whatever the server says", () =>
    Effect.gen(function* () {
      const { result } = ask(json({ active: false, sub: "alice", exp: "never" }))
      assert.deepStrictEqual(yield* result, { active: false })
    })
  )

  it.effect("each call asks: a token that was revoked meanwhile is not called good", () =>
    Effect.gen(function* () {
      const { requests, result } = asClient(
        {
          [metadata.introspection_endpoint]: [
            json({ active: true }, { headers: { "cache-control": "max-age=3600" } }),
            json({ active: false })
          ]
        },
        (client) => Effect.replicateEffect(Introspection.introspect(client, token), 2),
        options
      )
      assert.deepStrictEqual(yield* result, [{ active: true }, { active: false }])
      assert.lengthOf(requests, 3)
    })
  )

  it.effect("numbers and verdicts as strings, and null for what is not known, are taken for what they mean", () =>
    Effect.gen(function* () {
      const { result } = ask(json({ active: "true", exp: "1735689600", iat: null, username: null }))
      assert.deepStrictEqual(yield* result, { active: true, exp: 1_735_689_600 })
      assert.deepStrictEqual(yield* ask(json({ active: "false" })).result, { active: false })
    })
  )

  for (const [name, reply, expected] of [
    ["no verdict", json({ sub: "alice" }), "AnswerRejected.Malformed"],
    ["a verdict that is neither yes nor no", json({ active: 1 }), "AnswerRejected.Malformed"],
    ["an exp that is no time", json({ active: true, exp: "soon" }), "AnswerRejected.Malformed"],
    [
      "a signed answer nobody asked for",
      answer("a.b.c", { headers: { "content-type": "application/jwt" } }),
      "AnswerRejected.NotJson"
    ],
    ["a client that is not known", refused("invalid_client", 401), "ProviderRefused.InvalidClient"],
    ["401 without a word", status(401), "ProviderRefused.InvalidClient"],
    ["X-14 a redirect", status(307, { location: "https://evil.example/" }), "AnswerRejected.Redirected"]
  ] as const) {
    it.effect(`${name}: ${expected}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(ask(reply).result)
        assert.strictEqual(named(error), expected)
        assert.notInclude(error.message, "canary")
      })
    )
  }

  it.effect("a provider that cannot be asked says so", () =>
    Effect.gen(function* () {
      const endpoints = { token_endpoint: metadata.token_endpoint }
      const { result } = asClient({}, (client) => Introspection.introspect(client, token), { endpoints })
      assert.strictEqual(named(yield* Effect.flip(result)), "ConfigurationInvalid.NotSupported")
    })
  )

  it.effect("against the simulated provider: good until it ends or is revoked; who asks proves who they are", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const clientWith = (secret: string) =>
        OAuthClient.make({
          issuer: idp.issuer,
          clientId: "billing-post",
          authentication: ClientAuthentication.secretPost(Redacted.make(secret))
        })
      const client = yield* clientWith("post s3cret&+%=/")
      const form = { grant_type: "client_credentials", scope: "api:read" }
      const got = yield* grant(client, form, { scopes: ["api:read"], repeat: "idempotent" })
      const claims = yield* Introspection.introspect(client, got.token.value)
      assert.deepInclude(claims, { active: true, client_id: "billing-post", scope: "api:read", token_type: "Bearer" })
      const stranger = yield* Effect.flip(Introspection.introspect(yield* clientWith("wrong"), got.token.value))
      assert.strictEqual(named(stranger), "ProviderRefused.InvalidClient")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* Introspection.introspect(client, got.token.value), { active: false })
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect.prop("any answer is a clear verdict or a typed error", { body: Schema.Json }, ({ body }) =>
    Effect.gen(function* () {
      const result = yield* Effect.result(ask(json(body)).result)
      if (result._tag === "Success") assert.isBoolean(result.success.active)
      else assert.include(["AnswerRejected", "ProviderRefused", "ProviderUnavailable"], result.failure._tag)
    })
  )
})
