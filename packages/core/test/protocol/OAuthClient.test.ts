import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { AccessToken, ClientAuthentication, ClientCertificate, OAuthClient } from "keyfob"
import { inTime, issuer, json, metadata, named, openIdLocation, provider, scripted, status } from "../scripted.ts"
import { asClient } from "./client.ts"

const make = OAuthClient.make({ issuer, clientId: "app" })

describe("OAuthClient", () => {
  it.effect("reads the metadata at the first use and keeps it", () => {
    const { layer, requests } = scripted(provider)
    return Effect.gen(function* () {
      const client = yield* make
      assert.lengthOf(requests, 0)
      assert.strictEqual(yield* client.endpoint("token"), metadata.token_endpoint)
      assert.strictEqual(yield* client.endpoint("userinfo"), metadata.userinfo_endpoint)
      assert.lengthOf(requests, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("callers at once share one discovery", () => {
    const { layer, requests } = scripted({ [openIdLocation]: [json(metadata)] })
    return Effect.gen(function* () {
      const client = yield* make
      yield* Effect.all([client.metadata, client.endpoint("token"), client.jwks, client.metadata], {
        concurrency: "unbounded"
      })
      assert.lengthOf(requests, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("X-13 a discovery that failed is not kept", () => {
    const { layer } = scripted({ [openIdLocation]: [status(404), json(metadata)] })
    return Effect.gen(function* () {
      const client = yield* make
      yield* TestClock.setTime(3_600_000)
      assert.strictEqual(named(yield* Effect.flip(client.metadata)), "AnswerRejected.Malformed")
      // Nor where the clock is set right: a machine that wakes is often both offline and ahead of its time.
      yield* TestClock.setTime(0)
      assert.strictEqual((yield* client.metadata).issuer, issuer)
    }).pipe(Effect.provide(layer))
  })

  it.effect("without a discovery document: the endpoints that are configured, and nobody is asked for more", () => {
    const { requests, layer } = scripted({})
    const token_endpoint = "https://elsewhere.example/token"
    return Effect.gen(function* () {
      const client = yield* OAuthClient.make({ issuer, clientId: "app", endpoints: { token_endpoint } })
      assert.deepStrictEqual(yield* client.metadata, { issuer, token_endpoint })
      assert.strictEqual(yield* client.endpoint("token"), token_endpoint)
      for (const lack of [client.endpoint("userinfo"), Effect.asVoid(client.jwks)]) {
        const error = yield* Effect.flip(lack)
        assert.strictEqual(named(error), "ConfigurationInvalid.NotSupported")
        assert.match(error.message, /has no (userinfo_endpoint|jwks_uri) among the endpoints that are configured/)
      }
      assert.lengthOf(requests, 0)
    }).pipe(Effect.provide(layer))
  })

  for (const [endpoints, expected] of [
    [{ token_endpoint: "http://id.example/token" }, "ConfigurationInvalid.InsecureUrl"],
    [{ token_endpoint: "https://canary@id.example/token" }, "ConfigurationInvalid.InsecureUrl"],
    [{ token_endpoint: "/token" }, "ConfigurationInvalid.InvalidValue"],
    [{ token: "https://id.example/token" }, "ConfigurationInvalid.UnknownName"],
    [{ issuer: "https://evil.example" }, "ConfigurationInvalid.UnknownName"]
  ] as const) {
    it.effect(`configured endpoints that will not do: ${JSON.stringify(endpoints)} is ${expected}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(OAuthClient.make({ issuer, clientId: "app", endpoints }))
        assert.strictEqual(named(error), expected)
        assert.notInclude(error.message, "canary")
      }).pipe(Effect.provide(scripted({}).layer))
    )
  }

  it.effect("an endpoint on this machine may be configured without TLS", () =>
    Effect.gen(function* () {
      const endpoints = { token_endpoint: "http://127.0.0.1:8080/token" }
      const client = yield* OAuthClient.make({ issuer, clientId: "app", endpoints })
      assert.strictEqual(yield* client.endpoint("token"), endpoints.token_endpoint)
    }).pipe(Effect.provide(scripted({}).layer))
  )

  it.effect("a caller that gives up does not spoil it for the others", () => {
    const { layer } = scripted({ [openIdLocation]: [() => Effect.never, json(metadata)] })
    return Effect.gen(function* () {
      const client = yield* make
      yield* inTime(Effect.timeoutOption(client.metadata, "1 second"))
      assert.strictEqual((yield* client.metadata).issuer, issuer)
    }).pipe(Effect.provide(layer))
  })

  it.effect("what is wrong with the settings is said before anybody is asked", () => {
    const { layer, requests } = scripted(provider)
    return Effect.gen(function* () {
      const insecure = OAuthClient.make({ issuer: "http://id.example", clientId: "app" })
      assert.strictEqual(named(yield* Effect.flip(insecure)), "ConfigurationInvalid.InsecureUrl")
      const authentication = ClientAuthentication.secret(Config.Redacted("missing"))
      const incomplete = OAuthClient.make({ issuer, clientId: "app", authentication })
      assert.strictEqual(named(yield* Effect.flip(incomplete)), "ConfigurationInvalid.MissingValue")
      assert.lengthOf(requests, 0)
    }).pipe(Effect.provide([layer, ConfigProvider.layer(ConfigProvider.fromUnknown({}))]))
  })

  for (const name of ["token", "device_authorization", "userinfo", "revocation", "end_session"] as const) {
    it.effect(`says that the provider has no ${name} endpoint`, () =>
      Effect.gen(function* () {
        const { [`${name}_endpoint` as const]: _, ...without } = metadata
        const { result } = asClient({ [openIdLocation]: json(without) }, (client) => Effect.flip(client.endpoint(name)))
        const error = yield* result
        assert.strictEqual(named(error), "ConfigurationInvalid.NotSupported")
        assert.include(error.message, `${name}_endpoint`)
      })
    )
  }

  it.effect("X-16 a form's values survive their encoding", () =>
    Effect.gen(function* () {
      const form = { token: "+ & = % ü /?#", empty: "", none: undefined, resource: ["https://a", "https://b"] }
      const { result, to } = asClient({ [metadata.token_endpoint]: json({}) }, (client) =>
        client.post("token", form, "once")
      )
      yield* result
      const [request] = to(metadata.token_endpoint)
      assert.strictEqual(request?.headers["content-type"], "application/x-www-form-urlencoded")
      assert.deepStrictEqual(
        [...new URLSearchParams(request?.body)],
        [
          ["token", "+ & = % ü /?#"],
          ["empty", ""],
          ["resource", "https://a"],
          ["resource", "https://b"],
          ["client_id", "app"]
        ]
      )
    })
  )

  it.effect("a form cannot replace who the client is", () =>
    Effect.gen(function* () {
      const authentication = ClientAuthentication.secretPost(Redacted.make("mine"))
      const form = { client_id: "another", client_secret: "guessed" }
      const { result, to } = asClient(
        { [metadata.token_endpoint]: json({}) },
        (client) => client.post("token", form, "once"),
        { authentication }
      )
      yield* result
      assert.deepStrictEqual(to(metadata.token_endpoint)[0]?.form, { client_id: "app", client_secret: "mine" })
    })
  )

  it.effect("X-17 no credential is sent to a provider whose document is not safe", () =>
    Effect.gen(function* () {
      for (const changes of [
        { issuer: "https://evil.example" },
        { token_endpoint: "http://id.example/token" },
        { userinfo_endpoint: "https://127.0.0.1/" },
        { mtls_endpoint_aliases: { token_endpoint: "http://id.example/token" } }
      ]) {
        const { requests, result } = asClient({ [openIdLocation]: json({ ...metadata, ...changes }) }, (client) =>
          Effect.flip(client.post("token", { refresh_token: "canary" }, "spending"))
        )
        assert.strictEqual((yield* result)._tag, "AnswerRejected")
        assert.deepStrictEqual(
          requests.map(({ url }) => url),
          [openIdLocation]
        )
      }
    })
  )

  it.effect(
    "with a certificate, requests go to the aliases; a browser is sent where it always is (RFC 8705 section 5)",
    () =>
      Effect.gen(function* () {
        const names = ["token", "userinfo", "authorization", "end_session"] as const
        const mtls_endpoint_aliases = Object.fromEntries(
          names.map((name) => [`${name}_endpoint`, `https://mtls.id.example/${name}`])
        )
        const certificate = { certificate: "a PEM", key: Redacted.make("canary-key"), thumbprint: "ours" }
        const { result } = asClient(
          { [openIdLocation]: json({ ...metadata, mtls_endpoint_aliases }) },
          (client) => Effect.all(names.map(client.endpoint)),
          { certificate }
        )
        assert.deepStrictEqual(yield* result, [
          "https://mtls.id.example/token",
          "https://mtls.id.example/userinfo",
          metadata.authorization_endpoint,
          metadata.end_session_endpoint
        ])
      }).pipe(Effect.provideService(ClientCertificate.IsPresentable, true))
  )

  it.effect("a bearer token goes into the header and nowhere else", () =>
    Effect.gen(function* () {
      const token = AccessToken.make({ value: Redacted.make("at"), type: "Bearer", scopes: [] })
      const { result, to } = asClient({ [metadata.userinfo_endpoint]: json({}) }, (client) =>
        client.getWithToken("userinfo", token)
      )
      yield* result
      const [request] = to(metadata.userinfo_endpoint)
      assert.deepInclude(request, { method: "GET", url: metadata.userinfo_endpoint, body: "" })
      assert.strictEqual(request?.headers["authorization"], "Bearer at")
    })
  )
})
