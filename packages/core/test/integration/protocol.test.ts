/** The protocol floor against a certified provider, over real sockets, by each HTTP client there is. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { clients, EmbeddedProvider, type Fault, Person } from "@keyfob/embedded"
import { DateTime, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { ClientAuthentication, EndSession, Jwt, OAuthClient, Userinfo } from "keyfob"
import { freePort } from "../../../embedded/src/server.ts"
import * as DeviceAuthorization from "../../src/protocol/DeviceAuthorization.ts"
import { discover } from "../../src/protocol/Discovery.ts"
import { revoke } from "../../src/protocol/Revocation.ts"
import { grant } from "../../src/protocol/TokenEndpoint.ts"
import { named } from "../scripted.ts"

const clientOf = Effect.fnUntraced(function* (
  clientId: string,
  authentication?: ClientAuthentication.ClientAuthentication
) {
  const { issuer } = yield* EmbeddedProvider
  return yield* OAuthClient.make({ issuer, clientId, ...(authentication === undefined ? {} : { authentication }) })
})

/** A machine asks for a token of the API. */
const machineToken = (client: OAuthClient.OAuthClient) =>
  grant(client, { grant_type: "client_credentials", scope: "api:read" }, { scopes: ["api:read"], repeat: "idempotent" })

const billing = (secret: string = clients.billing.secret) =>
  clientOf(clients.billing.id, ClientAuthentication.secretBasic(Redacted.make(secret)))

/** A person signs in on another screen before the first question. */
const signIn = Effect.fnUntraced(function* (client: OAuthClient.OAuthClient) {
  const scope = "openid profile email offline_access"
  const device = yield* DeviceAuthorization.request(client, { scope })
  yield* Person.approve(device)
  const form = {
    grant_type: "urn:ietf:params:oauth:grant-type:device_code",
    device_code: Redacted.value(device.deviceCode)
  }
  return yield* grant(client, form, { scopes: scope.split(" "), repeat: "once" })
})

const refresh = (client: OAuthClient.OAuthClient, token: Redacted.Redacted) =>
  grant(
    client,
    { grant_type: "refresh_token", refresh_token: Redacted.value(token) },
    { scopes: [], repeat: "spending" }
  )

const need = <A>(value: A | undefined): A => {
  assert.isDefined(value)
  return value as A // asserted just above
}

const requestsTo = (path: string) =>
  Effect.flatMap(EmbeddedProvider, ({ requests }) =>
    Effect.map(requests, (all) => all.filter((request) => request.path === path))
  )

