/** What is asked about tokens, and of whom, against a certified provider over real sockets. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect, Layer, Redacted } from "effect"
import {
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  DeviceCode,
  Introspection,
  Login,
  Logout,
  OAuthClient,
  UserPrompt
} from "keyfob"
import * as DeviceAuthorization from "../../src/protocol/DeviceAuthorization.ts"
import { grant } from "../../src/protocol/TokenEndpoint.ts"
import { named } from "../scripted.ts"

const Provider = EmbeddedProvider.layer().pipe(Layer.merge([CredentialStore.layerMemory, NodeHttpClient.layerUndici]))

const approving = Layer.mock(UserPrompt, {
  deviceCode: (prompt) => Effect.asVoid(Effect.forkScoped(Effect.orDie(Person.approve(prompt))))
})

const machine = ClientAuthentication.secretBasic(Redacted.make(clients.billing.secret))

const clientOf = (options: Omit<OAuthClient.ClientOptions, "issuer">) =>
  EmbeddedProvider.use(({ issuer }) => OAuthClient.make({ issuer, ...options }))

/** Alice signs in on another screen. */
const signIn = Effect.fnUntraced(function* (client: OAuthClient.OAuthClient) {
  const scope = "openid offline_access"
  const device = yield* DeviceAuthorization.request(client, { scope })
  yield* Person.approve(device)
  const form = {
    grant_type: "urn:ietf:params:oauth:grant-type:device_code",
    device_code: Redacted.value(device.deviceCode)
  }
  return yield* grant(client, form, { scopes: scope.split(" "), repeat: "once" })
})

describe("integration: introspection", () => {
  layer(Provider, { excludeTestServices: true })((it) => {
    it.effect("introspection: a good token, a revoked one and one nobody knows (RFC 7662)", () =>
      Effect.gen(function* () {
        const client = yield* clientOf({ clientId: clients.cli.id })
        const { refreshToken, token } = yield* signIn(client)
        const claims = yield* Introspection.introspect(client, token.value)
        assert.deepInclude(claims, {
          active: true,
          sub: "alice",
          client_id: clients.cli.id,
          scope: "openid offline_access"
        })
        assert.isNumber(claims.active && claims.exp)
        assert.isDefined(refreshToken)
        assert.isTrue((yield* Introspection.introspect(client, refreshToken ?? token.value, "refresh_token")).active)
        yield* client.post("revocation", { token: Redacted.value(token.value) }, "once")
        assert.deepStrictEqual(yield* Introspection.introspect(client, token.value), { active: false })
        assert.deepStrictEqual(yield* Introspection.introspect(client, Redacted.make("made-up")), { active: false })
      })
    )

    it.effect("introspection: who asks must prove who they are", () =>
      Effect.gen(function* () {
        const person = yield* signIn(yield* clientOf({ clientId: clients.cli.id }))
        const asked = yield* clientOf({ clientId: clients.billing.id, authentication: machine })
        assert.deepInclude(yield* Introspection.introspect(asked, person.token.value), { active: true, sub: "alice" })
        const authentication = ClientAuthentication.secretBasic(Redacted.make("wrong"))
        const stranger = yield* clientOf({ clientId: clients.billing.id, authentication })
        const error = yield* Effect.flip(Introspection.introspect(stranger, person.token.value))
        assert.strictEqual(named(error), "ProviderRefused.InvalidClient")
      })
    )
  })
})

describe("integration: without a discovery document", () => {
  /** What somebody would write down of it. */
  const endpoints = EmbeddedProvider.use(({ issuer }) =>
    Effect.succeed({
      token_endpoint: `${issuer}/token`,
      device_authorization_endpoint: `${issuer}/device/auth`,
      revocation_endpoint: `${issuer}/token/revocation`
    })
  )
  const askedForDocuments = EmbeddedProvider.use(({ requests }) =>
    Effect.map(requests, (all) => all.filter(({ path }) => path.startsWith("/.well-known")))
  )

  layer(Provider, { excludeTestServices: true })((it) => {
    it.effect("endpoints from the configuration: a machine signs in, no document is asked for", () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider
        const options = { issuer, clientId: clients.billing.id, authentication: machine, scopes: ["api:read"] }
        const credential = yield* Login.login(ClientCredentials.make({ ...options, endpoints: yield* endpoints }))
        assert.deepStrictEqual(credential.token.scopes, ["api:read"])
        assert.deepStrictEqual(yield* askedForDocuments, [])
      })
    )

    const login = Effect.fnUntraced(function* (more: Readonly<Record<string, string>>) {
      const { issuer } = yield* EmbeddedProvider
      const flow = DeviceCode.make({
        issuer,
        clientId: clients.cli.id,
        endpoints: { ...(yield* endpoints), ...more },
        scopes: ["openid", "offline_access"]
      })
      const credential = yield* Effect.result(Login.login(flow).pipe(Effect.provide(approving)))
      return { credential, flow }
    })

    it.effect("endpoints from the configuration: a person's ID token is verified with the configured keys", () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider
        const { credential, flow } = yield* login({ jwks_uri: `${issuer}/jwks` })
        assert.strictEqual((yield* Effect.fromResult(credential)).account?.sub, "alice")
        assert.isTrue((yield* Logout.logout(flow)).revoked)
        assert.deepStrictEqual(yield* askedForDocuments, [])
      })
    )

    it.effect("endpoints from the configuration: without keys an ID token is not believed, and that is said", () =>
      Effect.gen(function* () {
        const { credential } = yield* login({})
        const error = yield* Effect.flip(Effect.fromResult(credential))
        assert.strictEqual(named(error), "ConfigurationInvalid.NotSupported")
        assert.match(error.message, /no jwks_uri among the endpoints that are configured/)
        assert.deepStrictEqual(yield* askedForDocuments, [])
      })
    )
  })
})
