import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import {
  AuthorizedHttpClient,
  CredentialStore,
  DeviceCode,
  Login,
  Logout,
  TokenSource,
  Userinfo,
  OAuthClient
} from "keyfob"
import {
  clients,
  Fault,
  patiently,
  type PersonScript,
  type ProviderOptions,
  SimulatedPerson,
  SimulatedProvider
} from "../src/provider.ts"

const flow = DeviceCode.make({
  issuer: "https://id.simulated.test",
  clientId: clients.cli.client_id,
  scopes: ["openid", "offline_access", "email"]
})

const layer = (script?: PersonScript, options?: ProviderOptions) =>
  SimulatedPerson.layer(script).pipe(
    Layer.provideMerge([CredentialStore.layerMemory, SimulatedProvider.layer(options)])
  )

describe("a person in front of a Keyfob login", () => {
  it.effect("types the code they were shown, in their time", () =>
    Effect.gen(function* () {
      const { account } = yield* patiently(Login.login(flow))
      assert.strictEqual(account?.sub, "bob")
      assert.strictEqual(yield* Clock.currentTimeMillis, 60_000)
      const [prompt] = yield* (yield* SimulatedPerson).shown
      assert.match(prompt?.userCode ?? "", /^[A-Z]{4}-[A-Z]{4}$/)
    }).pipe(Effect.provide(layer({ person: "bob", after: "59 seconds" })))
  )

  it.effect("says no", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(patiently(Login.login(flow)))
      assert.deepInclude(error, { _tag: "LoginFailed", reason: "Denied" })
    }).pipe(Effect.provide(layer({ person: "bob", decision: "deny" })))
  )

  it.effect("is one the provider knows, or there is no test", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.provide(Effect.void, layer({ person: "alcie" })))
      assert.match(String(exit), /nobody is called alcie at the simulated provider; there are alice, bob/)
    })
  )

  it.effect("is away, and the code expires", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(patiently(Login.login(flow)))
      assert.deepInclude(error, { _tag: "LoginFailed", reason: "Expired" })
      assert.strictEqual(yield* Clock.currentTimeMillis, 600_000)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("goes through everything Keyfob can do", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.approve("alice")
      yield* patiently(Login.login(flow))
      const source = yield* TokenSource.make(flow)
      const client = yield* OAuthClient.make(flow.client)
      assert.strictEqual((yield* Userinfo.request(client, yield* source.token, "alice"))["email"], "alice@example.com")
      const http = yield* AuthorizedHttpClient.make(Effect.succeed(source), { origins: [idp.issuer] })
      assert.strictEqual((yield* http.get(idp.apiUrl)).status, 200)
      yield* idp.rotateKeys
      yield* source.renew
      assert.strictEqual((yield* http.get(idp.apiUrl)).status, 200)
      yield* idp.faults(Fault.onRequest({ grant: "refresh_token" }, Fault.answer({ status: 503 })))
      yield* TestClock.adjust("2 hours")
      yield* patiently(source.token)
      yield* idp.expectRequests([{ outcome: 200 }, { outcome: 503 }, { outcome: 200 }], { grant: "refresh_token" })
      const { revoked } = yield* Logout.logout(flow)
      assert.isTrue(revoked)
      assert.strictEqual(yield* idp.liveRefreshTokens, 0)
      assert.deepStrictEqual(
        (yield* idp.families).map(({ ended }) => ended?.because),
        ["revoked"]
      )
    }).pipe(Effect.provide(layer()), Effect.scoped)
  )
})
