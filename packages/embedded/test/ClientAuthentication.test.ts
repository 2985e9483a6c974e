/** Every way a client proves who it is, at a certified provider over real sockets: tokens, renewal, revocation. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Layer, Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import {
  adviceOf,
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  DeviceCode,
  type DeviceCodePrompt,
  Login,
  Logout,
  OAuthClient,
  SigningKey,
  TokenSource,
  UserPrompt
} from "keyfob"
import { exportJWK, generateKeyPair, type JWK } from "jose"
import { prove, resolve } from "../../core/src/protocol/ClientAuthentication.ts"
import { EmbeddedProvider } from "../src/EmbeddedProvider.ts"
import * as Person from "../src/Person.ts"

const pairOf = async (alg: string) => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const text = Redacted.make(JSON.stringify({ ...(await exportJWK(privateKey)), kid: alg }))
  return { text, public: { ...(await exportJWK(publicKey)), kid: alg } satisfies JWK }
}
const [rsa, p256, p384, p521, ed25519] = await Promise.all([
  pairOf("RS256"),
  pairOf("ES256"),
  pairOf("ES384"),
  pairOf("ES512"),
  pairOf("Ed25519")
])
const stranger = await pairOf("ES256")
const misnamed = Redacted.make(JSON.stringify({ ...JSON.parse(Redacted.value(p256.text)), kid: "another" }))
const secret = "s3cret of thirty-two bytes & more"
const jwks = { keys: [rsa, p256, p384, p521, ed25519].map((pair) => pair.public) }

const machine = { grant_types: ["client_credentials"], redirect_uris: [], response_types: [] }
const forPerson = {
  ...machine,
  grant_types: ["refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
}
const registered = [
  ["none", {}],
  ["client_secret_basic", { client_secret: secret }],
  ["client_secret_post", { client_secret: secret }],
  ["client_secret_jwt", { client_secret: secret }],
  ["private_key_jwt", { jwks }]
] as const
const particular = {
  ...machine,
  client_id: "particular",
  jwks,
  token_endpoint_auth_method: "private_key_jwt",
  token_endpoint_auth_signing_alg: "PS384"
}
const clients = registered.flatMap(([method, more]) => [
  ...(method === "none"
    ? []
    : [{ ...machine, ...more, client_id: `machine ${method}`, token_endpoint_auth_method: method }]),
  { ...forPerson, ...more, client_id: `person ${method}`, token_endpoint_auth_method: method }
])

const ways = {
  none: ClientAuthentication.none,
  client_secret_basic: ClientAuthentication.secretBasic(Redacted.make(secret)),
  client_secret_post: ClientAuthentication.secretPost(Redacted.make(secret)),
  client_secret_jwt: ClientAuthentication.secretJwt(Redacted.make(secret)),
  private_key_jwt: ClientAuthentication.privateKeyJwt(p256.text)
}
type Method = keyof typeof ways
const methods = Object.keys(ways) as ReadonlyArray<Method> // the object above has no others

const machineOf = (issuer: string, method: Method, authentication: ClientAuthentication.ClientAuthentication) =>
  ClientCredentials.make({ issuer, clientId: `machine ${method}`, authentication, scopes: ["api:read"] })

/** The person approves; then five seconds pass at once, and the login polls. */
const signIn = Effect.fnUntraced(function* (flow: ReturnType<typeof DeviceCode.make>) {
  yield* TestClock.setTime(Date.now())
  const shown = yield* Deferred.make<DeviceCodePrompt>()
  const prompt = Layer.succeed(UserPrompt, {
    deviceCode: (prompt) => Effect.asVoid(Deferred.succeed(shown, prompt)),
    browser: () => Effect.die(new Error("a device needs no browser"))
  })
  const person = Effect.andThen(
    Effect.flatMap(Deferred.await(shown), (prompt) => Person.approve(prompt, { account: "alice" })),
    TestClock.adjust("5 seconds")
  )
  const [credential] = yield* Effect.all([Effect.provide(Login.login(flow), prompt), person], { concurrency: 2 })
  return credential
}, Effect.provide(TestClock.layer()))

