/** The browser's login against a certified provider, over real sockets; its pages are walked by HTTP. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect, Layer, Redacted } from "effect"
import { type Begun, CredentialStore, Login } from "keyfob"
import { named } from "../scripted.ts"
import { answerTo, changed, endOf, flowWith, redirectUri } from "./authorizing.ts"

const strong = "urn:example:strong"
const limited = {
  client_id: "limited",
  application_type: "native",
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code", "refresh_token"],
  redirect_uris: ["http://127.0.0.1/callback"],
  scope: "openid"
}
const Provider = EmbeddedProvider.layer({
  acrValues: [strong],
  clients: [limited],
  extraParams: ["audience", "tenant"]
}).pipe(Layer.merge([CredentialStore.layerMemory, NodeHttpClient.layerUndici]))

describe("integration: authorization code", () => {
  layer(Provider, { excludeTestServices: true })((it) => {
    it.effect("signs in in two halves, and the provider names itself in its answer (RFC 9207)", () =>
      Effect.gen(function* () {
        const flow = yield* flowWith()
        const begun = yield* Login.begin(flow, { redirectUri })
        const answer = yield* answerTo(begun)
        assert.strictEqual(new URL(answer).searchParams.get("iss"), flow.key.issuer)
        const credential = yield* Login.complete(flow, begun.pending, answer)
        assert.strictEqual(credential.account?.sub, "alice")
        assert.isDefined(credential.refreshToken, "offline_access was agreed to")
      })
    )

    it.effect(
      "the provider understands what is asked of the person and the token, and extra parameters; those replace nothing",
      () =>
        Effect.gen(function* () {
          const { audience, clearRequests, requests } = yield* EmbeddedProvider
          const flow = yield* flowWith({
            prompt: ["login"],
            loginHint: "alice@example.com",
            maxAge: "5 minutes",
            acrValues: [strong],
            uiLocales: ["de-AT", "en"],
            audience,
            resource: [audience],
            params: {
              tenant: "blue",
              state: "mine",
              nonce: "n",
              response_type: "token",
              code_challenge_method: "plain"
            }
          })
          yield* clearRequests
          assert.strictEqual(yield* endOf(flow), "signed in")
          const [asked] = (yield* requests).filter(({ path }) => path === "/auth")
          assert.includeMembers(
            [...(asked?.understood ?? [])],
            "prompt login_hint max_age acr_values ui_locales audience resource tenant state nonce".split(" ")
          )
        })
    )

    it.effect("the request is pushed where that is required, and the browser carries a reference (RFC 9126)", () =>
      Effect.gen(function* () {
        const { failNext } = yield* EmbeddedProvider
        const altered = { require_pushed_authorization_requests: true }
        const flow = yield* flowWith()
        yield* failNext("/.well-known/openid-configuration", { altered })
        const begun = yield* Login.begin(flow, { redirectUri })
        assert.hasAllKeys(Object.fromEntries(new URL(Redacted.value(begun.url)).searchParams), [
          "client_id",
          "request_uri"
        ])
        const credential = yield* Login.complete(flow, begun.pending, yield* answerTo(begun))
        assert.strictEqual(credential.account?.sub, "alice")
      })
    )

    it.effect("a token for an API (RFC 8707)", () =>
      Effect.gen(function* () {
        const { audience } = yield* EmbeddedProvider
        const flow = yield* flowWith({ scopes: ["openid", "api:read"], resource: [audience] })
        const begun = yield* Login.begin(flow, { redirectUri })
        const { token } = yield* Login.complete(flow, begun.pending, yield* answerTo(begun))
        assert.deepStrictEqual(token.scopes, ["api:read"])
      })
    )

    it.effect("offline_access asks for consent: without that the provider gives no refresh token", () =>
      Effect.gen(function* () {
        const flow = yield* flowWith()
        const [asked, silenced] = [
          yield* Login.begin(flow, { redirectUri }),
          changed(yield* Login.begin(flow, { redirectUri }), { prompt: undefined })
        ]
        const refreshable = (begun: Begun) =>
          Effect.map(
            Effect.flatMap(answerTo(begun), (answer) => Login.complete(flow, begun.pending, answer)),
            ({ refreshToken }) => refreshToken !== undefined
          )
        assert.isTrue(yield* refreshable(asked))
        assert.isFalse(yield* refreshable(silenced))
      })
    )

    it.effect(
      "acr_values: the way it can be is in the ID token; a provider that cannot, or was not asked, is refused",
      () =>
        Effect.gen(function* () {
          const flow = yield* flowWith({ acrValues: [strong] })
          assert.strictEqual(yield* endOf(flow), "signed in")
          const rejected = "TokenRejected.AuthenticationContext"
          assert.strictEqual(yield* endOf(yield* flowWith({ acrValues: ["urn:example:stronger"] })), rejected)
          assert.strictEqual(
            yield* endOf(flow, (begun) => answerTo(changed(begun, { acr_values: undefined }))),
            rejected
          )
        })
    )

    it.effect("max_age taken out of the address: the auth_time that is missing then is missed", () =>
      Effect.gen(function* () {
        const flow = yield* flowWith({ maxAge: "1 minute" })
        const end = yield* endOf(flow, (begun) => answerTo(changed(begun, { max_age: undefined })))
        assert.strictEqual(end, "TokenRejected.MissingClaim")
      })
    )

    it.effect("max_age: who signed in too long ago, as the provider knows from elsewhere, is refused", () =>
      Effect.gen(function* () {
        const flow = yield* flowWith({ maxAge: "1 minute" })
        assert.strictEqual(yield* endOf(flow, (begun) => answerTo(begun, { ago: 30 })), "signed in")
        const end = yield* endOf(flow, (begun) => answerTo(begun, { ago: 3600 }))
        assert.strictEqual(end, "TokenRejected.AuthenticationTime")
      })
    )

    for (const [code, options, end] of [
      ["login_required", { prompt: ["none"] }, "LoginRequired"],
      ["invalid_scope", { clientId: limited.client_id, scopes: ["openid", "offline_access"] }, "InvalidScope"],
      ["invalid_target", { resource: ["https://elsewhere.example"] }, "InvalidTarget"],
      ["invalid_request", { prompt: ["none", "login"] }, "InvalidRequest"]
    ] as const) {
      it.effect(`the error ${code}, as the provider finds it, is ProviderRefused.${end}`, () =>
        Effect.gen(function* () {
          assert.strictEqual(yield* endOf(yield* flowWith(options)), `ProviderRefused.${end}`)
        })
      )
    }

    it.effect("prompt=none where somebody is signed in: a native client must ask, InteractionRequired", () =>
      Effect.gen(function* () {
        const flow = yield* flowWith()
        const window = Person.openWindow(flow.key.issuer)
        const inWindow = (begun: Begun) => answerTo(begun, { window })
        assert.strictEqual(yield* endOf(flow, inWindow), "signed in")
        const end = yield* endOf(yield* flowWith({ prompt: ["none"] }), inWindow)
        assert.strictEqual(end, "ProviderRefused.InteractionRequired")
      })
    )

    for (const [because, end] of [
      ["access_denied", "LoginFailed.Denied"],
      ["consent_required", "ProviderRefused.ConsentRequired"],
      ["account_selection_required", "ProviderRefused.AccountSelectionRequired"],
      ["unmet_authentication_requirements", "ProviderRefused.UnmetAuthenticationRequirements"],
      ["unauthorized_client", "ProviderRefused.UnauthorizedClient"],
      ["unsupported_response_type", "ProviderRefused.UnsupportedGrantType"],
      ["temporarily_unavailable", "ProviderUnavailable.ServerError"],
      ["something_new", "ProviderRefused.Other"]
    ] as const) {
      it.effect(`the error ${because}, as its sign-in page ends with it, is ${end}`, () =>
        Effect.gen(function* () {
          const refuses = ({ url }: Begun) =>
            Effect.map(Person.deny(Redacted.value(url), { because, followRedirect: false }), ({ url }) => url)
          assert.strictEqual(yield* endOf(yield* flowWith(), refuses), end)
        })
      )
    }

    it.effect("max_age is asked for and shown; prompt=none says that nobody is signed in", () =>
      Effect.gen(function* () {
        const recent = yield* flowWith({ maxAge: "1 minute" })
        const begun = yield* Login.begin(recent, { redirectUri })
        assert.strictEqual((yield* Login.complete(recent, begun.pending, yield* answerTo(begun))).account?.sub, "alice")
        const silent = yield* flowWith({ prompt: ["none"] })
        const asked = yield* Login.begin(silent, { redirectUri })
        const error = yield* Effect.flip(Login.complete(silent, asked.pending, yield* answerTo(asked)))
        assert.strictEqual(named(error), "ProviderRefused.LoginRequired")
      })
    )
  })
})
