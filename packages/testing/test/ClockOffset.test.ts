import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { CredentialStore, DeviceCode, Login, TokenSource } from "keyfob"
import { Fault, patiently, SimulatedPerson, SimulatedProvider } from "../src/provider.ts"

class Api extends TokenSource.Service<Api>()("test/Api") {}

const scopes = ["openid", "offline_access"]
const flow = DeviceCode.make({ issuer: "https://id.simulated.test", clientId: "keyfob-cli", scopes })
const layerTest = Layer.mergeAll(Api.layerStored(flow), SimulatedPerson.layer()).pipe(
  Layer.provideMerge([CredentialStore.layerMemory, SimulatedProvider.layer({ accessTokenLifetime: "5 minutes" })])
)

it.effect.each([
  ["behind", Fault.clockAhead("10 minutes")],
  ["ahead", Fault.clockBehind("10 minutes")]
] as const)("a login with an ID token works on a machine whose clock is 10 minutes %s", ([, fault]) =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    yield* idp.faults(fault)
    yield* idp.approve("alice")
    const { account } = yield* patiently(Login.login(flow))
    assert.strictEqual(account?.sub, "alice")
    const api = yield* Api
    assert.isTrue(yield* idp.accepts(yield* api.token))
    assert.strictEqual((yield* api.renew).credential.account?.sub, "alice")
  }).pipe(Effect.provide(layerTest))
)

it.effect("keys are rotated when that was to be, whatever time the provider takes it for", () =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    const keys = Effect.andThen(
      idp.client.get(`${idp.issuer}/jwks`),
      Effect.map(idp.snapshot, ({ keys }) => keys.length)
    )
    yield* idp.faults(Fault.clockAhead("2 days"), Fault.keyRotation("1 hour"))
    assert.strictEqual(yield* keys, 1)
    yield* TestClock.adjust("1 hour")
    assert.strictEqual(yield* keys, 2)
  }).pipe(Effect.provide(SimulatedProvider.layer()))
)
