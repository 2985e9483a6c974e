/** The simulator's answers, judged by `oauth4webapi`, which is certified for the other side. */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { exportJWK } from "jose"
import { createServer } from "node:http"
import * as oauth from "oauth4webapi"
import { clients, type ProviderOptions, SimulatedBrowser, SimulatedProvider } from "../src/provider.ts"
import { certificates } from "./certificates.ts"

const loopback = { [oauth.allowInsecureRequests]: true }
const redirectUri = "http://127.0.0.1:50123/callback"
const cli: oauth.Client = { client_id: clients.cli.client_id }

const layer = (options?: ProviderOptions) =>
  SimulatedProvider.layerServer(options).pipe(
    Layer.provide(
      NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "1 second" })
    ),
    Layer.provideMerge(NodeHttpClient.layerUndici)
  )

/** Defects are failures of the test: whatever `oauth4webapi` throws. */
const run = Effect.promise

const discover = Effect.gen(function* () {
  const { issuer } = yield* SimulatedProvider
  const url = new URL(issuer)
  return yield* run(async () => {
    await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { ...loopback, algorithm: "oauth2" }))
    return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, loopback))
  })
})

const byCode = Effect.fnUntraced(function* (
  as: oauth.AuthorizationServer,
  push: boolean,
  options: oauth.TokenEndpointRequestOptions
) {
  yield* (yield* SimulatedProvider).approve("alice")
  const verifier = oauth.generateRandomCodeVerifier()
  const nonce = oauth.generateRandomNonce()
  const state = oauth.generateRandomState()
  const params = new URLSearchParams({
    client_id: cli.client_id,
    response_type: "code",
    redirect_uri: redirectUri,
    scope: "openid offline_access profile email",
    prompt: "consent",
    state,
    nonce,
    code_challenge: yield* run(() => oauth.calculatePKCECodeChallenge(verifier)),
    code_challenge_method: "S256"
  })
  const query = push
    ? yield* run(async () => {
        const response = await oauth.pushedAuthorizationRequest(as, cli, oauth.None(), params, loopback)
        const { request_uri } = await oauth.processPushedAuthorizationResponse(as, cli, response)
        return new URLSearchParams({ client_id: cli.client_id, request_uri })
      })
    : params
  const back = yield* SimulatedBrowser.visit(`${as.authorization_endpoint}?${query}`)
  const callback = oauth.validateAuthResponse(as, cli, back, state)
  return yield* run(async () => {
    const response = await oauth.authorizationCodeGrantRequest(
      as,
      cli,
      oauth.None(),
      callback,
      redirectUri,
      verifier,
      options
    )
    const tokens = await oauth.processAuthorizationCodeResponse(as, cli, response, {
      expectedNonce: nonce,
      requireIdToken: true
    })
    await oauth.validateApplicationLevelSignature(as, response, loopback)
    // It would be accepted without, and whether it fits is nothing this library looks at here.
    assert.isString(oauth.getValidatedIdTokenClaims(tokens)?.["at_hash"])
    return tokens
  })
})

