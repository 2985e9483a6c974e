/** Sessions against a certified provider, over real sockets. Time passes as it does, but for the poll of a login. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Deferred, Effect, Layer, Option, Redacted } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import {
  AuthorizedHttpClient,
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  DeviceCode,
  type DeviceCodePrompt,
  Login,
  Logout,
  TokenSource,
  UserPrompt
} from "keyfob"

const scopes = ["openid", "profile", "offline_access"]
const flowOf = (issuer: string, account = "default") =>
  DeviceCode.make({ issuer, clientId: clients.cli.id, scopes, account })
const machineOf = (issuer: string, secret: string = clients.billing.secret) =>
  ClientCredentials.make({
    issuer,
    clientId: clients.billing.id,
    authentication: ClientAuthentication.secretBasic(Redacted.make(secret)),
    scopes: ["api:read"]
  })

/** The person does something with what is shown; then five seconds pass at once, and the login polls. */
const signIn = Effect.fnUntraced(function* <A, E>(
  flow: ReturnType<typeof flowOf>,
  act: (prompt: DeviceCodePrompt) => Effect.Effect<A, E>
) {
  yield* TestClock.setTime(Date.now())
  const shown = yield* Deferred.make<DeviceCodePrompt>()
  const prompt = Layer.mock(UserPrompt, { deviceCode: (prompt) => Effect.asVoid(Deferred.succeed(shown, prompt)) })
  const person = Effect.andThen(Effect.flatMap(Deferred.await(shown), act), TestClock.adjust("5 seconds"))
  const [credential] = yield* Effect.all([Effect.provide(Login.login(flow), prompt), person], { concurrency: 2 })
  return credential
}, Effect.provide(TestClock.layer()))

const approving = (account: string) => (prompt: DeviceCodePrompt) => Person.approve(prompt, { account })

/** Somebody signed in, and a source of theirs. */
const session = Effect.fnUntraced(function* (account = "alice") {
  const provider = yield* EmbeddedProvider
  const flow = flowOf(provider.issuer, account)
  const credential = yield* signIn(flow, approving(account))
  yield* provider.clearRequests
  const source = yield* TokenSource.make(flow)
  const tokenRequests = Effect.map(provider.requests, (all) => all.filter(({ path }) => path === "/token"))
  return { source, provider, flow, credential, tokenRequests }
})

const whoAmI = Effect.fnUntraced(function* (source: TokenSource.TokenSource) {
  const { apiUrl, issuer } = yield* EmbeddedProvider
  const client = yield* AuthorizedHttpClient.make(Effect.succeed(source), { origins: [issuer] })
  const response = yield* client.get(apiUrl)
  return { status: response.status, body: yield* response.json }
})

