/** Client certificates (RFC 8705), and whoever tries without the right one. */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Base64 } from "effect/encoding"
import type { HttpClient } from "effect/http"
import { decodeJwt } from "jose"
import { createServer } from "node:http"
import { type ClientMetadata, type ProviderOptions, SimulatedProvider } from "../src/provider.ts"
import { bearer, discover, type Form, get, post, postJson } from "./Caller.ts"
import { certificates } from "./certificates.ts"

const { one, two } = certificates
const machine = { grant_types: ["client_credentials"] }
const selfSigned = { ...machine, token_endpoint_auth_method: "self_signed_tls_client_auth" } as const
/** What a proxy sends that encodes the file and not the certificate. */
const pem = { "client-cert": `:${Base64.encode(`-----BEGIN CERTIFICATE-----\n${one.der}\n`)}:` }
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

const clients: ReadonlyArray<ClientMetadata> = [
  {
    ...machine,
    client_id: "by-name",
    token_endpoint_auth_method: "tls_client_auth",
    tls_client_auth_san_dns: "one.test",
    certificate_thumbprint: one.thumbprint,
    tls_client_certificate_bound_access_tokens: true
  },
  { ...selfSigned, client_id: "by-thumbprint", certificate_thumbprint: one.thumbprint },
  { ...selfSigned, client_id: "by-x5t", jwks: { keys: [{ kty: "EC", "x5t#S256": one.thumbprint }] } },
  { ...selfSigned, client_id: "by-x5c", jwks: { keys: [{ kty: "EC", x5c: [one.der, two.der] }] } },
  { ...selfSigned, client_id: "none-registered" },
  {
    ...machine,
    client_id: "keys-of-another-kind",
    token_endpoint_auth_method: "tls_client_auth",
    jwks: { keys: [{ kty: "EC", x5c: [one.der] }] }
  },
  {
    client_id: "public",
    token_endpoint_auth_method: "none",
    grant_types: [deviceGrant, "refresh_token"],
    tls_client_certificate_bound_access_tokens: true
  },
  {
    ...machine,
    client_id: "with-secret",
    client_secret: "secret",
    token_endpoint_auth_method: "client_secret_post",
    tls_client_certificate_bound_access_tokens: true
  }
]

const layerSocket = (options: ProviderOptions) =>
  SimulatedProvider.layerServer(options).pipe(
    Layer.provide(
      NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "1 second" })
    ),
    Layer.provideMerge(NodeHttpClient.layerUndici)
  )

const both = <A, E>(
  name: string,
  program: Effect.Effect<A, E, SimulatedProvider | HttpClient.HttpClient>,
  options: ProviderOptions = {}
) => {
  it.effect(`${name} (in memory)`, () => program.pipe(Effect.provide(SimulatedProvider.layer({ clients, ...options }))))
  it.effect(`${name} (over a socket)`, () => program.pipe(Effect.provide(layerSocket({ clients, ...options }))))
}

const at = Effect.flatMap(SimulatedProvider, ({ issuer }) => discover(issuer))

const ask = Effect.fnUntraced(function* (client_id: string, headers: Form = {}, more: Form = {}) {
  const url = yield* at
  return yield* post(url("token_endpoint"), { grant_type: "client_credentials", client_id, ...more }, headers)
})

const signIn = Effect.fnUntraced(function* (headers: Form) {
  const url = yield* at
  yield* (yield* SimulatedProvider).approve("alice")
  const asked = yield* post(url("device_authorization_endpoint"), {
    client_id: "public",
    scope: "openid offline_access"
  })
  return yield* ask("public", headers, { grant_type: deviceGrant, device_code: String(asked.json["device_code"]) })
})

