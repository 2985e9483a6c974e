/** What differs between servers, at a certified one over real sockets: it tells whether it was asked in its own words. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect, Layer, Redacted } from "effect"
import { HttpClient } from "effect/http"
import {
  AuthorizationCode,
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  DeviceCode,
  Jwt,
  Login,
  OAuthClient,
  ProviderProfile,
  TokenSource,
  UserPrompt
} from "keyfob"
import { observing } from "../deviations.ts"
import { named } from "../scripted.ts"

const { auth0, generic } = ProviderProfile
const discovery = "/.well-known/openid-configuration"
const redirectUri = "http://127.0.0.1:49152/callback"

/** A plus is a blank to who decodes it. */
const robot = {
  client_id: "robot",
  client_secret: "one+two",
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: []
}

/** As a server has it that is known by another profile: an endpoint of Auth0's, which the metadata may leave out. */
const Provider = EmbeddedProvider.layer({
  clients: [robot],
  deviceAuthorizationPath: "/oauth/device/code",
  deviceInterval: "1 second"
}).pipe(Layer.merge([CredentialStore.layerMemory, NodeHttpClient.layerUndici]))

/** A person signs in in their browser. */
const signIn = Effect.fnUntraced(function* (options: Partial<AuthorizationCode.AuthorizationCodeOptions>) {
  const { issuer } = yield* EmbeddedProvider
  const flow = AuthorizationCode.make({ issuer, clientId: clients.cli.id, ...options })
  const { pending, url } = yield* Login.begin(flow, { redirectUri })
  const { url: answer } = yield* Person.approve(Redacted.value(url), { followRedirect: false })
  return yield* Login.complete(flow, pending, answer)
})

/** A person approves at another screen. */
const approving = Layer.mock(UserPrompt, {
  deviceCode: (shown) => Effect.asVoid(Effect.forkScoped(Effect.orDie(Person.approve(shown))))
})

const endOf = Effect.fnUntraced(function* (flow: ReturnType<typeof ClientCredentials.make>) {
  const result = yield* Effect.result(Login.login(flow))
  return result._tag === "Success" ? "granted" : named(result.failure)
})

/** A machine asks for a token. */
const machine = Effect.fnUntraced(function* (profile: ProviderProfile.ProviderProfile) {
  const { issuer } = yield* EmbeddedProvider
  const authentication = ClientAuthentication.secretBasic(Redacted.make(robot.client_secret))
  return yield* endOf(ClientCredentials.make({ issuer, clientId: robot.client_id, authentication, profile }))
})

describe("integration: provider profiles", () => {
  layer(Provider, { excludeTestServices: true })((it) => {
    it.effect(
      "the API in its own word for it, in a browser's login, a device's and a renewal; one it does not know",
      () =>
        Effect.gen(function* () {
          const { audience, issuer } = yield* EmbeddedProvider
          const scopes = ["openid", "offline_access", "api:read"]
          const resource = { ...generic, audienceParameter: "resource" }
          const inBrowser = yield* signIn({ scopes, audience, profile: resource })
          assert.deepStrictEqual(inBrowser.token.scopes, ["api:read"])
          const device = DeviceCode.make({ issuer, clientId: clients.cli.id, scopes, audience, profile: resource })
          const { token } = yield* Effect.provide(Login.login(device), approving)
          assert.deepStrictEqual(token.scopes, ["api:read"])
          const { renew } = yield* TokenSource.make(device)
          assert.deepStrictEqual((yield* renew).credential.token.scopes, ["api:read"])
          const unheard = yield* signIn({ scopes, audience, profile: generic })
          assert.deepStrictEqual(unheard.token.scopes, ["openid", "offline_access"])
        }).pipe(Effect.scoped)
    )

    it.effect("id and secret in HTTP Basic, and token requests: by the RFCs, and not", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* machine(generic), "granted")
        assert.strictEqual(yield* machine({ ...generic, basicCredentials: "raw" }), "ProviderRefused.InvalidClient")
        assert.strictEqual(yield* machine({ ...generic, tokenRequest: "json" }), "ProviderRefused.InvalidRequest")
      })
    )

    it.effect("a secret goes where the metadata list it first", () =>
      Effect.gen(function* () {
        const { failNext, issuer } = yield* EmbeddedProvider
        const authentication = ClientAuthentication.secret(Redacted.make(robot.client_secret))
        // It takes both; written like this the one in the header is wrong.
        const profile = { ...generic, basicCredentials: "raw" } as const
        const flow = ClientCredentials.make({ issuer, clientId: robot.client_id, authentication, profile })
        for (const [methods, end] of [
          [["client_secret_post", "client_secret_basic"], "granted"],
          [["client_secret_basic", "client_secret_post"], "ProviderRefused.InvalidClient"]
        ] as const) {
          yield* failNext(discovery, { altered: { token_endpoint_auth_methods_supported: methods } })
          assert.strictEqual(yield* endOf(flow), end)
        }
      })
    )

    it.effect("auth0: the device endpoint, where the metadata leaves it out", () =>
      Effect.gen(function* () {
        const { failNext, issuer } = yield* EmbeddedProvider
        const login = Effect.fnUntraced(function* (profile: ProviderProfile.ProviderProfile) {
          yield* failNext(discovery, { altered: { device_authorization_endpoint: undefined } })
          return yield* Login.login(DeviceCode.make({ issuer, clientId: clients.cli.id, scopes: ["openid"], profile }))
        }, Effect.provide(approving))
        assert.strictEqual((yield* login(auth0)).account?.sub, "alice")
        assert.strictEqual(named(yield* Effect.flip(login(generic))), "ConfigurationInvalid.NotSupported")
      })
    )

    it.effect("the ID token as bearer", () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider
        const { token } = yield* signIn({ scopes: ["openid"], profile: { ...generic, bearer: "id_token" } })
        const { jwks } = yield* OAuthClient.make({ issuer, clientId: clients.cli.id })
        const expected = { jwks: yield* jwks, issuer, audience: clients.cli.id }
        assert.strictEqual((yield* Jwt.verifyIdToken(token.value, expected)).sub, "alice")
      })
    )

    for (const [what, path, altered, expected] of [
      ["nothing", "/token", {}, []],
      ["bearer in other letters", "/token", { token_type: "bEARER" }, []],
      ["a lifetime as text", "/token", { expires_in: "60" }, ["expires_in is a string"]],
      [
        "less than is due",
        "/token",
        { token_type: undefined, expires_in: undefined },
        ["token_type is missing; expires_in is missing"]
      ],
      [
        "no word of PKCE",
        discovery,
        { code_challenge_methods_supported: undefined },
        ["code_challenge_methods_supported is missing"]
      ]
    ] as const) {
      it.effect(`deviations on the way from it, ${what}: the login goes on, and its span says so`, () =>
        Effect.gen(function* () {
          const { apiUrl, failNext } = yield* EmbeddedProvider
          const { deviations, tracer } = observing()
          yield* failNext(path, { altered })
          const { token } = yield* signIn({ scopes: ["openid"] }).pipe(Effect.withTracer(tracer))
          assert.deepStrictEqual(deviations(), [...expected])
          const headers = { authorization: Redacted.value(token.authorization) }
          assert.strictEqual((yield* HttpClient.get(apiUrl, { headers })).status, 200)
        })
      )
    }
  })
})
