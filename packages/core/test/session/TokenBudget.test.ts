import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Layer, Logger, Redacted } from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import {
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  Login,
  Logout,
  TokenBudget,
  TokenSource
} from "keyfob"
import { issuer, json, metadata, provider, refused, type Reply, scripted, status } from "../scripted.ts"
import { storeFailed } from "./given.ts"

const budget = { limit: 10, per: "30 days" } as const
const machine = (...scopes: ReadonlyArray<string>) =>
  ClientCredentials.make({ issuer, clientId: "billing", scopes, budget })

const scene = (reply: Reply | ReadonlyArray<Reply> = json({ access_token: "at", expires_in: 3600 })) => {
  const said: Array<string> = []
  const http = scripted({ ...provider, [metadata.token_endpoint]: reply, [metadata.revocation_endpoint]: status(200) })
  const logger = Logger.layer([Logger.make(({ message }) => void said.push(String(message)))])
  return { said, http, layer: Layer.mergeAll(CredentialStore.layerMemory, http.layer, logger) }
}

const spent = Effect.map(TokenBudget.spent(machine().key, budget), ({ used }) => used)

describe("TokenBudget", () => {
  it.effect("R7 C-16 many processes with one store: one request for each expiry, and each is counted", () => {
    const { http, layer, said } = scene()
    return Effect.gen(function* () {
      assert.strictEqual(yield* spent, 0)
      // Each knows nothing but the store.
      const processes = yield* Effect.forEach(Array.from({ length: 10 }), () => TokenSource.make(machine("read")))
      for (let hour = 1; hour <= 3; hour++) {
        yield* Effect.forEach(processes, ({ token }) => token, { concurrency: "unbounded" })
        assert.lengthOf(http.to(metadata.token_endpoint), hour)
        assert.strictEqual(yield* spent, hour)
        yield* TestClock.adjust("1 hour")
      }
      assert.deepStrictEqual(said, [])
      assert.lengthOf(yield* CredentialStore.use(({ list }) => list), 1)
    }).pipe(Effect.provide(layer), Effect.scoped)
  })

  it.effect(
    "warns from four fifths on, with numbers and a remedy, and stops nobody; the next period is a new one",
    () => {
      const { http, layer, said } = scene()
      return Effect.gen(function* () {
        yield* TestClock.setTime(1_000_000)
        // The client's, whatever it asks for; a logout takes nothing back.
        for (let request = 1; request <= 12; request++) {
          const flow = machine(`scope-${request % 3}`)
          yield* Login.login(flow)
          if (request === 5) yield* Logout.logout(flow)
          assert.lengthOf(said, Math.max(0, request - 7))
        }
        assert.lengthOf(http.to(metadata.token_endpoint), 12)
        const until = DateTime.formatIso(DateTime.makeUnsafe(1_000_000 + 30 * 86_400_000))
        assert.include(said[0], `8 of 10 token requests of client billing are spent until ${until}`)
        assert.include(said[0], "share one store")
        assert.deepInclude(yield* TokenBudget.spent(machine().key, budget), { used: 12, limit: 10, isLow: true })
        yield* TestClock.adjust("30 days")
        assert.strictEqual(yield* spent, 0)
        yield* Login.login(machine("read"))
        assert.deepInclude(yield* TokenBudget.spent(machine().key, budget), { used: 1, isLow: false })
        assert.lengthOf(said, 5)
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("a request that is refused is one as well", () => {
    const { layer } = scene(refused("invalid_client", 401))
    return Effect.gen(function* () {
      yield* Effect.flip(Login.login(machine()))
      assert.strictEqual(yield* spent, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("each request that is sent counts: a second try of one, and a renewal by refresh token", () => {
    const brought = json({ access_token: "at", expires_in: 3600, refresh_token: "rt" })
    const { http, layer } = scene([status(503), brought, brought])
    return Effect.gen(function* () {
      const { token } = yield* TokenSource.make(machine())
      const first = yield* Effect.forkChild(token)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(first)
      assert.strictEqual(yield* spent, 2)
      yield* TestClock.adjust("1 hour")
      yield* token
      assert.deepStrictEqual(
        http.to(metadata.token_endpoint).map(({ form }) => form["grant_type"]),
        ["client_credentials", "client_credentials", "refresh_token"]
      )
      assert.strictEqual(yield* spent, 3)
    }).pipe(Effect.provide(layer), Effect.scoped)
  })

  it.effect("and nothing else does that is posted on the way: to who says whose client it is", () => {
    const platform = "https://platform.example/token"
    const assertion = HttpClient.HttpClient.use((http) => http.post(platform)).pipe(
      Effect.orDie,
      Effect.as(Redacted.make("a.b.c"))
    )
    const authentication = ClientAuthentication.clientAssertion(assertion)
    const tokenEndpoint = `${metadata.token_endpoint}?tenant=1`
    const http = scripted({ [platform]: status(200), [tokenEndpoint]: json({ access_token: "at", expires_in: 3600 }) })
    return Effect.gen(function* () {
      const endpoints = { token_endpoint: tokenEndpoint }
      yield* Login.login(ClientCredentials.make({ issuer, clientId: "billing", budget, authentication, endpoints }))
      assert.lengthOf(http.to(platform), 1)
      assert.strictEqual(yield* spent, 1)
    }).pipe(Effect.provide(Layer.merge(CredentialStore.layerMemory, http.layer)))
  })

  it.effect("a clock that is set back, or is another host's, takes no request back, and makes no period longer", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      for (const second of [1000, 990, 1010]) {
        yield* TestClock.setTime(second * 1000)
        yield* Login.login(machine())
      }
      assert.strictEqual(yield* spent, 3)
      yield* TestClock.setTime(990_000 + 30 * 86_400_000)
      assert.strictEqual(yield* spent, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("who cannot count has a token all the same, and without a budget nothing is counted", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      const store = yield* CredentialStore
      const broken = CredentialStore.make({
        ...store,
        modify: (key, use) => (key.use === "token_requests" ? storeFailed("Full") : store.modify(key, use))
      })
      yield* Effect.provideService(Login.login(machine()), CredentialStore, broken)
      const hanging = CredentialStore.make({
        ...store,
        modify: (key, use) => (key.use === "token_requests" ? Effect.never : store.modify(key, use))
      })
      const waiting = yield* Effect.forkChild(Effect.provideService(Login.login(machine()), CredentialStore, hanging))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(waiting)
      yield* Login.login(ClientCredentials.make({ issuer, clientId: "billing" }))
      assert.strictEqual(yield* spent, 0)
    }).pipe(Effect.provide(layer))
  })
})
