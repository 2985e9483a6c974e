/**
 * Tokens on somebody's word, against a certified provider over real sockets. It leaves both grants to whoever embeds it,
 * so they are ours (packages/embedded/src/grants.ts) on its clients, tokens and errors.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { clients, EmbeddedProvider } from "@keyfob/embedded"
import { Clock, Effect, Layer, Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import {
  type AccessToken,
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  grantTypes,
  Introspection,
  JwtBearer,
  Login,
  OAuthClient,
  TokenExchange
} from "keyfob"
import { keys, sign } from "../protocol/signing.ts"
import { named } from "../scripted.ts"

const partner = { issuer: "https://partner.test", jwks: { keys: [keys.elliptic.jwk] } }
const gateway = {
  client_id: "gateway",
  client_secret: "gateway-secret",
  grant_types: [grantTypes.jwtBearer, grantTypes.tokenExchange],
  redirect_uris: [],
  response_types: []
}
const Provider = EmbeddedProvider.layer({ clients: [gateway], trustedIssuers: [partner] }).pipe(
  Layer.merge([CredentialStore.layerMemory, NodeHttpClient.layerUndici])
)

const asGateway = Effect.map(EmbeddedProvider.use(Effect.succeed), ({ issuer }) => ({
  issuer,
  clientId: gateway.client_id,
  authentication: ClientAuthentication.secretBasic(Redacted.make(gateway.client_secret))
}))

const assertionFor = (sub: string, key = keys.elliptic) =>
  Effect.gen(function* () {
    const { issuer } = yield* EmbeddedProvider
    const exp = Math.floor((yield* Clock.currentTimeMillis) / 1000) + 60
    return yield* sign({ iss: partner.issuer, sub, aud: issuer, exp, jti: crypto.randomUUID() }, { key })
  })

const introspected = (token: AccessToken) =>
  Effect.gen(function* () {
    const client = yield* OAuthClient.make(yield* asGateway)
    return yield* Introspection.introspect(client, token.value)
  })

const whoCalls = Effect.fnUntraced(function* (token: AccessToken) {
  const { apiUrl } = yield* EmbeddedProvider
  const request = HttpClientRequest.setHeader(
    HttpClientRequest.get(apiUrl),
    "authorization",
    Redacted.value(token.authorization)
  )
  return yield* Effect.flatMap(HttpClient.execute(request), ({ json }) => json)
})

describe("integration: tokens on somebody's word", () => {
  layer(Provider, { excludeTestServices: true })((it) => {
    it.effect("JWT bearer: a partner's assertion brings a token about whom it names, for the scopes asked for", () =>
      Effect.gen(function* () {
        const assertion = yield* assertionFor("alice")
        const options = { ...(yield* asGateway), scopes: ["openid"], assertion: Effect.succeed(assertion) }
        const { refreshToken, token } = yield* Login.login(JwtBearer.make(options))
        assert.isUndefined(refreshToken)
        assert.deepInclude(yield* whoCalls(token), { sub: "alice", client_id: "gateway", scope: "openid" })
      })
    )

    it.effect("JWT bearer: what a stranger has signed is refused", () =>
      Effect.gen(function* () {
        const assertion = Effect.succeed(yield* assertionFor("alice", keys.stranger))
        const flow = JwtBearer.make({ ...(yield* asGateway), assertion })
        assert.strictEqual(named(yield* Effect.flip(Login.login(flow))), "ProviderRefused.InvalidGrant")
      })
    )

    it.effect("token exchange: on alice's behalf, with the machine that acts for her named in the token", () =>
      Effect.gen(function* () {
        const server = yield* asGateway
        const alice = {
          ...server,
          scopes: ["openid", "profile"],
          assertion: Effect.succeed(yield* assertionFor("alice"))
        }
        const { token: subject } = yield* Login.login(JwtBearer.make(alice))
        const robot = { ...server, account: "robot", assertion: Effect.succeed(yield* assertionFor("bob")) }
        const { token: actor } = yield* Login.login(JwtBearer.make(robot))
        const exchange = {
          ...server,
          subject: { token: Effect.succeed(subject.value) },
          actor: { token: Effect.succeed(actor.value) },
          requestedTokenType: "access_token"
        }
        const { token } = yield* Login.login(TokenExchange.make({ ...exchange, scopes: ["openid"] }))
        assert.deepStrictEqual(token.scopes, ["openid"])
        assert.deepInclude(yield* introspected(token), { active: true, sub: "alice", act: { sub: "bob" } })

        const wider = yield* Effect.flip(Login.login(TokenExchange.make({ ...exchange, scopes: ["email"] })))
        assert.strictEqual(named(wider), "ProviderRefused.InvalidScope")
        const other = yield* Effect.flip(Login.login(TokenExchange.make({ ...exchange, requestedTokenType: "jwt" })))
        assert.strictEqual(named(other), "ProviderRefused.InvalidRequest")
      })
    )

    it.effect(
      "token exchange: a token that is none of the provider's is refused, and so is a client that may not",
      () =>
        Effect.gen(function* () {
          const server = yield* asGateway
          const subject = { token: Effect.succeed(Redacted.make("made-up")) }
          const error = yield* Effect.flip(Login.login(TokenExchange.make({ ...server, subject })))
          assert.strictEqual(named(error), "ProviderRefused.InvalidRequest")
          const billing = {
            issuer: server.issuer,
            clientId: clients.billing.id,
            authentication: ClientAuthentication.secretBasic(Redacted.make(clients.billing.secret))
          }
          const { token } = yield* Login.login(ClientCredentials.make(billing))
          const flow = TokenExchange.make({ ...billing, subject: { token: Effect.succeed(token.value) } })
          assert.strictEqual(named(yield* Effect.flip(Login.login(flow))), "ProviderRefused.InvalidRequest")
        })
    )
  })
})
