import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { AuthClient, CredentialStore, ProviderRegistry, RedirectReceiver, StoreFailed, UserPrompt } from "keyfob"
import { Provider } from "@keyfob/auki"
import { FakeAuki } from "@keyfob/auki/testing"
import { alice, base, counts, inTime, known } from "./given.ts"

const table = { type: "auki", ...base, email: alice.email, password: Redacted.value(alice.password) }
/** Nobody: the type asks no person. */
const nobody = Layer.mergeAll(Layer.mock(UserPrompt, {}), Layer.mock(RedirectReceiver, {}))
const clientOn = (store: Layer.Layer<CredentialStore>) =>
  AuthClient.layer({ contexts: { lab: { providers: { spaces: table } } } }).pipe(
    Layer.provide(ProviderRegistry.layer(Provider.type)),
    Layer.provideMerge(Layer.mergeAll(FakeAuki.layer(known), store, nobody))
  )
const client = clientOn(CredentialStore.layerMemory)

describe("a provider of type auki", () => {
  it.effect("signs in as often as somebody asks for it, out in between or not", () =>
    Effect.gen(function* () {
      const { login, logout, token } = yield* AuthClient
      yield* login("spaces")
      yield* login("spaces")
      yield* logout("spaces")
      yield* login("spaces")
      yield* token("spaces")
      assert.deepStrictEqual(yield* counts, [3, 0, 0, 0])
    }).pipe(Effect.provide(client))
  )

  it.effect("B-39 a session that the services ended is over at every level: nobody signs in unasked", () =>
    Effect.gen(function* () {
      const { login, provider, token } = yield* AuthClient
      const { chain } = yield* provider("spaces")
      const domain = yield* chain?.("domain", "a") ?? Effect.die("a provider without a chain")
      yield* login("spaces")
      yield* domain.token
      const { endSessions } = yield* FakeAuki
      endSessions()
      yield* TestClock.adjust("61 minutes")
      assert.deepInclude(yield* Effect.flip(domain.token), { _tag: "LoginRequired" })
      assert.deepInclude(yield* Effect.flip(token("spaces")), { _tag: "LoginRequired" })
      assert.deepStrictEqual((yield* counts)[0], 1)
    }).pipe(Effect.provide(client))
  )

  it.effect(
    "attack: R1 R3 a renewal that could not be written is the session at every level: none spends the one before",
    () => {
      let isFull = false
      const full = new StoreFailed({ reason: "Full", store: "test", location: "a place" })
      const store = Layer.effect(
        CredentialStore,
        CredentialStore.useSync(({ modify, ...store }) =>
          CredentialStore.make({
            ...store,
            modify: (key, change) =>
              modify(key, (slot) =>
                // The mark is written, and what comes of it is not.
                change({ ...slot, write: (one) => (isFull && one.spending === undefined ? full : slot.write(one)) })
              )
          })
        )
      ).pipe(Layer.provide(CredentialStore.layerMemory))
      return Effect.gen(function* () {
        const { login, provider, token } = yield* AuthClient
        const { chain } = yield* provider("spaces")
        const domain = yield* chain?.("domain", "a") ?? Effect.die("a provider without a chain")
        yield* login("spaces")
        yield* TestClock.adjust("61 minutes")
        isFull = true
        assert.deepStrictEqual(yield* inTime(Effect.flip(token("spaces"))), full)
        isFull = false
        yield* domain.token
        assert.deepStrictEqual(yield* counts, [1, 1, 1, 1])
      }).pipe(Effect.provide(clientOn(store)))
    }
  )

  it.effect("says why there is no token: nobody is signed in after a logout, and a refusal is the services' own", () =>
    Effect.gen(function* () {
      const { login, logout, token } = yield* AuthClient
      yield* login("spaces")
      yield* logout("spaces")
      assert.deepInclude(yield* Effect.flip(token("spaces")), { _tag: "LoginRequired", reason: "NoCredential" })
      yield* login("spaces")
      yield* TestClock.adjust("61 minutes")
      const { endSessions, next } = yield* FakeAuki
      next("/user/refresh", { status: 402, body: {} })
      assert.deepInclude(yield* Effect.flip(token("spaces")), { _tag: "ProviderRefused", status: 402 })
      yield* token("spaces")
      yield* TestClock.adjust("61 minutes")
      endSessions()
      for (const _ of ["at once", "and from then on"]) {
        assert.deepInclude(yield* Effect.flip(token("spaces")), { _tag: "LoginRequired", reason: "RefreshRefused" })
      }
    }).pipe(Effect.provide(client))
  )
})
