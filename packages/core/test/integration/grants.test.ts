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
  AuthorizedHttpClient,
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  grantTypes,
  Introspection,
  Jwt,
  JwtBearer,
  Login,
  OAuthClient,
  TokenExchange,
  TokenSource
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

/** A token of alice's, to be exchanged. */
const subjectToken = Effect.gen(function* () {
  const assertion = Effect.succeed(yield* assertionFor("alice"))
  const { token } = yield* Login.login(JwtBearer.make({ ...(yield* asGateway), scopes: ["openid"], assertion }))
  return { token: Effect.succeed(token.value) }
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

    it.effect("token exchange: an ID token that was asked for is one, and goes on no request", () =>
      Effect.gen(function* () {
        const { apiUrl, clearRequests, issuer, requests } = yield* EmbeddedProvider
        const flow = TokenExchange.make({
          ...(yield* asGateway),
          subject: yield* subjectToken,
          requestedTokenType: "id_token"
        })
        const { token } = yield* Login.login(flow)
        assert.strictEqual(token.type, "N_A")
        const { jwks } = yield* OAuthClient.make(flow.client)
        const claims = yield* Jwt.verifyIdToken(token.value, { jwks: yield* jwks, issuer, audience: gateway.client_id })
        assert.strictEqual(claims.sub, "alice")

        const api = yield* AuthorizedHttpClient.make(TokenSource.make(flow), { origins: [issuer] })
        yield* clearRequests
        const error = yield* Effect.flip(api.get(apiUrl))
        assert.strictEqual(error._tag, "ConfigurationInvalid")
        assert.isFalse((yield* requests).some(({ path }) => path === "/api/me"))
      }).pipe(Effect.scoped)
    )

    for (const [asked, said] of [
      ["access_token", "urn:ietf:params:oauth:token-type:id_token"],
      ["id_token", undefined]
    ] as const) {
      it.effect(`token exchange: asked for ${asked}, and on the way the answer came to say ${said}: refused`, () =>
        Effect.gen(function* () {
          const { failNext } = yield* EmbeddedProvider
          const subject = yield* subjectToken
          yield* failNext("/token", { altered: { issued_token_type: said } })
          const flow = TokenExchange.make({ ...(yield* asGateway), subject, requestedTokenType: asked })
          assert.strictEqual(named(yield* Effect.flip(Login.login(flow))), "AnswerRejected.Malformed")
        })
      )
    }

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