describe("authentication", () => {
  both(
    "by the registered certificate, however it is registered",
    Effect.gen(function* () {
      for (const client of ["by-name", "by-thumbprint", "by-x5t", "by-x5c"]) {
        assert.strictEqual((yield* ask(client, one.header)).status, 200, client)
      }
    })
  )

  const refused: Readonly<Record<string, Form>> = {
    "no certificate": {},
    "another certificate": two.header,
    "an empty header": { "client-cert": "" },
    "a certificate without colons": { "client-cert": one.der },
    "two certificates": { "client-cert": `:${one.der}:, :${two.der}:` },
    "the certificate with a parameter": { "client-cert": `:${one.der}:;a=1` },
    "half a certificate": { "client-cert": `:${one.der.slice(0, 100)}:` },
    base64url: { "client-cert": `:${one.der.replaceAll("+", "-").replaceAll("/", "_")}:` },
    "PEM inside": pem,
    "nothing between the colons": { "client-cert": "::" },
    "its thumbprint": { "client-cert": `:${one.thumbprint}:` }
  }
  for (const [name, headers] of Object.entries(refused)) {
    both(
      `not with ${name}`,
      Effect.gen(function* () {
        for (const client of ["by-name", "by-thumbprint", "by-x5t", "by-x5c"]) {
          const { json, status } = yield* ask(client, headers)
          assert.deepStrictEqual([status, json["error"]], [401, "invalid_client"], client)
        }
      })
    )
  }

  both(
    "nor where none is registered, nor by another method",
    Effect.gen(function* () {
      for (const client of ["none-registered", "keys-of-another-kind", "billing", "unknown"]) {
        const { json, status } = yield* ask(client, one.header)
        assert.deepStrictEqual([status, json["error"]], [401, "invalid_client"], client)
      }
      const secret = yield* ask("by-name", one.header, { client_secret: "guessed" })
      assert.deepStrictEqual([secret.status, secret.json["error"]], [401, "invalid_client"])
      const nobody = yield* ask("", one.header)
      assert.deepStrictEqual(
        [nobody.status, nobody.json["error"]],
        [400, "invalid_request"],
        "section 2 wants a client_id"
      )
    })
  )

  both(
    "at introspection, revocation and the device endpoint too",
    Effect.gen(function* () {
      const url = yield* at
      for (const endpoint of ["introspection_endpoint", "revocation_endpoint", "device_authorization_endpoint"]) {
        const { status } = yield* post(url(endpoint), { client_id: "by-name", token: "any" }, two.header)
        assert.strictEqual(status, 401, endpoint)
      }
      const right = yield* post(url("introspection_endpoint"), { client_id: "by-name", token: "any" }, one.header)
      assert.deepStrictEqual(right.json, { active: false })
    })
  )

  both(
    "is in the metadata, and can be registered for",
    Effect.gen(function* () {
      const { issuer } = yield* SimulatedProvider
      const { json } = yield* get(`${issuer}/.well-known/openid-configuration`)
      assert.isTrue(json["tls_client_certificate_bound_access_tokens"])
      for (const endpoint of ["token", "introspection", "revocation"]) {
        const methods = json[`${endpoint}_endpoint_auth_methods_supported`]
        assert.includeMembers(Array.isArray(methods) ? methods : [], ["tls_client_auth", "self_signed_tls_client_auth"])
      }
      const register = (more: object) => postJson(String(json["registration_endpoint"]), { ...machine, ...more })
      const byName = { token_endpoint_auth_method: "tls_client_auth", certificate_thumbprint: one.thumbprint }
      const made = yield* register({ ...byName, tls_client_auth_subject_dn: "CN=one.test" })
      assert.strictEqual(made.status, 201)
      assert.notProperty(made.json, "client_secret")
      assert.strictEqual((yield* ask(String(made.json["client_id"]), one.header)).status, 200)
      assert.strictEqual((yield* ask(String(made.json["client_id"]), two.header)).status, 401)
      for (const wrong of [
        byName,
        { ...byName, tls_client_auth_subject_dn: "CN=one.test", tls_client_auth_san_dns: "one.test" },
        { token_endpoint_auth_method: "tls_client_auth", tls_client_auth_san_dns: "one.test" },
        { token_endpoint_auth_method: "self_signed_tls_client_auth" }
      ]) {
        assert.strictEqual((yield* register(wrong)).json["error"], "invalid_client_metadata")
      }
    })
  )
})

