import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import {
  AuthorizationCode,
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  Login,
  OAuthClient,
  ProviderProfile
} from "keyfob"
import { decodeJwt } from "jose"
import * as DeviceAuthorization from "../../src/protocol/DeviceAuthorization.ts"
import { grant } from "../../src/protocol/TokenEndpoint.ts"
import { observing } from "../deviations.ts"
import auth0 from "../fixtures/auth0.json" with { type: "json" }
import { jwksOf, keys, sign } from "./signing.ts"
import { answer, inTime, issuer, json, metadata, named, provider, type Reply, scripted, status } from "../scripted.ts"

const { generic } = ProviderProfile
const secret = Redacted.make("a:b c")

/** Asks for a token, and what the spans say of how it went. */
const asking = (
  replies: ReadonlyArray<Reply>,
  options: Partial<OAuthClient.ClientOptions> = {},
  form: OAuthClient.Form = {}
) => {
  const http = scripted({ ...provider, [metadata.token_endpoint]: replies })
  const { deviations, tracer } = observing()
  const ask = Effect.gen(function* () {
    const client = yield* OAuthClient.make({ issuer, clientId: "app", ...options })
    const request = grant(client, { grant_type: "x", ...form }, { scopes: [], repeat: "spending" })
    return yield* Effect.all(replies.map(() => Effect.result(request)).slice(0, form["twice"] === "yes" ? 2 : 1))
  }).pipe(Effect.withTracer(tracer), Effect.provide(http.layer))
  return {
    ask,
    sent: () => http.to(metadata.token_endpoint),
    deviations
  }
}

const good = { access_token: "at", token_type: "Bearer", expires_in: 60 }
const isForm = ({ headers }: { readonly headers: Readonly<Record<string, string>> }) =>
  headers["content-type"]?.startsWith("application/x-www-form-urlencoded")

