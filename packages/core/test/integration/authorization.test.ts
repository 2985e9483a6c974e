/** The browser's login against a certified provider, over real sockets; its pages are walked by HTTP. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect, Layer, Redacted } from "effect"
import { AuthorizationCode, type Begun, CredentialStore, Login } from "keyfob"
import { named } from "../scripted.ts"

const redirectUri = "http://127.0.0.1:49152/callback"

const Provider = EmbeddedProvider.layer().pipe(Layer.merge([CredentialStore.layerMemory, NodeHttpClient.layerUndici]))

const flowWith = (options: Partial<AuthorizationCode.AuthorizationCodeOptions> = {}) =>
  EmbeddedProvider.use(({ issuer }) =>
    Effect.succeed(
      AuthorizationCode.make({ issuer, clientId: clients.cli.id, scopes: ["openid", "offline_access"], ...options })
    )
  )

/** Where the provider sends the person's browser in the end. */
const answerTo = ({ url }: Begun, account = "alice") =>
  Effect.map(Person.approve(Redacted.value(url), { account, followRedirect: false }), ({ url }) => url)

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