for (const [name, http] of [
  ["undici", NodeHttpClient.layerUndici],
  ["fetch", FetchHttpClient.layer]
] as const) {
  layer(Layer.mergeAll(EmbeddedProvider.layer(), http), { excludeTestServices: true })(`sessions by ${name}`, (it) => {
    const fresh = Effect.provide(CredentialStore.layerMemory)

    it.effect(
      "A-06 A-45 a person signs in and is known; each renewal works with the refresh token of the one before",
      () =>
        Effect.gen(function* () {
          const { credential, source, tokenRequests } = yield* session()
          assert.deepInclude(credential.account, { sub: "alice" })
          assert.deepInclude((yield* whoAmI(source)).body, { sub: "alice" })
          for (const generation of [2, 3, 4]) {
            const { credential, outcome } = yield* source.renew
            assert.deepStrictEqual([outcome, credential.generation], ["renewed", generation])
          }
          assert.deepInclude((yield* whoAmI(source)).body, { sub: "alice" })
          assert.lengthOf(yield* tokenRequests, 3)
        }).pipe(fresh)
    )

    it.effect("R8 a person who says no is a typed Denied", () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider
        const error = yield* Effect.flip(signIn(flowOf(issuer), Person.deny))
        assert.deepInclude(error, { _tag: "LoginFailed", reason: "Denied", issuer })
      }).pipe(fresh)
    )

    it.effect("R2 two hundred fibers of two sources: one exchange", () =>
      Effect.gen(function* () {
        const { flow, source, tokenRequests } = yield* session()
        const sibling = yield* TokenSource.make(flow)
        const refused = yield* source.token
        yield* sibling.token
        const asks = [source.renew, source.renewedSince(refused), sibling.renew, sibling.renewedSince(refused)] as const
        yield* Effect.all(
          Array.from({ length: 50 }, () => Effect.all(asks, { concurrency: "unbounded" })),
          { concurrency: "unbounded" }
        )
        assert.lengthOf(yield* tokenRequests, 1)
        assert.strictEqual((yield* whoAmI(source)).status, 200)
      }).pipe(fresh)
    )

    it.effect("C-17 X-06 A-46 a refresh token that was spent elsewhere: RefreshRefused, asked once", () =>
      Effect.gen(function* () {
        const { credential, source, tokenRequests } = yield* session()
        yield* source.renew
        const elsewhere = Effect.gen(function* () {
          yield* CredentialStore.use((store) => store.modify(credential.key, (slot) => slot.write(credential)))
          const { renew } = yield* TokenSource.make(flowOf(credential.key.issuer, credential.key.account))
          for (const _ of [1, 2]) {
            assert.deepInclude(yield* Effect.flip(renew), { _tag: "LoginRequired", reason: "RefreshRefused" })
          }
        })
        yield* fresh(elsewhere)
        assert.lengthOf(yield* tokenRequests, 2)
      }).pipe(fresh)
    )

    it.effect("a connection that breaks before the provider heard: the same token is replayed, and serves", () =>
      Effect.gen(function* () {
        const { provider, source, tokenRequests } = yield* session()
        yield* provider.failNext("/token", "reset")
        assert.deepInclude(yield* Effect.flip(source.renew), { _tag: "ProviderUnavailable", reason: "AnswerLost" })
        assert.strictEqual((yield* source.renew).credential.generation, 2)
        assert.deepStrictEqual(
          (yield* tokenRequests).map(({ status }) => status),
          ["reset", 200]
        )
        assert.strictEqual((yield* whoAmI(source)).status, 200)
      }).pipe(fresh)
    )

    it.effect(
      "R3 X-11 (law 1: replayed once, where X-11 says never) an answer that is lost: the replay is refused, RefreshUnfinished",
      () =>
        Effect.gen(function* () {
          const { provider, source, tokenRequests } = yield* session()
          yield* provider.failNext("/token", "lost")
          assert.deepInclude(yield* Effect.flip(source.renew), { _tag: "ProviderUnavailable", reason: "AnswerLost" })
          for (const _ of [1, 2]) {
            assert.deepInclude(yield* Effect.flip(source.renew), { _tag: "LoginRequired", reason: "RefreshUnfinished" })
          }
          assert.lengthOf(yield* tokenRequests, 2)
        }).pipe(fresh)
    )

    it.effect("R4 503 and a short 429 are waited out, and the session goes on", () =>
      Effect.gen(function* () {
        const { provider, source, tokenRequests } = yield* session()
        yield* provider.failNext("/token", { status: 503 })
        yield* provider.failNext("/token", { status: 429, headers: { "retry-after": "0" } })
        assert.strictEqual((yield* source.renew).credential.generation, 2)
        assert.deepStrictEqual(
          (yield* tokenRequests).map(({ status }) => status),
          [503, 429, 200]
        )
      }).pipe(fresh)
    )

    it.effect("R4 half an answer and a 500: typed, nobody is logged out", () =>
      Effect.gen(function* () {
        const { provider, source } = yield* session()
        const half = { status: 200, headers: { "content-type": "application/json" }, body: '{"access_token":"ab' }
        yield* provider.failNext("/token", half)
        assert.deepInclude(yield* Effect.flip(source.renew), { _tag: "AnswerRejected", reason: "Truncated" })
        yield* provider.failNext("/token", { status: 500 })
        assert.deepInclude(yield* Effect.flip(source.renew), { _tag: "ProviderUnavailable", reason: "ServerError" })
        assert.strictEqual((yield* whoAmI(source)).status, 200)
        assert.strictEqual((yield* source.renew).credential.generation, 2)
      }).pipe(fresh)
    )

    it.effect("R16 C-04 a 401 of the API renews once, for a herd too", () =>
      Effect.gen(function* () {
        const { provider, source, tokenRequests } = yield* session()
        yield* source.token
        for (const _ of [1, 2, 3]) yield* provider.failNext("/api/me", { status: 401 })
        // None goes on before all are refused: its next request would meet what is meant for another's first one.
        const allAre = yield* Deferred.make<void>()
        let refused = 0
        const http = HttpClient.transform(yield* HttpClient.HttpClient, (sent, { url }) =>
          Effect.tap(sent, () => {
            if (url !== provider.apiUrl || refused === 3) return Effect.void
            return ++refused === 3 ? Deferred.succeed(allAre, undefined) : Deferred.await(allAre)
          })
        )
        const answers = yield* Effect.all(
          [1, 2, 3].map(() => whoAmI(source)),
          { concurrency: 3 }
        ).pipe(Effect.provideService(HttpClient.HttpClient, http))
        assert.deepStrictEqual(
          answers.map(({ status }) => status),
          [200, 200, 200]
        )
        assert.lengthOf(yield* tokenRequests, 1)
      }).pipe(fresh)
    )

    it.effect("R15 alice and bob, signed in side by side, are never taken for one another", () =>
      Effect.gen(function* () {
        const [alice, bob] = [yield* session("alice"), yield* session("bob")]
        yield* Effect.all([alice.source.renew, bob.source.renew], { concurrency: 2 })
        assert.deepInclude((yield* whoAmI(alice.source)).body, { sub: "alice" })
        assert.deepInclude((yield* whoAmI(bob.source)).body, { sub: "bob" })
      }).pipe(fresh)
    )

    it.effect("after a logout the API refuses the token, and only a login helps", () =>
      Effect.gen(function* () {
        const { flow, source } = yield* session()
        yield* source.token
        assert.deepStrictEqual(yield* Logout.logout(flow), { removed: true, revoked: true })
        assert.deepInclude(yield* Effect.flip(whoAmI(source)), { _tag: "LoginRequired", reason: "NoCredential" })
        yield* signIn(flow, approving("alice"))
        assert.strictEqual((yield* whoAmI(source)).status, 200)
      }).pipe(fresh)
    )

    it.effect("C-16 R7 a machine's token is asked for once for all its runs on one store", () =>
      Effect.gen(function* () {
        const { clearRequests, issuer, requests } = yield* EmbeddedProvider
        yield* clearRequests
        const run = Effect.scoped(Effect.flatMap(TokenSource.make(machineOf(issuer)), whoAmI))
        for (const _ of [1, 2, 3]) assert.deepInclude((yield* run).body, { sub: "billing", token: "jwt" })
        assert.lengthOf(
          (yield* requests).filter(({ path }) => path === "/token"),
          1
        )
      }).pipe(fresh)
    )

    it.effect("A-42 A-17 a wrong secret is a typed refusal; nothing is kept", () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider
        const flow = machineOf(issuer, "guess")
        assert.deepInclude(yield* Effect.flip((yield* TokenSource.make(flow)).token), {
          _tag: "ProviderRefused",
          reason: "InvalidClient"
        })
        assert.isTrue(Option.isNone(yield* CredentialStore.use((store) => store.get(flow.key))))
      }).pipe(fresh)
    )
  })
}
