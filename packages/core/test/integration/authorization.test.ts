/** The browser's login against a certified provider, over real sockets; its pages are walked by HTTP. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect, Layer, Redacted, Schema } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { AuthorizationCode, type Begun, CredentialStore, Login } from "keyfob"
import { named } from "../scripted.ts"

const redirectUri = "http://127.0.0.1:49152/callback"

const strong = "urn:example:strong"
const limited = {
  client_id: "limited",
  application_type: "native",
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code", "refresh_token"],
  redirect_uris: ["http://127.0.0.1/callback"],
  scope: "openid"
}
const Provider = EmbeddedProvider.layer({ acrValues: [strong], clients: [limited] }).pipe(
  Layer.merge([CredentialStore.layerMemory, NodeHttpClient.layerUndici])
)

const flowWith = (options: Partial<AuthorizationCode.AuthorizationCodeOptions> = {}) =>
  EmbeddedProvider.use(({ issuer }) =>
    Effect.succeed(
      AuthorizationCode.make({ issuer, clientId: clients.cli.id, scopes: ["openid", "offline_access"], ...options })
    )
  )

/** Where the provider sends the person's browser in the end. */
const answerTo = ({ url }: Begun, account = "alice") =>
  Effect.map(Person.approve(Redacted.value(url), { account, followRedirect: false }), ({ url }) => url)

/** A request whose address somebody has changed before the browser went there; undefined takes a parameter out. */
const changed = (begun: Begun, parameters: Readonly<Record<string, string | undefined>>): Begun => {
  const url = new URL(Redacted.value(begun.url))
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) url.searchParams.delete(name)
    else url.searchParams.set(name, value)
  }
  return { ...begun, url: Redacted.make(url.href) }
}