for (const [name, http] of [
  ["undici", NodeHttpClient.layerUndici],
  ["fetch", FetchHttpClient.layer]
] as const) {
  layer(Layer.mergeAll(EmbeddedProvider.layer(), http), { excludeTestServices: true })(`protocol by ${name}`, (it) => {
    it.effect("discovers a real provider", () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider
        const metadata = yield* discover(yield* HttpClient.HttpClient, issuer)
        assert.strictEqual(metadata.issuer, issuer)
        for (const url of [metadata.token_endpoint, metadata.jwks_uri, metadata.device_authorization_endpoint]) {
          assert.strictEqual(new URL(need(url)).origin, issuer)
        }
      })
    )

    it.effect("A-52 a provider that calls itself otherwise is refused", () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider
        const other = issuer.replace("127.0.0.1", "localhost")
        const error = yield* Effect.flip(discover(yield* HttpClient.HttpClient, other))
        assert.strictEqual(named(error), "AnswerRejected.IssuerMismatch")
      })
    )

    it.effect("A-13 a provider that is not there is unreachable", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(discover(yield* HttpClient.HttpClient, `http://127.0.0.1:${yield* freePort}`))
        assert.deepInclude({ ...error }, { _tag: "ProviderUnavailable", reason: "Unreachable", detail: "ECONNREFUSED" })
      })
    )

    it.effect("A-14 a person signs in; their ID token verifies against the provider's keys", () =>
      Effect.gen(function* () {
        const client = yield* clientOf(clients.cli.id)
        const { issuer } = yield* client.metadata
        const granted = yield* signIn(client)
        const idToken = need(granted.idToken)
        const expected = {
          jwks: yield* client.jwks,
          issuer,
          audience: clients.cli.id,
          accessToken: granted.token.value
        }
        const claims = yield* Jwt.verifyIdToken(idToken, expected)
        assert.deepInclude(claims, { sub: "alice", iss: issuer, aud: clients.cli.id })
        assert.isAbove(DateTime.toEpochMillis(need(granted.token.expiresAt)), DateTime.toEpochMillis(granted.issuedAt))

        const elsewhere = yield* Effect.flip(Jwt.verifyIdToken(idToken, { ...expected, audience: "another" }))
        assert.strictEqual(named(elsewhere), "TokenRejected.Audience")
        const [header, payload, signature] = Redacted.value(idToken).split(".")
        const tampered = Redacted.make(`${header}.${payload}.${signature?.split("").reverse().join("")}`)
        assert.strictEqual(named(yield* Effect.flip(Jwt.verifyIdToken(tampered, expected))), "TokenRejected.Signature")
      })
    )

    it.effect("A-15 A-42 a machine with a secret full of special characters, in the header; its JWT verifies", () =>
      Effect.gen(function* () {
        const { audience, issuer } = yield* EmbeddedProvider
        const client = yield* billing()
        const { token } = yield* machineToken(client)
        assert.deepStrictEqual(token.scopes, ["api:read"])
        const claims = yield* Jwt.verify(token.value, {
          jwks: yield* client.jwks,
          issuer,
          audience,
          algorithms: ["ES256"]
        })
        assert.strictEqual(claims["client_id"], clients.billing.id)
      })
    )

    it.effect("A-15 a machine with a secret full of special characters, in the body", () =>
      Effect.gen(function* () {
        const secret = Redacted.make(clients.billingPost.secret)
        const client = yield* clientOf(clients.billingPost.id, ClientAuthentication.secretPost(secret))
        assert.strictEqual((yield* machineToken(client)).token.type, "Bearer")
      })
    )

    for (const authentication of [ClientAuthentication.secretBasic, ClientAuthentication.secretPost]) {
      const { method } = authentication(Redacted.make(""))
      it.effect(`A-42 a wrong secret is InvalidClient: ${method}`, () =>
        Effect.gen(function* () {
          const { id } = method === "client_secret_basic" ? clients.billing : clients.billingPost
          const client = yield* clientOf(id, authentication(Redacted.make("wrong")))
          const error = yield* Effect.flip(machineToken(client))
          assert.deepInclude(
            { ...error },
            { _tag: "ProviderRefused", reason: "InvalidClient", endpoint: "token", code: "invalid_client" }
          )
        })
      )
    }

    it.effect("A-45 A-46 a refresh rotates, and the old token is dead", () =>
      Effect.gen(function* () {
        const client = yield* clientOf(clients.cli.id)
        const first = need((yield* signIn(client)).refreshToken)
        const second = need((yield* refresh(client, first)).refreshToken)
        assert.notStrictEqual(Redacted.value(second), Redacted.value(first))
        assert.strictEqual(named(yield* Effect.flip(refresh(client, first))), "ProviderRefused.InvalidGrant")
      })
    )

    it.effect("userinfo is about who signed in, until the token is revoked", () =>
      Effect.gen(function* () {
        const client = yield* clientOf(clients.cli.id)
        const { token } = yield* signIn(client)
        assert.deepInclude(yield* Userinfo.request(client, token, "alice"), {
          sub: "alice",
          email: "alice@example.com"
        })
        assert.strictEqual(
          named(yield* Effect.flip(Userinfo.request(client, token, "bob"))),
          "AnswerRejected.SubjectMismatch"
        )
        yield* revoke(client, token.value, "access_token")
        assert.strictEqual(named(yield* Effect.flip(Userinfo.request(client, token))), "ProviderRefused.InvalidToken")
        yield* revoke(client, token.value, "access_token") // a second time is no failure
      })
    )

    it.effect("a revoked refresh token is dead", () =>
      Effect.gen(function* () {
        const client = yield* clientOf(clients.cli.id)
        const token = need((yield* signIn(client)).refreshToken)
        yield* revoke(client, token, "refresh_token")
        assert.strictEqual(named(yield* Effect.flip(refresh(client, token))), "ProviderRefused.InvalidGrant")
      })
    )

    it.effect("A-43 A-44 an open device code is pending, a made-up one is refused", () =>
      Effect.gen(function* () {
        const client = yield* clientOf(clients.cli.id)
        const device = yield* DeviceAuthorization.request(client, { scope: "openid" })
        const ask = (device_code: string) =>
          grant(
            client,
            { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code },
            { scopes: [], repeat: "once" }
          )
        const pending = yield* Effect.flip(ask(Redacted.value(device.deviceCode)))
        assert.deepInclude({ ...pending }, { _tag: "ProviderRefused", code: "authorization_pending" })
        assert.strictEqual(named(yield* Effect.flip(ask("made-up"))), "ProviderRefused.InvalidGrant")
      })
    )

    it.effect("the logout page opens with an ID token as hint", () =>
      Effect.gen(function* () {
        const client = yield* clientOf(clients.cli.id)
        const { idToken } = yield* signIn(client)
        const url = yield* EndSession.url(client, { idTokenHint: need(idToken) })
        const response = yield* client.http.get(Redacted.value(url))
        assert.strictEqual(response.status, 200)
        yield* response.text
      })
    )

    const faulty = Effect.fnUntraced(function* (fault: Fault) {
      const provider = yield* EmbeddedProvider
      const client = yield* clientOf(clients.cli.id)
      const token = need((yield* signIn(client)).refreshToken)
      yield* provider.clearRequests
      yield* provider.failNext("/token", fault)
      const outcome = named(yield* Effect.flip(refresh(client, token)))
      return {
        outcome,
        sent: (yield* requestsTo("/token")).length,
        elsewhere: (yield* requestsTo("/elsewhere")).length
      }
    })

    for (const status of [302, 307, 308]) {
      it.effect(`X-14 a ${status} at the token endpoint is not followed`, () =>
        Effect.gen(function* () {
          const result = yield* faulty({ status, headers: { location: "/elsewhere" } })
          assert.deepStrictEqual(result, { outcome: "AnswerRejected.Redirected", sent: 1, elsewhere: 0 })
        })
      )
    }

    for (const [fault, reason] of [
      ["reset", "AnswerLost"],
      ["lost", "AnswerLost"],
      [{ status: 502 }, "ServerError"]
    ] as const) {
      it.effect(`X-11 a refresh token is spent once: ${JSON.stringify(fault)}`, () =>
        Effect.gen(function* () {
          const result = yield* faulty(fault)
          assert.deepStrictEqual(result, { outcome: `ProviderUnavailable.${reason}`, sent: 1, elsewhere: 0 })
        })
      )
    }

    it.effect("a refresh that was turned away by 503 is sent again", () =>
      Effect.gen(function* () {
        const provider = yield* EmbeddedProvider
        const client = yield* clientOf(clients.cli.id)
        const token = need((yield* signIn(client)).refreshToken)
        yield* provider.clearRequests
        yield* provider.failNext("/token", { status: 503 })
        assert.isDefined((yield* refresh(client, token)).refreshToken)
        assert.deepStrictEqual(
          (yield* requestsTo("/token")).map(({ status }) => status),
          [503, 200]
        )
      })
    )

    for (const [what, fault, reason] of [
      ["a page", { status: 200, headers: { "content-type": "text/html" }, body: "<html>" }, "NotJson"],
      [
        "truncated JSON",
        { status: 200, headers: { "content-type": "application/json" }, body: `{"access_token":"` },
        "Truncated"
      ],
      [
        "600 KiB",
        { status: 200, headers: { "content-type": "application/json" }, body: `{"a":"${"x".repeat(600 * 1024)}"}` },
        "TooLarge"
      ],
      ["no access token", { status: 200, body: {} }, "Malformed"]
    ] as const) {
      it.effect(`X-15 X-19 ${what} instead of a token is refused`, () =>
        Effect.gen(function* () {
          const result = yield* faulty(fault)
          assert.deepStrictEqual(result, { outcome: `AnswerRejected.${reason}`, sent: 1, elsewhere: 0 })
        })
      )
    }
  })
}
