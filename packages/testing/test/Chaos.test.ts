/** Keyfob under random fault plans: whatever happens, it comes out of it signed in, with one refresh token. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { CredentialStore, DeviceCode, Login, TokenSource } from "keyfob"
import { clients, patiently, print, SimulatedPerson, SimulatedProvider } from "../src/provider.ts"

const flow = DeviceCode.make({
  issuer: "https://id.simulated.test",
  clientId: clients.cli.client_id,
  scopes: ["openid", "offline_access"]
})
const layer = SimulatedPerson.layer().pipe(Layer.provideMerge([CredentialStore.layerMemory, SimulatedProvider.layer()]))

/** A token is asked for, now and then; what comes is good, and what fails is a failure that passes. */
const use = Effect.fnUntraced(function* (source: TokenSource.TokenSource) {
  const idp = yield* SimulatedProvider
  const result = yield* Effect.result(source.token)
  if (result._tag === "Success") return assert.isTrue(yield* idp.accepts(result.success), "a token that is no good")
  assert.strictEqual(result.failure._tag, "ProviderUnavailable")
})

const days = (seed: string) =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    yield* idp.approve("alice")
    yield* patiently(Login.login(flow))
    yield* idp.chaos(seed, { over: "3 days", count: 40 })
    // Two programs on one store.
    const users = yield* Effect.forEach(["50 minutes", "70 minutes"] as const, (every) =>
      Effect.gen(function* () {
        const source = yield* TokenSource.make(flow)
        return yield* Effect.forkScoped(Effect.repeat(use(source), Schedule.spaced(Duration.fromInputUnsafe(every))))
      })
    )
    yield* TestClock.adjust("4 days")
    for (const user of users) assert.isUndefined(user.pollUnsafe()?.toString())
    yield* idp.recover
    yield* patiently(use(yield* TokenSource.make(flow)))
    const refreshes = (yield* idp.requests).filter(({ grant }) => grant === "refresh_token")
    assert.strictEqual(yield* idp.liveRefreshTokens, 1, refreshes.slice(-8).map(print).join("\n"))
    assert.deepStrictEqual(
      (yield* idp.families).map(({ ended }) => ended),
      [undefined]
    )
  }).pipe(Effect.provide(layer, { local: true }), Effect.scoped)

describe("four days of trouble", () => {
  for (let seed = 1; seed <= 12; seed++) it.effect(`plan ${seed}`, () => days(String(seed)))
})