describe("oauth4webapi accepts", () => {
  for (const algorithm of ["RS256", "PS256", "ES256", "ES384", "EdDSA"] as const) {
    it.live(`a sign-in by code, its refresh and userinfo, signed with ${algorithm}`, () =>
      Effect.gen(function* () {
        const as = yield* discover
        const tokens = yield* byCode(as, algorithm === "ES256", loopback)
        yield* run(async () => {
          const refreshed = await oauth.processRefreshTokenResponse(
            as,
            cli,
            await oauth.refreshTokenGrantRequest(as, cli, oauth.None(), tokens.refresh_token ?? "", loopback)
          )
          const info = await oauth.processUserInfoResponse(
            as,
            cli,
            "alice",
            await oauth.userInfoRequest(as, cli, refreshed.access_token, loopback)
          )
          assert.strictEqual(info.email, "alice@example.com")
        })
      }).pipe(Effect.provide(layer({ algorithms: [algorithm] })))
    )
  }

  it.live("a device login, introspection and revocation", () =>
    Effect.gen(function* () {
      yield* (yield* SimulatedProvider).approve("alice")
      const as = yield* discover
      yield* run(async () => {
        const device = await oauth.processDeviceAuthorizationResponse(
          as,
          cli,
          await oauth.deviceAuthorizationRequest(as, cli, oauth.None(), { scope: "openid" }, loopback)
        )
        const tokens = await oauth.processDeviceCodeResponse(
          as,
          cli,
          await oauth.deviceCodeGrantRequest(as, cli, oauth.None(), device.device_code, loopback)
        )
        const introspect = async () =>
          oauth.processIntrospectionResponse(
            as,
            cli,
            await oauth.introspectionRequest(as, cli, oauth.None(), tokens.access_token, loopback)
          )
        assert.isTrue((await introspect()).active)
        await oauth.processRevocationResponse(
          await oauth.revocationRequest(as, cli, oauth.None(), tokens.access_token, loopback)
        )
        assert.isFalse((await introspect()).active)
      })
    }).pipe(Effect.provide(layer()))
  )

  it.live("machines, whatever they prove themselves with, and JWTs for an API", () =>
    Effect.gen(function* () {
      const pair = yield* run(() => oauth.generateKeyPair("ES256", { extractable: true }))
      const jwk = yield* run(() => exportJWK(pair.publicKey))
      const machine = { grant_types: ["client_credentials"] }
      const secret = "a secret that is long enough for HS256"
      const options: ProviderOptions = {
        accessTokens: "jwt",
        clients: [
          { ...machine, client_id: "by-key", token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [jwk] } },
          {
            ...machine,
            client_id: "by-certificate",
            token_endpoint_auth_method: "self_signed_tls_client_auth",
            jwks: { keys: [{ kty: "EC", x5c: [certificates.one.der] }] }
          },
          { ...machine, client_id: "by-mac", token_endpoint_auth_method: "client_secret_jwt", client_secret: secret }
        ]
      }
      yield* Effect.gen(function* () {
        const as = yield* discover
        const ask = async (
          client_id: string,
          authentication: oauth.ClientAuth,
          headers: Record<string, string> = {}
        ) => {
          const client = { client_id }
          const form = { scope: "api:read", resource: "https://api.test" }
          const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, form, {
            ...loopback,
            headers
          })
          return oauth.processClientCredentialsResponse(as, client, response)
        }
        yield* run(async () => {
          await ask("billing", oauth.ClientSecretBasic(clients.billing.client_secret))
          await ask("billing-post", oauth.ClientSecretPost(clients.billingPost.client_secret))
          await ask("by-certificate", oauth.TlsClientAuth(), certificates.one.header)
          await ask("by-mac", oauth.ClientSecretJwt(secret))
          const { access_token } = await ask("by-key", oauth.PrivateKeyJwt(pair.privateKey))
          const request = new Request("https://api.test/", { headers: { authorization: `Bearer ${access_token}` } })
          const claims = await oauth.validateJwtAccessToken(as, request, "https://api.test", loopback)
          assert.deepInclude(claims, { sub: "by-key", client_id: "by-key", scope: "api:read" })
        })
      }).pipe(Effect.provide(layer(options)))
    })
  )

  it.live("DPoP, with the nonce it is asked for", () =>
    Effect.gen(function* () {
      const as = yield* discover
      const { apiUrl } = yield* SimulatedProvider
      const pair = yield* run(() => oauth.generateKeyPair("ES256"))
      const DPoP = oauth.DPoP(cli, pair)
      // The first request learns the nonce; RFC 9449 section 8 has the client send it again.
      yield* run(async () => {
        const response = await oauth.refreshTokenGrantRequest(as, cli, oauth.None(), "none", { ...loopback, DPoP })
        const error = await oauth.processRefreshTokenResponse(as, cli, response).catch((error: unknown) => error)
        assert.isTrue(oauth.isDPoPNonceError(error))
      })
      const tokens = yield* byCode(as, false, { ...loopback, DPoP })
      assert.strictEqual(tokens.token_type, "dpop")
      const response = yield* run(() =>
        oauth.protectedResourceRequest(tokens.access_token, "GET", new URL(apiUrl), undefined, undefined, {
          ...loopback,
          DPoP
        })
      )
      assert.strictEqual(response.status, 200)
    }).pipe(Effect.provide(layer({ dpopNonces: true })))
  )

  it.live("a client that registers", () =>
    Effect.gen(function* () {
      const as = yield* discover
      const client = yield* run(async () =>
        oauth.processDynamicClientRegistrationResponse(
          await oauth.dynamicClientRegistrationRequest(as, { redirect_uris: [redirectUri] }, loopback)
        )
      )
      assert.strictEqual(client.token_endpoint_auth_method, "client_secret_basic")
    }).pipe(Effect.provide(layer()))
  )

  it.live("refusals, as what they are", () =>
    Effect.gen(function* () {
      const as = yield* discover
      const error = yield* run(async () => {
        const response = await oauth.clientCredentialsGrantRequest(
          as,
          { client_id: "billing" },
          oauth.ClientSecretBasic("wrong"),
          {},
          loopback
        )
        return oauth
          .processClientCredentialsResponse(as, { client_id: "billing" }, response)
          .catch((error: unknown) => error)
      })
      assert.instanceOf(error, oauth.WWWAuthenticateChallengeError)
    }).pipe(Effect.provide(layer()))
  )
})
