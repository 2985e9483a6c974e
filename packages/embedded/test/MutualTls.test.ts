/** Clients that are known by their certificate (RFC 8705), at a certified provider behind real TLS with a test's own authority. */
import { assert, layer } from "@effect/vitest"
import { Certificate, HttpTransport } from "@keyfob/node"
import { ConfigProvider, Context, Deferred, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import {
  AuthorizedHttpClient,
  ClientAuthentication,
  ClientCertificate,
  ClientCredentials,
  CredentialStore,
  DeviceCode,
  type DeviceCodePrompt,
  type FlowOptions,
  Introspection,
  Jwt,
  Login,
  Logout,
  OAuthClient,
  TokenSource,
  UserPrompt
} from "keyfob"
import { createPublicKey, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { getCACertificates, setDefaultCACertificates, TLSSocket } from "node:tls"
import { inspect } from "node:util"
import { EmbeddedProvider } from "../src/EmbeddedProvider.ts"
import * as Person from "../src/Person.ts"
import * as TestAuthority from "../src/TestAuthority.ts"

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
const common = { redirect_uris: [], response_types: [], tls_client_certificate_bound_access_tokens: true }

/** Authority, certificates, and clients at the provider that are known by them. */
class World extends Context.Service<
  World,
  {
    readonly caFile: string
    readonly one: TestAuthority.Issued
    readonly other: TestAuthority.Issued
    readonly self: TestAuthority.Issued
    readonly server: { readonly key: Buffer; readonly cert: Buffer; readonly ca: Buffer }
  }
>()("test/World") {
  static readonly layer = Layer.effect(
    World,
    Effect.gen(function* () {
      const authority = yield* TestAuthority.make
      const usual = getCACertificates("default")
      yield* Effect.acquireRelease(
        // For the person, who comes by fetch; Keyfob is told of the authority by its `caFile`.
        Effect.sync(() => setDefaultCACertificates([...usual, authority.server.ca.toString()])),
        () => Effect.sync(() => setDefaultCACertificates(usual))
      )
      return World.of({
        caFile: authority.caFile,
        server: authority.server,
        one: authority.client("one.test"),
        other: authority.client("other.test"),
        self: authority.selfSigned("self.test")
      })
    })
  )
}

const layerProvider = Layer.unwrap(
  Effect.gen(function* () {
    const { self, server } = yield* World
    const x509 = new X509Certificate(readFileSync(self.certFile))
    const jwk = {
      ...createPublicKey(readFileSync(self.certFile)).export({ format: "jwk" }),
      x5c: [x509.raw.toString("base64")]
    }
    const by = (method: string, more: object) =>
      [
        ["machine", "client_credentials"],
        ["person", deviceGrant, "refresh_token"]
      ].map(([who, ...grant_types]) => ({
        ...common,
        ...more,
        client_id: `${who} ${method}`,
        token_endpoint_auth_method: method,
        grant_types
      }))
    const clients = [
      ...by("tls_client_auth", { tls_client_auth_san_dns: "one.test" }),
      ...by("self_signed_tls_client_auth", { jwks: { keys: [jwk] } }),
      ...by("client_secret_post", { client_secret: "a secret" }),
      ...by("none", {}).slice(1),
      ...by("client_secret_basic", { client_secret: "a secret", tls_client_certificate_bound_access_tokens: false })
    ]
    return EmbeddedProvider.layer({ tls: server, clients })
  })
)

const layerHttp = Layer.unwrap(Effect.map(World, ({ caFile }) => HttpTransport.layer({ caFile }))).pipe(
  Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({})))
)

const certificateOf = ({ certFile, keyFile }: TestAuthority.Issued) =>
  Certificate.files({ certificate: certFile, key: keyFile })

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

const machine = (issuer: string, method: string, more: Partial<FlowOptions>) =>
  ClientCredentials.make({ issuer, clientId: `machine ${method}`, scopes: ["api:read"], ...more })

const person = (issuer: string, method: string, more: Partial<FlowOptions>) =>
  DeviceCode.make({ issuer, clientId: `person ${method}`, scopes: ["openid", "offline_access"], ...more })

/** A machine, whose token is a JWT, and a person, whose token is opaque. */
const bothSignIn = (issuer: string, method: string, more: Partial<FlowOptions>) => [
  Login.login(machine(issuer, method, more)),
  signIn(person(issuer, method, more))
]

const ways = [
  ["tls_client_auth", ClientAuthentication.tlsClientAuth, "one"],
  ["self_signed_tls_client_auth", ClientAuthentication.selfSignedTlsClientAuth, "self"],
  ["tls_client_auth", ClientAuthentication.tls, "one"]
] as const