layer(
  Layer.mergeAll(
    EmbeddedProvider.layer({ clients: [...clients, particular] }),
    NodeHttpClient.layerUndici,
    CredentialStore.layerMemory
  ),
  {
    excludeTestServices: true
  }
)("client authentication", (it) => {
  it.effect.each(methods)("%s: a person's tokens are got, renewed and revoked", (method) =>
    Effect.gen(function* () {
      const { clearRequests, issuer, requests } = yield* EmbeddedProvider
      yield* clearRequests
      const flow = DeviceCode.make({
        issuer,
        clientId: `person ${method}`,
        authentication: ways[method],
        scopes: ["openid", "offline_access"]
      })
      yield* signIn(flow)
      const { outcome } = yield* Effect.flatMap(TokenSource.make(flow), ({ renew }) => renew)
      assert.strictEqual(outcome, "renewed")
      assert.deepStrictEqual(yield* Logout.logout(flow), { removed: true, revoked: true })
      const revocations = (yield* requests).filter(({ path }) => path === "/token/revocation")
      assert.deepStrictEqual(
        revocations.map(({ status }) => status),
        [200, 200]
      )
    }).pipe(Effect.scoped)
  )

  it.effect.each(methods.filter((method) => method !== "none"))("%s: a machine's token", (method) =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      const { token } = yield* Login.login(machineOf(issuer, method, ways[method]))
      assert.deepStrictEqual(token.scopes, ["api:read"])
    })
  )

  const keys = [
    [rsa, ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]],
    [p256, ["ES256"]],
    [p384, ["ES384"]],
    [p521, ["ES512"]],
    [ed25519, ["EdDSA", "Ed25519"]]
  ] as const
  it.effect("private_key_jwt by every algorithm there is", () =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      for (const [{ text }, algorithms] of keys) {
        const key = yield* SigningKey.fromText(text)
        for (const algorithm of algorithms) {
          const authentication = ClientAuthentication.privateKeyJwt(key, { algorithm })
          yield* Login.login(machineOf(issuer, "private_key_jwt", authentication))
        }
      }
    })
  )

  it.effect("a key signs by the algorithm that the metadata list", () =>
    Effect.gen(function* () {
      const { failNext, issuer } = yield* EmbeddedProvider
      const authentication = ClientAuthentication.privateKeyJwt(rsa.text)
      const flow = ClientCredentials.make({ issuer, clientId: particular.client_id, authentication })
      const altered = { token_endpoint_auth_signing_alg_values_supported: ["PS384"] }
      yield* failNext("/.well-known/openid-configuration", { altered })
      yield* Login.login(flow)
      // The provider takes all of them, and of this client one alone.
      assert.deepInclude(yield* Effect.flip(Login.login(flow)), { _tag: "ProviderRefused", reason: "InvalidClient" })
    })
  )

  it.effect.each([
    ["client_secret_basic", ClientAuthentication.secretBasic(Redacted.make("wrong"))],
    ["client_secret_jwt", ClientAuthentication.secretJwt(Redacted.make("wrong"))],
    ["private_key_jwt", ClientAuthentication.privateKeyJwt(stranger.text)],
    ["private_key_jwt", ClientAuthentication.privateKeyJwt(misnamed)],
    ["client_secret_jwt", ClientAuthentication.secretPost(Redacted.make(secret))],
    ["private_key_jwt", ClientAuthentication.none]
  ] as const)("who is registered for %s and proves it wrongly is refused (exit 2)", ([method, authentication]) =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      const error = yield* Effect.flip(Login.login(machineOf(issuer, method, authentication)))
      assert.deepInclude(error, { _tag: "ProviderRefused", reason: "InvalidClient" })
      assert.strictEqual(adviceOf(error).exitCode, 2)
    })
  )

  it.effect("A-15 a machine whose clock is ten minutes off signs in: at the second attempt where it is behind", () =>
    Effect.gen(function* () {
      const { clearRequests, issuer, requests } = yield* EmbeddedProvider
      // One that is ahead is good still, and for longer.
      for (const [minutes, statuses] of [
        [10, [200]],
        [-10, [401, 200]]
      ] as const) {
        yield* clearRequests
        yield* Effect.gen(function* () {
          yield* TestClock.setTime(Date.now() + minutes * 60_000)
          yield* Login.login(machineOf(issuer, "private_key_jwt", ways.private_key_jwt))
        }).pipe(Effect.provide(TestClock.layer()))
        const tokens = (yield* requests).filter(({ path }) => path === "/token")
        assert.deepStrictEqual(
          tokens.map(({ status }) => status),
          [...statuses]
        )
      }
    })
  )

  it.effect("an answer that is lost is asked for again with another assertion: the first one is spent", () =>
    Effect.gen(function* () {
      const { failNext, issuer } = yield* EmbeddedProvider
      yield* failNext("/token", "lost")
      yield* Login.login(machineOf(issuer, "private_key_jwt", ways.private_key_jwt))
    })
  )

  it.effect("an assertion that is overheard is of no use: not a second time, and not at another server", () =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      const other = yield* EmbeddedProvider.start({ clients })
      const clientId = "machine private_key_jwt"
      const metadata = yield* Effect.flatMap(OAuthClient.make({ issuer, clientId }), (client) => client.metadata)
      const authentication = yield* resolve(ways.private_key_jwt)
      const present = Effect.fnUntraced(function* (at: string, form: Readonly<Record<string, string>>) {
        const request = HttpClientRequest.post(`${at}/token`).pipe(
          HttpClientRequest.bodyUrlParams({ ...form, grant_type: "client_credentials" })
        )
        return (yield* HttpClient.execute(request)).status
      })
      const { form } = yield* prove(authentication, clientId, metadata, Date.now())
      assert.strictEqual(yield* present(other.issuer, form), 401)
      assert.strictEqual(yield* present(issuer, form), 200)
      assert.strictEqual(yield* present(issuer, form), 401)
    }).pipe(Effect.scoped)
  )
})