describe("ProviderProfile: what differs is data", () => {
  it.effect("token requests as JSON, where the profile says so", () =>
    Effect.gen(function* () {
      const profile = { ...generic, tokenRequest: "json" } as const
      const { ask, deviations, sent } = asking([json(good)], { profile }, { resource: ["a", "b"], scope: undefined })
      yield* ask
      assert.strictEqual(sent()[0]?.headers["content-type"], "application/json")
      const body = { grant_type: "x", resource: ["a", "b"], client_id: "app" }
      assert.deepStrictEqual(JSON.parse(sent()[0]?.body ?? ""), body)
      assert.deepStrictEqual(deviations(), ["token requests are JSON"])
    })
  )

  it.effect("token requests as JSON, where a form is turned down unread; remembered from then on", () =>
    Effect.gen(function* () {
      const { ask, deviations, sent } = asking([status(415), json(good), json(good)], {}, { twice: "yes" })
      const results = yield* ask
      assert.deepStrictEqual(
        results.map(({ _tag }) => _tag),
        ["Success", "Success"]
      )
      assert.deepStrictEqual(sent().map(isForm), [true, false, false])
      assert.deepStrictEqual(deviations(), ["token requests are JSON", "token requests are JSON"])
    })
  )

  it.effect("each of two requests whose forms are turned down at once is sent as JSON", () => {
    const reply: Reply = (request) => Effect.delay((isForm(request) ? status(415) : json(good))(request), "1 second")
    const { layer } = scripted({ ...provider, [metadata.token_endpoint]: reply })
    return Effect.gen(function* () {
      const client = yield* OAuthClient.make({ issuer, clientId: "app" })
      const request = grant(client, { grant_type: "x" }, { scopes: [], repeat: "spending" })
      yield* inTime(Effect.all([request, request], { concurrency: "unbounded" }))
    }).pipe(Effect.provide(layer))
  })

  it.effect("a server that takes neither is a refusal, after one of each", () =>
    Effect.gen(function* () {
      const { ask, sent } = asking([status(415), status(415)])
      const [result] = yield* ask
      assert.strictEqual(result?._tag === "Failure" ? named(result.failure) : "granted", "ProviderRefused.Other")
      assert.lengthOf(sent(), 2)
    })
  )

  for (const [basicCredentials, expected] of [
    ["form_encoded", "app:a%3Ab+c"],
    ["raw", "app:a:b c"]
  ] as const) {
    it.effect(`HTTP Basic credentials ${basicCredentials}`, () =>
      Effect.gen(function* () {
        const authentication = ClientAuthentication.secretBasic(secret)
        const { ask, sent } = asking([json(good)], { authentication, profile: { ...generic, basicCredentials } })
        yield* ask
        assert.strictEqual(sent()[0]?.headers["authorization"], `Basic ${btoa(expected)}`)
      })
    )
  }

  for (const [assertionAudience, expected] of [
    ["issuer", issuer],
    ["token_endpoint", metadata.token_endpoint]
  ] as const) {
    it.effect(`client assertions for the ${assertionAudience}, unless the client says otherwise`, () =>
      Effect.gen(function* () {
        const profile = { ...generic, assertionAudience }
        const long = Redacted.make("s".repeat(32))
        const own = ClientAuthentication.secretJwt(long, { audience: "issuer" })
        for (const [authentication, aud] of [
          [ClientAuthentication.secretJwt(long), expected],
          [own, issuer]
        ] as const) {
          const { ask, sent } = asking([json(good)], { authentication, profile })
          yield* ask
          assert.strictEqual(decodeJwt(sent()[0]?.form["client_assertion"] ?? "").aud, aud)
        }
      })
    )
  }

  it.effect("the API is named in the provider's word for it, in token and authorization requests", () =>
    Effect.gen(function* () {
      const options = {
        issuer,
        clientId: "app",
        audience: "https://api.example",
        resource: ["https://files.example"],
        profile: { ...generic, audienceParameter: "resource" }
      }
      const http = scripted({ ...provider, [metadata.token_endpoint]: json(good) })
      yield* Effect.gen(function* () {
        yield* Login.login(ClientCredentials.make(options))
        const sent = new URLSearchParams(http.to(metadata.token_endpoint)[0]?.body)
        assert.deepStrictEqual(sent.getAll("resource"), ["https://api.example", "https://files.example"])
        assert.isFalse(sent.has("audience"))
        const { url } = yield* Login.begin(AuthorizationCode.make(options), {
          redirectUri: "http://127.0.0.1/callback"
        })
        const asked = new URL(Redacted.value(url)).searchParams
        assert.deepStrictEqual(asked.getAll("resource"), ["https://api.example", "https://files.example"])
      }).pipe(Effect.provide([http.layer, CredentialStore.layerMemory]))
    })
  )

  it.effect("the ID token as bearer: verified, and given out in the access token's place", () =>
    Effect.gen(function* () {
      const claims = { iss: issuer, sub: "alice", aud: "app", iat: 0, exp: 600, at_hash: "not of this access token" }
      const idToken = Redacted.value(yield* sign(claims))
      const http = scripted({
        ...provider,
        [metadata.jwks_uri]: json(yield* jwksOf([keys.provider.jwk]).keys),
        [metadata.token_endpoint]: json({ ...good, id_token: idToken })
      })
      const profile = { ...generic, bearer: "id_token" } as const
      const flow = ClientCredentials.make({ issuer, clientId: "app", profile })
      const { account, token } = yield* inTime(Login.login(flow)).pipe(
        Effect.provide([http.layer, CredentialStore.layerMemory])
      )
      assert.strictEqual(Redacted.value(token.value), idToken)
      assert.strictEqual(account?.sub, "alice")
      const [without] = yield* asking([json(good)], { profile }).ask
      assert.match(String(without?._tag === "Failure" && without.failure), /id_token is missing/)
    })
  )

  for (const [idTokenAlgorithms, expected] of [
    [undefined, "signed in"],
    [["RS256"], "signed in"],
    [["ES256", "PS256"], "TokenRejected.Algorithm"],
    [[], "TokenRejected.Algorithm"]
  ] as const) {
    it.effect(
      `an ID token by RS256, where ${idTokenAlgorithms?.join() ?? "nothing"} is said to sign them: ${expected}`,
      () =>
        Effect.gen(function* () {
          const idToken = Redacted.value(yield* sign({ iss: issuer, sub: "alice", aud: "app", iat: 0, exp: 600 }))
          const http = scripted({
            ...provider,
            [metadata.jwks_uri]: json(yield* jwksOf([keys.provider.jwk]).keys),
            [metadata.token_endpoint]: json({ ...good, id_token: idToken })
          })
          const profile = idTokenAlgorithms === undefined ? {} : { idTokenAlgorithms }
          const login = Login.login(ClientCredentials.make({ issuer, clientId: "app", profile }))
          const result = yield* inTime(Effect.result(login)).pipe(
            Effect.provide([http.layer, CredentialStore.layerMemory])
          )
          assert.strictEqual(result._tag === "Failure" ? named(result.failure) : "signed in", expected)
        })
    )
  }

  it("a profile is data that passes its schema", () => {
    const decode = Schema.decodeUnknownSync(ProviderProfile.ProviderProfile)
    for (const profile of Object.values(ProviderProfile.profiles)) assert.deepStrictEqual(decode(profile), profile)
    assert.throws(() => decode({ ...generic, bearer: "password" }))
  })

  for (const path of [
    "//evil.example/code",
    "/\\evil.example/code",
    "\\\\evil.example/code",
    "/\t/evil.example/code",
    "@evil.example/code",
    "https://evil.example/code"
  ]) {
    it(`attack: a device endpoint at another host, as the path ${JSON.stringify(path)}`, () => {
      const profile = { ...generic, deviceAuthorizationPath: path }
      assert.throws(() => Schema.decodeUnknownSync(ProviderProfile.ProviderProfile)(profile))
      // What a program wrote passes no schema.
      const { device_authorization_endpoint: url = "" } = ProviderProfile.completed(profile, { issuer })
      assert.strictEqual(new URL(url).origin, issuer)
    })
  }
})

