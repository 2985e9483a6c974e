import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { AuthClient, CredentialStore, ProviderRegistry, RedirectReceiver, UserPrompt } from "keyfob"
import { Provider } from "@keyfob/auki"
import { FakeAuki } from "@keyfob/auki/testing"
import { alice, base, counts, known } from "./given.ts"

const table = { type: "auki", ...base, email: alice.email, password: Redacted.value(alice.password) }
/** Nobody: the type asks no person. */
const nobody = Layer.mergeAll(Layer.mock(UserPrompt, {}), Layer.mock(RedirectReceiver, {}))
const client = AuthClient.layer({ contexts: { lab: { providers: { spaces: table } } } }).pipe(
  Layer.provide(ProviderRegistry.layer(Provider.type)),
  Layer.provideMerge(Layer.mergeAll(FakeAuki.layer(known), CredentialStore.layerMemory, nobody))
)

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
