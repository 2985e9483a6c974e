/** A provider that rotates the refresh token and answers with what must not be used: what is left of that, and to whom. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Base64, Base64Url } from "effect/encoding"
import { HttpClient, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { ClientCertificate, CredentialStore, DeviceCode, type FlowOptions, Jwt, Login } from "keyfob"
import { clients, Fault, patiently, type ProviderOptions, SimulatedPerson, SimulatedProvider } from "@keyfob/testing"
import { named } from "../scripted.ts"
import { keys, signText } from "../protocol/signing.ts"
import { kept, observed, source, write } from "./given.ts"

// What starts as a certificate does, and what a proxy in front of the provider makes of it (RFC 9440).
const der = new Uint8Array([0x30, 0])
const header = `:${Base64.encode(der)}:`
const thumbprint = Base64Url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", der)))
const certificate = { certificate: "a PEM", key: Redacted.make("canary-key"), thumbprint }
const presenting = (http: HttpClient.HttpClient) =>
  HttpClient.make((request) =>
    Effect.flatMap(ClientCertificate.Presented, (one) =>
      http.execute(one === undefined ? request : HttpClientRequest.setHeader(request, "client-cert", header))
    )
  )
const anothers = await signText('{"alg":"RS256"}', '{"cnf":{"x5t#S256":"another\'s"}}', keys.provider)
const bobs = await signText('{"alg":"RS256"}', '{"sub":"bob"}', keys.provider)

/** Alice has signed in, her token is of no use any more, and the next refresh is answered so. */
const scene = Effect.fnUntraced(function* (does: Fault.Misbehaviour, options: Partial<FlowOptions> = {}) {
  const flow = DeviceCode.make({
    issuer: "https://id.simulated.test",
    clientId: "keyfob-cli",
    scopes: ["openid", "offline_access"],
    ...options
  })
  const idp = yield* SimulatedProvider
  yield* idp.approve("alice")
  const first = yield* patiently(Login.login(flow))
  yield* idp.faults(Fault.onRequest({ grant: "refresh_token" }, does))
  const standing = Effect.map(kept(flow.key), (found) => ({
    of: found?.access === Redacted.value(first.token.value) ? "before" : "after",
    refreshToken: found?.refresh === Redacted.value(first.refreshToken ?? Redacted.make("")) ? "before" : "after",
    generation: found?.generation,
    spending: found?.spending,
    refused: found?.refused
  }))
  return { idp, flow, first, standing, one: yield* source(flow), sibling: yield* source(flow) }
})

const world = (options: ProviderOptions = {}) => {
  const store = observed()
  const layer = Layer.mergeAll(
    SimulatedPerson.layer(),
    store.layer,
    Layer.succeed(ClientCertificate.IsPresentable, true),
    Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, presenting))
  ).pipe(Layer.provideMerge(SimulatedProvider.layer(options)))
  return { store, layer }
}