describe("bound tokens", () => {
  for (const accessTokens of ["opaque", "jwt"] as const) {
    both(
      `are good with their certificate alone (${accessTokens})`,
      Effect.gen(function* () {
        const url = yield* at
        const { apiUrl } = yield* SimulatedProvider
        const { json } = yield* ask("by-name", one.header)
        assert.strictEqual(json["token_type"], "Bearer")
        const token = String(json["access_token"])
        const cnf = { "x5t#S256": one.thumbprint }
        if (accessTokens === "jwt") assert.deepStrictEqual(decodeJwt(token)["cnf"], cnf)
        const known = yield* post(url("introspection_endpoint"), { client_id: "by-name", token }, one.header)
        assert.deepStrictEqual(known.json["cnf"], cnf)
        assert.strictEqual((yield* get(apiUrl, { ...bearer(token), ...one.header })).status, 200)
        for (const headers of [
          {},
          two.header,
          { "client-cert": one.der },
          { "client-cert": `:${one.der}:, :${two.der}:` }
        ]) {
          const stolen = yield* get(apiUrl, { ...bearer(token), ...headers })
          assert.strictEqual(stolen.status, 401)
          assert.match(stolen.headers["www-authenticate"] ?? "", /^Bearer .*error="invalid_token"/)
        }
      }),
      { accessTokens }
    )
  }

  both(
    "are for clients that registered for them",
    Effect.gen(function* () {
      const { apiUrl } = yield* SimulatedProvider
      const unbound = yield* ask("by-x5t", one.header)
      assert.strictEqual((yield* get(apiUrl, bearer(unbound.json["access_token"]))).status, 200)
      for (const headers of [{}, pem, { "client-cert": `:${one.der}` }]) {
        const without = yield* ask("with-secret", headers, { client_secret: "secret" })
        assert.deepStrictEqual([without.status, without.json["error"]], [400, "invalid_grant"])
      }
      const bound = yield* ask("with-secret", two.header, { client_secret: "secret" })
      assert.strictEqual((yield* get(apiUrl, bearer(bound.json["access_token"]))).status, 401)
      assert.strictEqual((yield* get(apiUrl, { ...bearer(bound.json["access_token"]), ...two.header })).status, 200)
    })
  )

  both(
    "of a public client are refreshed with the same certificate, and stay bound",
    Effect.gen(function* () {
      const url = yield* at
      const idp = yield* SimulatedProvider
      assert.strictEqual((yield* signIn({})).json["error"], "invalid_grant")
      const first = yield* signIn(one.header)
      assert.strictEqual(first.status, 200)
      const refresh = (token: unknown, headers: Form) =>
        ask("public", headers, { grant_type: "refresh_token", refresh_token: String(token) })
      for (const headers of [two.header, {}, { "client-cert": ":garbage:" }]) {
        const stolen = yield* refresh(first.json["refresh_token"], headers)
        assert.deepStrictEqual([stolen.status, stolen.json["error"]], [400, "invalid_grant"])
      }
      const second = yield* refresh(first.json["refresh_token"], one.header)
      assert.strictEqual(second.status, 200, "the thief spent nothing")
      assert.strictEqual((yield* refresh(second.json["refresh_token"], two.header)).json["error"], "invalid_grant")
      const access = bearer(second.json["access_token"])
      assert.strictEqual((yield* get(url("userinfo_endpoint"), { ...access, ...one.header })).json["sub"], "alice")
      assert.strictEqual((yield* get(url("userinfo_endpoint"), access)).status, 401)
      assert.strictEqual((yield* get(idp.apiUrl, { ...access, ...two.header })).status, 401)
      assert.strictEqual((yield* refresh(second.json["refresh_token"], one.header)).status, 200)
    })
  )
})
