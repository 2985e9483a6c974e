import { assert, it } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { CredentialStore, DeviceCode, Login, TokenSource } from "keyfob"
import { patiently, SimulatedPerson, SimulatedProvider } from "../src/provider.ts"

class Api extends TokenSource.Service<Api>()("test/Api") {}

const scopes = ["api:read", "offline_access"]
const flow = DeviceCode.make({ issuer: "https://id.simulated.test", clientId: "keyfob-cli", scopes })
const layerTest = Layer.mergeAll(Api.layerStored(flow), SimulatedPerson.layer()).pipe(
  Layer.provideMerge([CredentialStore.layerMemory, SimulatedProvider.layer({ accessTokenLifetime: "1 day" })])
)

it.effect("stays signed in through an outage, and knows when it is over", () =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    const api = yield* Api
    yield* idp.approve("alice")
    yield* patiently(Login.login(flow))
    yield* idp.outage({ from: "3 days", for: "14 hours" })
    yield* Effect.forkChild(Effect.repeat(Effect.ignore(api.token), Schedule.spaced("10 hours")))
    yield* TestClock.adjust("14 days")
    assert.isTrue(yield* idp.accepts(yield* api.token))
    assert.strictEqual(yield* idp.liveRefreshTokens, 1)
    assert.isTrue((yield* idp.requests).some(({ outcome }) => outcome === "unreachable"))
    yield* idp.revokeAll
    yield* TestClock.adjust("1 day")
    assert.strictEqual((yield* Effect.flip(api.token))._tag, "LoginRequired")
  }).pipe(Effect.provide(layerTest))
)