describe("ProviderProfile: what is harmless is told in the span", () => {
  for (const [reply, expected] of [
    [json(good), []],
    [json({ ...good, expires_in: "60" }), ["expires_in is a string"]],
    [json({ access_token: "at" }), ["token_type is missing; expires_in is missing"]],
    [json({ error: "invalid_grant" }), ["an error inside a success"]],
    [answer("no", { status: 400 }), ["an error without JSON"]],
    [json({ error: "invalid_grant" }, { status: 400 }), []]
  ] as const) {
    it.effect(`deviations met: ${expected.join() || "none"}`, () =>
      Effect.gen(function* () {
        const { ask, deviations } = asking([reply])
        yield* ask
        assert.deepStrictEqual(deviations(), [...expected])
      })
    )
  }
})

describe("ProviderProfile: auth0, by the fixture", () => {
  const { discovery, exchanges } = auth0
  const location = `${discovery.issuer}.well-known/openid-configuration`
  const script = (document: object) => ({
    [location]: json(document),
    ...Object.fromEntries(
      exchanges.map(({ url, status, body }) => [new URL(url, discovery.issuer).href, json(body, { status })])
    )
  })

  it.effect("a tenant is known by its address, and its device endpoint where the document leaves it out", () =>
    Effect.gen(function* () {
      const { device_authorization_endpoint, ...older } = discovery
      for (const document of [discovery, older]) {
        const http = scripted(script(document))
        const client = yield* OAuthClient.make({ issuer: discovery.issuer, clientId: "app" }).pipe(
          Effect.provide(http.layer)
        )
        assert.deepStrictEqual(client.profile, ProviderProfile.auth0)
        const device = yield* inTime(DeviceAuthorization.request(client, { audience: "https://api.example" }))
        assert.strictEqual(device.userCode, "WXYZ-KLMN")
        const [request] = http.to(device_authorization_endpoint)
        assert.deepStrictEqual(request?.form, { client_id: "app", audience: "https://api.example" })
      }
    })
  )

  it.effect("a refused refresh is a 403 there, and says the same", () =>
    Effect.gen(function* () {
      const http = scripted(script(discovery))
      const client = yield* OAuthClient.make({ issuer: discovery.issuer, clientId: "app" }).pipe(
        Effect.provide(http.layer)
      )
      const form = { grant_type: "refresh_token", refresh_token: "gone" }
      const error = yield* inTime(Effect.flip(grant(client, form, { scopes: [], repeat: "spending" })))
      assert.strictEqual(named(error), "ProviderRefused.InvalidGrant")
    })
  )

  it.effect("its own domain is not known by its address: the profile is said", () =>
    Effect.gen(function* () {
      const http = scripted(provider)
      const make = (profile?: ProviderProfile.ProviderProfile) =>
        OAuthClient.make({ issuer, clientId: "app", ...(profile === undefined ? {} : { profile }) })
      assert.deepStrictEqual((yield* Effect.provide(make(), http.layer)).profile, generic)
      const { device_authorization_endpoint: _, ...older } = metadata
      const said = scripted({ [`${issuer}/.well-known/openid-configuration`]: json(older) })
      const client = yield* Effect.provide(make(ProviderProfile.auth0), said.layer)
      assert.strictEqual(yield* client.endpoint("device_authorization"), `${issuer}/oauth/device/code`)
      for (const lookalike of ["https://auth0.com.evil.example/", "https://evilauth0.com/"]) {
        assert.strictEqual(ProviderProfile.of(lookalike), generic)
      }
    })
  )
})