describe("A refresh whose answer is refused", () => {
  const mtls = {
    clients: [{ ...clients.cli, client_id: "mtls", tls_client_certificate_bound_access_tokens: true }]
  }
  const binding = { clientId: "mtls", certificate, certificateBoundAccessTokens: true }

  it.effect.each([
    ["none", Fault.altered({ cnf: undefined }), "AnswerRejected.CertificateMismatch"],
    ["another's", Fault.altered({ cnf: { "x5t#S256": "another's" } }), "AnswerRejected.CertificateMismatch"],
    ["nobody knows whose", Fault.answer({ status: 502 }), "ProviderUnavailable.ServerError"]
  ] as const)(
    "attack: for an opaque token whose certificate is %s: its refresh token is kept, its access token is not",
    ([, does, error]) =>
      Effect.forEach([["openid", "offline_access"], ["offline_access"]], (scopes) =>
        Effect.gen(function* () {
          const { idp, one, sibling, standing } = yield* scene(Fault.delay("1 millis"), { ...binding, scopes })
          yield* idp.faults(Fault.onRequest({ endpoint: "introspection", times: 4 }, does))
          yield* TestClock.adjust("61 minutes")
          assert.strictEqual(named(yield* Effect.flip(patiently(one.token))), error)
          assert.deepInclude(yield* standing, { of: "before", refreshToken: "after", generation: 2, refused: false })
          yield* idp.recover
          assert.isTrue(yield* idp.accepts(yield* sibling.token))
          assert.strictEqual(yield* idp.liveRefreshTokens, 1)
        }).pipe(Effect.provide(world(mtls).layer), Effect.scoped)
      )
  )

  const unusable = [
    ["a token type that is not asked for", Fault.altered({ token_type: "mac" }), {}, "AnswerRejected.Malformed"],
    [
      "a token that is not bound to the key",
      Fault.altered({ token_type: "Bearer" }),
      { dpop: true },
      "AnswerRejected.Malformed"
    ],
    ["no access token", Fault.altered({ access_token: undefined }), {}, "AnswerRejected.Malformed"],
    ["a lifetime that is none", Fault.altered({ expires_in: -1 }), {}, "AnswerRejected.Malformed"],
    [
      "a token that is bound to another certificate",
      Fault.altered({ access_token: anothers, id_token: undefined }),
      { certificate },
      "AnswerRejected.CertificateMismatch"
    ],
    ["an ID token that is none", Fault.altered({ id_token: "none" }), {}, "TokenRejected.Malformed"],
    ["an ID token whose signature is broken", Fault.idToken({ signature: "broken" }), {}, "TokenRejected.Signature"],
    ["an ID token without a signature", Fault.idToken({ signature: "none" }), {}, "TokenRejected.Algorithm"],
    [
      "an ID token for another access token",
      Fault.idToken({ claims: { at_hash: "another" } }),
      {},
      "TokenRejected.AccessTokenHash"
    ]
  ] as const

  it.effect.each(unusable)("for %s: its refresh token is kept, its access token is not", ([, does, options, error]) => {
    const { layer } = world()
    return Effect.gen(function* () {
      const { idp, one, sibling, standing } = yield* scene(does, options)
      yield* TestClock.adjust("61 minutes")
      assert.strictEqual(named(yield* Effect.flip(one.token)), error)
      assert.deepStrictEqual(yield* standing, {
        of: "before",
        refreshToken: "after",
        generation: 2,
        spending: null,
        refused: false
      })
      // The next process goes on where the provider is: the spent one would have ended the sign-in there.
      assert.isTrue(yield* idp.accepts(yield* sibling.token))
      assert.strictEqual(yield* one.text, yield* sibling.text)
      assert.strictEqual(yield* idp.liveRefreshTokens, 1)
      assert.deepInclude(yield* standing, { of: "after", generation: 3 })
    }).pipe(Effect.provide(layer), Effect.scoped)
  })

  it.effect(
    "for no ID token where that goes on requests: its refresh token is kept, and no access token goes in its place",
    () =>
      Effect.gen(function* () {
        const options: Partial<FlowOptions> = { profile: { bearer: "id_token" } }
        const { first, one, sibling, standing } = yield* scene(Fault.altered({ id_token: undefined }), options)
        yield* TestClock.adjust("61 minutes")
        assert.strictEqual(named(yield* Effect.flip(patiently(one.token))), "AnswerRejected.Malformed")
        assert.deepInclude(yield* standing, { of: "before", refreshToken: "after", generation: 2, refused: false })
        const next = yield* sibling.token
        assert.notStrictEqual(Redacted.value(next.value), Redacted.value(first.token.value))
        assert.strictEqual((yield* Jwt.decode(Redacted.value(next.value))).claims["aud"], clients.cli.client_id)
      }).pipe(Effect.provide(world().layer), Effect.scoped)
  )

  it.effect.each(unusable)(
    "for %s, while the old token serves: that goes on to be given, and is no renewal",
    ([, does, options, error]) => {
      const { layer } = world()
      return Effect.gen(function* () {
        const { first, flow, idp, one, sibling } = yield* scene(does, options)
        const before = Redacted.value(first.token.value)
        yield* TestClock.adjust("1 minute")
        yield* sibling.token
        assert.strictEqual(named(yield* Effect.flip(one.renewedSince(first.token))), error)
        for (const { text } of [one, yield* source(flow)]) assert.strictEqual(yield* text, before)
        // Neither who was told nor who was not takes the token of before for the one that comes after it.
        const { credential, outcome } = yield* sibling.renew
        assert.strictEqual(outcome, "renewed")
        assert.isTrue(yield* idp.accepts(credential.token))
        assert.strictEqual((yield* one.renew).outcome, "adopted")
        assert.strictEqual(yield* one.text, yield* sibling.text)
      }).pipe(Effect.provide(layer), Effect.scoped)
    }
  )

  it.effect.each([
    ["person", { sub: "bob" }, "AnswerRejected.SubjectMismatch"],
    ["issuer", { iss: "https://other.example" }, "TokenRejected.Issuer"],
    ["client", { aud: "other" }, "TokenRejected.Audience"],
    ["party", { azp: "other" }, "TokenRejected.AuthorizedParty"]
  ] as const)("because it is for another %s: nothing of it stays, and the session is over", ([, claims, error]) => {
    const { layer, store } = world()
    return Effect.gen(function* () {
      const { idp, one, sibling, standing } = yield* scene(Fault.idToken({ claims }))
      yield* TestClock.adjust("61 minutes")
      assert.strictEqual(named(yield* Effect.flip(one.token)), error)
      assert.deepStrictEqual(yield* standing, {
        of: "before",
        refreshToken: "before",
        generation: 2,
        spending: null,
        refused: true
      })
      yield* idp.clearRequests
      for (const ask of [...one.asks, ...sibling.asks]) {
        assert.strictEqual(named(yield* Effect.flip(ask)), "LoginRequired.RefreshRefused")
      }
      assert.lengthOf(yield* idp.requests, 0)
      // Whom it names shows without a key, so it was never there at all.
      const written = new Set(store.writes.map(({ refreshToken }) => refreshToken && Redacted.value(refreshToken)))
      assert.strictEqual(written.size, error === "AnswerRejected.SubjectMismatch" ? 1 : 2)
    }).pipe(Effect.provide(layer), Effect.scoped)
  })

  it.effect(
    "attack: for two reasons, one that it is for another person: their refresh token is not kept beside ours",
    () =>
      Effect.gen(function* () {
        const { one, standing } = yield* scene(Fault.altered({ token_type: "mac", id_token: bobs }))
        yield* TestClock.adjust("61 minutes")
        assert.strictEqual(named(yield* Effect.flip(one.token)), "AnswerRejected.SubjectMismatch")
        assert.deepInclude(yield* standing, { of: "before", refreshToken: "before", refused: true })
      }).pipe(Effect.provide(world().layer), Effect.scoped)
  )

  it.effect.each([
    ["none", Fault.altered({ cnf: undefined })],
    ["nobody knows whose", Fault.answer({ status: 502 })]
  ] as const)("attack: nor that of another client, for an opaque token whose certificate is %s", ([, does]) =>
    Effect.gen(function* () {
      const { idp, one, standing } = yield* scene(Fault.idToken({ claims: { aud: "other" } }), binding)
      yield* idp.faults(Fault.onRequest({ endpoint: "introspection", times: 4 }, does))
      yield* TestClock.adjust("61 minutes")
      assert.strictEqual(named(yield* Effect.flip(patiently(one.token))), "TokenRejected.Audience")
      assert.deepInclude(yield* standing, { of: "before", refreshToken: "before", refused: true })
    }).pipe(Effect.provide(world(mtls).layer), Effect.scoped)
  )

  it.effect(
    "X-21 a crash between the answer and its ID token's keys: the next process has the refresh token alone",
    () => {
      const { layer, store } = world()
      return Effect.gen(function* () {
        const { flow, idp, one, standing } = yield* scene(Fault.idToken({}))
        yield* TestClock.adjust("61 minutes")
        yield* one.token
        const [crashed] = store.writes.filter(({ generation }) => generation === 2)
        assert.deepInclude(yield* standing, { of: "after", generation: 2 })
        yield* CredentialStore.use((there) => there.modify(flow.key, (slot) => slot.remove))
        if (crashed !== undefined) yield* write(crashed)
        assert.deepInclude(yield* standing, { of: "before", refreshToken: "after", generation: 2, spending: null })
        assert.isTrue(yield* idp.accepts(yield* (yield* source(flow)).token))
      }).pipe(Effect.provide(layer), Effect.scoped)
    }
  )
})