layer(Layer.mergeAll(layerProvider, layerHttp, CredentialStore.layerMemory).pipe(Layer.provideMerge(World.layer)), {
  excludeTestServices: true
})("client certificates", (it) => {
  it.effect.each(ways)("%s: a person's tokens are bound, renewed, used and revoked", ([method, authentication, name]) =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      const world = yield* World
      const certificate = yield* certificateOf(world[name])
      const flow = DeviceCode.make({
        issuer,
        clientId: `person ${method}`,
        authentication,
        certificate,
        scopes: ["openid", "offline_access"]
      })
      yield* signIn(flow)
      const source = yield* TokenSource.make(flow)
      assert.strictEqual((yield* source.renew).outcome, "renewed")

      const client = yield* OAuthClient.make(flow.client)
      const url = yield* client.endpoint("userinfo")
      assert.notStrictEqual(new URL(url).origin, issuer)
      const told = yield* Introspection.introspect(client, (yield* source.token).value)
      assert.deepNestedInclude(told, { "cnf.x5t#S256": certificate.thumbprint })
      const origins = [new URL(url).origin]
      const api = yield* AuthorizedHttpClient.make(Effect.succeed(source), { origins, certificate })
      assert.deepInclude(yield* Effect.flatMap(api.get(url), ({ json }) => json), { sub: "alice" })
      const thief = yield* AuthorizedHttpClient.make(Effect.succeed(source), { origins })
      assert.strictEqual((yield* thief.get(url)).status, 401)
      const stranger = yield* certificateOf(world.other)
      const other = yield* AuthorizedHttpClient.make(Effect.succeed(source), { origins, certificate: stranger })
      assert.strictEqual((yield* other.get(url)).status, 401)

      assert.deepStrictEqual(yield* Logout.logout(flow), { removed: true, revoked: true })
    }).pipe(Effect.scoped)
  )

  it.effect.each(ways)("%s: a machine's token names the certificate", ([method, authentication, name]) =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      const certificate = yield* certificateOf((yield* World)[name])
      const { token } = yield* Login.login(machine(issuer, method, { authentication, certificate }))
      const { claims } = yield* Jwt.decode(Redacted.value(token.value))
      assert.deepStrictEqual(claims["cnf"], { "x5t#S256": certificate.thumbprint })
    })
  )

  it.effect("tokens are bound to the certificate of a client that is known by a secret", () =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      const certificate = yield* certificateOf((yield* World).other)
      const authentication = ClientAuthentication.secretPost(Redacted.make("a secret"))
      const { token } = yield* Login.login(machine(issuer, "client_secret_post", { authentication, certificate }))
      const { claims } = yield* Jwt.decode(Redacted.value(token.value))
      assert.deepStrictEqual(claims["cnf"], { "x5t#S256": certificate.thumbprint })
    })
  )

  it.effect(
    "who asks for bound tokens has them: a machine's JWT, a person's opaque one, and the one that follows it",
    () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider
        const certificate = yield* certificateOf((yield* World).one)
        const options = { certificate, certificateBoundAccessTokens: true, authentication: ClientAuthentication.tls }
        yield* Login.login(machine(issuer, "tls_client_auth", options))
        for (const [method, authentication] of [
          ["tls_client_auth", ClientAuthentication.tls],
          ["none", ClientAuthentication.none]
        ] as const) {
          const flow = person(issuer, method, { ...options, authentication })
          yield* signIn(flow)
          const source = yield* TokenSource.make(flow)
          const { credential, outcome } = yield* source.renew
          assert.strictEqual(outcome, "renewed")
          assert.strictEqual(
            (yield* Effect.flip(Jwt.decode(Redacted.value(credential.token.value)))).reason,
            "Malformed"
          )
          const told = yield* Introspection.introspect(yield* OAuthClient.make(flow.client), credential.token)
          assert.deepNestedInclude(told, { "cnf.x5t#S256": certificate.thumbprint })
        }
      }).pipe(Effect.scoped)
  )

  it.effect("attack: a provider that binds nothing, where bound tokens are asked for", () =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      const certificate = yield* certificateOf((yield* World).one)
      const authentication = ClientAuthentication.secretBasic(Redacted.make("a secret"))
      const options = { certificate, authentication }
      for (const signingIn of bothSignIn(issuer, "client_secret_basic", options)) {
        assert.strictEqual((yield* signingIn).token.type, "Bearer")
      }
      const strict = { ...options, certificateBoundAccessTokens: true }
      // What is kept of the other kind is no answer.
      const { token } = yield* TokenSource.make(machine(issuer, "client_secret_basic", strict))
      assert.deepInclude(yield* Effect.flip(token), { _tag: "AnswerRejected", reason: "CertificateMismatch" })
      for (const signingIn of bothSignIn(issuer, "client_secret_basic", strict)) {
        assert.deepInclude(yield* Effect.flip(signingIn), { _tag: "AnswerRejected", reason: "CertificateMismatch" })
      }
    }).pipe(Effect.scoped)
  )

  it.effect("attack: somebody on the way who presents a certificate of their own, so that the tokens are theirs", () =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      const { one, other } = yield* World
      const theirs = yield* certificateOf(other)
      const stolen = HttpClient.transform(
        yield* HttpClient.HttpClient,
        Effect.provideService(ClientCertificate.Presented, theirs)
      )
      const options = {
        certificate: yield* certificateOf(one),
        certificateBoundAccessTokens: true,
        authentication: ClientAuthentication.secretPost(Redacted.make("a secret"))
      }
      for (const signingIn of bothSignIn(issuer, "client_secret_post", options)) {
        const error = yield* Effect.flip(Effect.provideService(signingIn, HttpClient.HttpClient, stolen))
        assert.deepInclude(error, { _tag: "AnswerRejected", reason: "CertificateMismatch" })
      }
    })
  )

  it.effect.each([
    ["another's certificate of the same authority", "tls_client_auth", "other"],
    ["a certificate that no authority has issued", "tls_client_auth", "self"],
    ["a certificate that is not the registered one", "self_signed_tls_client_auth", "one"]
  ] as const)("%s is refused", ([, method, name]) =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      const certificate = certificateOf((yield* World)[name])
      const flow = machine(issuer, method, { authentication: ClientAuthentication.tls, certificate })
      const error = yield* Effect.flip(Login.login(flow))
      assert.deepInclude(error, { _tag: "ProviderRefused", reason: "InvalidClient" })
    })
  )

  it.effect("the certificate is shown to the provider's own ports for it, and to nobody else", () =>
    Effect.gen(function* () {
      const { caFile, one, server } = yield* World
      const certificate = yield* certificateOf(one)
      const seen: Array<readonly [string, boolean]> = []
      const curious = yield* Effect.acquireRelease(
        Effect.callback<{ readonly origin: string; readonly close: () => void }>((resume) => {
          const https = createServer(
            { ...server, requestCert: true, rejectUnauthorized: false },
            (request, response) => {
              const { socket, url = "" } = request
              seen.push([url, socket instanceof TLSSocket && socket.getPeerX509Certificate() !== undefined])
              const origin = `https://${request.headers.host}`
              const path = url.replace(/\?.*/, "")
              response.setHeader("content-type", "application/json")
              if (path === "/.well-known/openid-configuration") {
                const own = { issuer: origin, jwks_uri: `${origin}/jwks`, token_endpoint: `${origin}/token` }
                return response.end(
                  JSON.stringify({ ...own, mtls_endpoint_aliases: { token_endpoint: `${origin}/mtls` } })
                )
              }
              if (path === "/jwks") return response.end(JSON.stringify({ keys: [] }))
              if (path === "/mtls") return response.end(JSON.stringify({ access_token: "a", token_type: "Bearer" }))
              return response.end(JSON.stringify({}))
            }
          )
          https.listen(0, "127.0.0.1", () => {
            const { port } = https.address() as AddressInfo // TCP, so never a string or null
            const close = () => {
              https.closeAllConnections()
              https.close()
            }
            resume(Effect.succeed({ origin: `https://127.0.0.1:${port}`, close }))
          })
        }),
        ({ close }) => Effect.sync(close)
      )
      const client = yield* OAuthClient.make({
        issuer: curious.origin,
        clientId: "app",
        certificate,
        authentication: ClientAuthentication.clientAssertion(
          // What is asked on the way to a request is asked of somebody else.
          Effect.gen(function* () {
            const response = yield* HttpClient.get(`${curious.origin}/identity`)
            yield* response.text
            return Redacted.make("header.claims.signature")
          }).pipe(Effect.orDie)
        )
      })
      yield* Effect.flatMap(client.jwks, ({ keys }) => keys)
      yield* client.post("token", { grant_type: "client_credentials" }, "once")
      yield* HttpClient.get(`${curious.origin}/elsewhere`)
      assert.deepStrictEqual(seen, [
        ["/.well-known/openid-configuration", false],
        ["/jwks", false],
        ["/identity", false],
        ["/mtls", true],
        ["/elsewhere", false]
      ])
      assert.isNotEmpty(caFile)
    }).pipe(Effect.scoped)
  )

  it.effect("what cannot be presented is said when the client is made", () =>
    Effect.gen(function* () {
      const { one, other } = yield* World
      const options = { issuer: "https://id.example", clientId: "app", authentication: ClientAuthentication.tls }
      const missing = yield* Effect.flip(OAuthClient.make(options))
      assert.deepInclude(missing, { reason: "MissingValue", detail: "client certificate" })
      const swapped = { certFile: one.certFile, keyFile: other.keyFile }
      const wrong = yield* Effect.flip(OAuthClient.make({ ...options, certificate: certificateOf(swapped) }))
      assert.include(wrong.message, "another key's")
      assert.include(wrong.message, one.certFile)
      const withCertificate = { ...options, certificate: certificateOf(one) }
      const byFetch = yield* Effect.flip(OAuthClient.make(withCertificate)).pipe(
        Effect.provide(FetchHttpClient.layer),
        Effect.provideService(ClientCertificate.IsPresentable, false)
      )
      assert.include(byFetch.message, "HttpTransport")
      const certificate = yield* certificateOf(one)
      assert.notInclude(inspect(certificate, { depth: 9, showHidden: true }), "PRIVATE KEY")
    })
  )
})
