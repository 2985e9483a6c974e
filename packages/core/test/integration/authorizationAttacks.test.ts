/** Attacks on the browser's login, at a certified provider over real sockets. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { clients, EmbeddedProvider } from "@keyfob/embedded"
import { Effect, Layer, Redacted, Schema } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { CredentialStore, Login } from "keyfob"
import { named } from "../scripted.ts"
import { answerTo, changed, endOf, flowWith, redirectUri } from "./authorizing.ts"

const Provider = EmbeddedProvider.layer().pipe(Layer.merge([CredentialStore.layerMemory, NodeHttpClient.layerUndici]))

describe("integration: attacks on authorization", () => {
  layer(Provider, { excludeTestServices: true })((it) => {
    it.effect("attack: code injection, the provider holds the proof key against the code", () =>
      Effect.gen(function* () {
        const flow = yield* flowWith()
        const mine = yield* Login.begin(flow, { redirectUri })
        const injected = new URL(yield* answerTo(yield* Login.begin(flow, { redirectUri }), { account: "bob" }))
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
        for (const methods of [["plain"], []]) {
          const altered = { code_challenge_methods_supported: methods }
          yield* failNext("/.well-known/openid-configuration", { altered })
          const error = yield* Effect.flip(Login.begin(yield* flowWith(), { redirectUri }))
          assert.strictEqual(named(error), "ConfigurationInvalid.NotSupported")
        }
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

    it.effect("attack: CSRF, the answer to somebody else's login is refused before its code is spent", () =>
      Effect.gen(function* () {
        const { clearRequests, requests } = yield* EmbeddedProvider
        const flow = yield* flowWith()
        const mine = yield* Login.begin(flow, { redirectUri })
        const answer = yield* answerTo(yield* Login.begin(flow, { redirectUri }), { account: "bob" })
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

    for (const [what, added] of [
      ["an access token in front", "access_token=t"],
      ["an ID token in front", "id_token=t"],
      ["another code beside it", "code=another"],
      ["a JWT instead of an answer", "response=e30.e30.e30"]
    ] as const) {
      it.effect(`attack: ${what} is refused before the code is spent`, () =>
        Effect.gen(function* () {
          const { clearRequests, requests } = yield* EmbeddedProvider
          yield* clearRequests
          const end = yield* endOf(yield* flowWith(), (begun) =>
            Effect.map(answerTo(begun), (answer) => `${answer}&${added}`)
          )
          assert.strictEqual(end, "AnswerRejected.Malformed")
          assert.isFalse((yield* requests).some(({ path }) => path === "/token"))
        })
      )
    }

    it.effect("attack: an ID token that is not of this login, or not as it was signed, signs nobody in", () =>
      Effect.gen(function* () {
        const { failNext } = yield* EmbeddedProvider
        const flow = yield* flowWith()
        const before = yield* Login.begin(flow, { redirectUri })
        const { idToken } = yield* Login.complete(flow, before.pending, yield* answerTo(before, { account: "bob" }))
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
  })
})
