import { assert, describe, it } from "@effect/vitest"
import { SimulatedProvider } from "@keyfob/testing"
import { Effect, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { AccessToken, ClientAuthentication, ClientCertificate, Introspection, OAuthClient } from "keyfob"
import { grant } from "../../src/protocol/TokenEndpoint.ts"
import { answer, json, metadata, named, openIdLocation, refused, type Reply, status } from "../scripted.ts"
import { asClient } from "./client.ts"
import { sign } from "./signing.ts"

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

  it.effect(
    "the binding of a token of ours is held against our certificate; anybody's is a member as any other",
    () => {
      const certificate = { certificate: "a PEM", key: Redacted.make("canary-key"), thumbprint: "ours" }
      const claims = { active: true, cnf: { "x5t#S256": "another's" } } as const
      const asked = (of: typeof token | AccessToken) =>
        asClient(
          { [metadata.introspection_endpoint]: json(claims) },
          (client) => Introspection.introspect(client, of, "access_token"),
          { ...options, certificate }
        ).result
      return Effect.gen(function* () {
        const own = AccessToken.make({ value: token, type: "Bearer", scopes: [] })
        assert.strictEqual(named(yield* Effect.flip(asked(own))), "AnswerRejected.CertificateMismatch")
        assert.deepStrictEqual(yield* asked(token), claims)
      }).pipe(Effect.provideService(ClientCertificate.IsPresentable, true))
    }
  )

  it.effect(
    "an answer about a JWT of ours may leave out what the token says itself; about an opaque one it may not",
    () => {
      const certificate = { certificate: "a PEM", key: Redacted.make("canary-key"), thumbprint: "ours" }
      const asked = (value: Redacted.Redacted) =>
        asClient(
          { [metadata.introspection_endpoint]: json({ active: true }) },
          (client) => Introspection.introspect(client, AccessToken.make({ value, type: "Bearer", scopes: [] })),
          { ...options, certificate, certificateBoundAccessTokens: true }
        ).result
      return Effect.gen(function* () {
        assert.deepStrictEqual(yield* asked(yield* sign({ cnf: { "x5t#S256": "ours" } })), { active: true })
        assert.strictEqual(named(yield* Effect.flip(asked(token))), "AnswerRejected.CertificateMismatch")
      }).pipe(Effect.provideService(ClientCertificate.IsPresentable, true))
    }
  )

  describe("attack: an opaque token where bound ones are asked for", () => {
    const certificate = { certificate: "a PEM", key: Redacted.make("canary-key"), thumbprint: "ours" }
    const own = AccessToken.make({ value: token, type: "Bearer", scopes: [] })
    const outcomeOf = (
      reply: Reply,
      {
        document = metadata,
        of = own,
        ...more
      }: { document?: object; of?: AccessToken; certificateBoundAccessTokens?: false }
    ) =>
      asClient(
        { [openIdLocation]: json(document), [metadata.introspection_endpoint]: reply },
        (client) => Introspection.confirmBinding(client, of),
        { ...options, certificate, certificateBoundAccessTokens: true, ...more }
      ).result.pipe(
        Effect.match({ onSuccess: () => "taken", onFailure: named }),
        Effect.provideService(ClientCertificate.IsPresentable, true)
      )

    for (const [what, reply, expected] of [
      ["ours", json({ active: true, cnf: { "x5t#S256": "ours" } }), "taken"],
      ["another", json({ active: true, cnf: { "x5t#S256": "another's" } }), "AnswerRejected.CertificateMismatch"],
      ["none", json({ active: true }), "AnswerRejected.CertificateMismatch"],
      ["nothing, since it may not be told", json({ active: false }), "AnswerRejected.CertificateMismatch"],
      ["nothing, since nobody may ask", refused("access_denied", 403), "ProviderRefused.AccessDenied"],
      ["nothing today", status(500), "ProviderUnavailable.ServerError"]
    ] as const) {
      it.effect(`that the provider says is bound to ${what}`, () =>
        Effect.gen(function* () {
          assert.strictEqual(yield* outcomeOf(reply, {}), expected)
        })
      )
    }

    it.effect("at a provider that tells nobody", () =>
      Effect.gen(function* () {
        const document = { ...metadata, introspection_endpoint: undefined }
        assert.strictEqual(yield* outcomeOf(status(404), { document }), "ConfigurationInvalid.NotSupported")
      })
    )

    it.effect("and nobody is asked about what says so itself, goes on no request, or need not be bound", () =>
      Effect.gen(function* () {
        const asked = () => Effect.die("asked")
        const jwt = AccessToken.make({ value: yield* sign({}), type: "Bearer", scopes: [] })
        assert.strictEqual(yield* outcomeOf(asked, { of: jwt }), "taken")
        assert.strictEqual(yield* outcomeOf(asked, { of: AccessToken.make({ ...own, type: "N_A" }) }), "taken")
        assert.strictEqual(yield* outcomeOf(asked, { certificateBoundAccessTokens: false }), "taken")
      })
    )
  })

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