/** What a login comes to whose person goes where `sends` leads them. */
const endOf = Effect.fnUntraced(function* (
  flow: AuthorizationCode.AuthorizationCodeFlow,
  sends: (begun: Begun) => Effect.Effect<string, Person.PersonError> = answerTo
) {
  const begun = yield* Login.begin(flow, { redirectUri })
  const result = yield* Effect.result(Login.complete(flow, begun.pending, yield* sends(begun)))
  return result._tag === "Success" ? "signed in" : named(result.failure)
})

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

    it.effect("a token for an API (RFC 8707)", () =>
      Effect.gen(function* () {
        const { audience } = yield* EmbeddedProvider
        const flow = yield* flowWith({ scopes: ["openid", "api:read"], resource: [audience] })
        const begun = yield* Login.begin(flow, { redirectUri })
        const { token } = yield* Login.complete(flow, begun.pending, yield* answerTo(begun))
        assert.deepStrictEqual(token.scopes, ["api:read"])
      })
    )

    it.effect("attack: code injection, the provider holds the proof key against the code", () =>
      Effect.gen(function* () {
        const flow = yield* flowWith()
        const mine = yield* Login.begin(flow, { redirectUri })
        const injected = new URL(yield* answerTo(yield* Login.begin(flow, { redirectUri }), "bob"))
        injected.searchParams.set("state", Redacted.value(mine.pending.state))
        const error = yield* Effect.flip(Login.complete(flow, mine.pending, injected.href))
        assert.strictEqual(named(error), "ProviderRefused.InvalidGrant")
      })
    )

    it.effect("attack: mix-up, the same answer with another issuer's name", () =>
      Effect.gen(function* () {
        const flow = yield* flowWith()
        const begun = yield* Login.begin(flow, { redirectUri })
        const answer = new URL(yield* answerTo(begun))
        answer.searchParams.set("iss", "https://attacker.test")
        const error = yield* Effect.flip(Login.complete(flow, begun.pending, answer.href))
        assert.strictEqual(named(error), "AnswerRejected.IssuerMismatch")
        answer.searchParams.delete("iss")
        const silent = yield* Effect.flip(Login.complete(flow, begun.pending, answer.href))
        assert.strictEqual(named(silent), "AnswerRejected.IssuerMismatch")
      })
    )

    it.effect("attack: PKCE downgrade, the provider takes no request without S256, and all of ours have it", () =>
      Effect.gen(function* () {
        const flow = yield* flowWith()
        const without = { code_challenge: undefined, code_challenge_method: undefined }
        for (const parameters of [{ code_challenge_method: "plain" }, { code_challenge_method: undefined }, without]) {
          const end = yield* endOf(flow, (begun) => answerTo(changed(begun, parameters)))
          assert.strictEqual(end, "ProviderRefused.InvalidRequest")
        }
        assert.strictEqual(yield* endOf(flow), "signed in")
      })
    )

    it.effect("attack: PKCE downgrade, where its metadata come without S256 nobody is sent there", () =>
      Effect.gen(function* () {
        const { failNext } = yield* EmbeddedProvider
        const altered = { code_challenge_methods_supported: ["plain"] }
        yield* failNext("/.well-known/openid-configuration", { altered })
        const error = yield* Effect.flip(Login.begin(yield* flowWith(), { redirectUri }))
        assert.strictEqual(named(error), "ConfigurationInvalid.NotSupported")
      })
    )

    it.effect("attack: a stolen code is of no use to who has not the verifier", () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider
        const flow = yield* flowWith()
        const begun = yield* Login.begin(flow, { redirectUri })
        const code = new URL(yield* answerTo(begun)).searchParams.get("code") ?? ""
        const form = { grant_type: "authorization_code", code, redirect_uri: redirectUri, client_id: clients.cli.id }
        const request = HttpClientRequest.bodyUrlParams(HttpClientRequest.post(`${issuer}/token`), form)
        const answer = yield* HttpClient.execute(request)
        assert.strictEqual(answer.status, 400)
        const { error } = yield* HttpClientResponse.schemaBodyJson(Schema.Struct({ error: Schema.String }))(answer)
        assert.strictEqual(error, "invalid_grant")
      })
    )

    it.effect("attack: a code is used once, its provider refuses it the second time", () =>
      Effect.gen(function* () {
        const flow = yield* flowWith()
        const begun = yield* Login.begin(flow, { redirectUri })
        const answer = yield* answerTo(begun)
        yield* Login.complete(flow, begun.pending, answer)
        const error = yield* Effect.flip(Login.complete(flow, begun.pending, answer))
        assert.strictEqual(named(error), "ProviderRefused.InvalidGrant")
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
        const inWindow = (begun: Begun) =>
          Effect.map(Person.approve(Redacted.value(begun.url), { window }), ({ url }) => url)
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

    it.effect("attack: CSRF, the answer to somebody else's login is refused before its code is spent", () =>
      Effect.gen(function* () {
        const { clearRequests, requests } = yield* EmbeddedProvider
        const flow = yield* flowWith()
        const mine = yield* Login.begin(flow, { redirectUri })
        const answer = yield* answerTo(yield* Login.begin(flow, { redirectUri }), "bob")
        yield* clearRequests
        const error = yield* Effect.flip(Login.complete(flow, mine.pending, answer))
        assert.strictEqual(named(error), "AnswerRejected.StateMismatch")
        assert.isFalse((yield* requests).some(({ path }) => path === "/token"))
      })
    )

    it.effect("attack: mix-up where no issuer is promised: none is fine, a wrong one is refused", () =>
      Effect.gen(function* () {
        const { failNext } = yield* EmbeddedProvider
        const flow = yield* flowWith()
        const endWith = Effect.fnUntraced(function* (iss: string | undefined) {
          const altered = { authorization_response_iss_parameter_supported: undefined }
          for (const _ of ["to begin", "to complete"]) yield* failNext("/.well-known/openid-configuration", { altered })
          return yield* endOf(flow, (begun) =>
            Effect.map(answerTo(begun), (answer) => {
              const url = new URL(answer)
              url.searchParams.delete("iss")
              if (iss !== undefined) url.searchParams.set("iss", iss)
              return url.href
            })
          )
        })
        assert.strictEqual(yield* endWith(undefined), "signed in")
        assert.strictEqual(yield* endWith("https://attacker.test"), "AnswerRejected.IssuerMismatch")
      })
    )

    it.effect("attack: an ID token that is not of this login, or not as it was signed, signs nobody in", () =>
      Effect.gen(function* () {
        const { failNext } = yield* EmbeddedProvider
        const flow = yield* flowWith()
        const before = yield* Login.begin(flow, { redirectUri })
        const { idToken } = yield* Login.complete(flow, before.pending, yield* answerTo(before, "bob"))
        const replayed = idToken === undefined ? "" : Redacted.value(idToken)
        yield* failNext("/token", { altered: { id_token: replayed } })
        assert.strictEqual(yield* endOf(flow), "TokenRejected.Nonce")
        const [header, payload, signature = ""] = replayed.split(".")
        const id_token = `${header}.${payload}.${signature.split("").reverse().join("")}`
        yield* failNext("/token", { altered: { id_token } })
        assert.strictEqual(yield* endOf(flow), "TokenRejected.Signature")
        yield* failNext("/token", { altered: { id_token: undefined } })
        assert.strictEqual(yield* endOf(flow), "AnswerRejected.Malformed")
      })
    )

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
