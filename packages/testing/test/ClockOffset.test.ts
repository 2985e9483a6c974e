import { assert, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer } from "effect"
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

it.effect.each([
  ["before, and goes ahead", [Fault.clockAhead("2 days"), Fault.keyRotation("1 hour")]],
  ["after, and goes ahead", [Fault.keyRotation("1 hour"), Fault.clockAhead("2 days")]],
  ["after, and goes back", [Fault.keyRotation("1 hour"), Fault.clockBehind("2 days")]],
  ["later, and goes back", [Fault.keyRotation("1 hour"), Fault.clockBehind("2 days", "90 minutes")]]
] as const)("keys are rotated when that was to be, whatever time the provider takes it for: set %s", ([, faults]) =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    const keys = Effect.andThen(
      idp.client.get(`${idp.issuer}/jwks`),
      Effect.map(idp.snapshot, ({ keys }) => keys.length)
    )
    for (const fault of faults) yield* idp.faults(fault)
    assert.strictEqual(yield* keys, 1)
    yield* TestClock.adjust("2 hours")
    assert.strictEqual(yield* keys, 2)
  }).pipe(Effect.provide(SimulatedProvider.layer()))
)

it.effect.each(["told", "asked"])("a person who was %s before the clock was set back acts all the same", (before) =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    yield* TestClock.adjust("2 hours")
    if (before === "told") yield* idp.approve("alice")
    const login = yield* Effect.forkChild(Login.login(flow))
    yield* TestClock.adjust("1 second")
    yield* idp.faults(Fault.clockBehind("1 hour"))
    if (before === "asked") yield* idp.approve("alice")
    const began = yield* Clock.currentTimeMillis
    const { account } = yield* patiently(Fiber.join(login))
    assert.strictEqual(account?.sub, "alice")
    assert.isBelow((yield* Clock.currentTimeMillis) - began, 60_000)
  }).pipe(Effect.provide(layerTest))
)
