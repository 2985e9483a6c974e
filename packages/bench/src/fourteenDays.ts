/**
 * What two simulated weeks cost in a test: the test of packages/testing/test/FourteenDays.test.ts, repeated.
 *
 *     node packages/bench/src/fourteenDays.ts [ROUNDS]        after a build; default 20 rounds
 */
import { patiently, SimulatedPerson, SimulatedProvider } from "@keyfob/testing/Provider"
import { Effect, Layer, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { CredentialStore, DeviceCode, Login, TokenSource } from "keyfob"

class Api extends TokenSource.Service<Api>()("bench/Api") {}

const scopes = ["api:read", "offline_access"]
const flow = DeviceCode.make({ issuer: "https://id.simulated.test", clientId: "keyfob-cli", scopes })
const layerTest = Layer.mergeAll(Api.layerStored(flow), SimulatedPerson.layer()).pipe(
  Layer.provideMerge([CredentialStore.layerMemory, SimulatedProvider.layer({ accessTokenLifetime: "1 day" })]),
  Layer.provide(TestClock.layer())
)

const fourteenDays = Effect.gen(function* () {
  const idp = yield* SimulatedProvider
  const api = yield* Api
  yield* idp.approve("alice")
  yield* patiently(Login.login(flow))
  yield* idp.outage({ from: "3 days", for: "14 hours" })
  yield* Effect.forkChild(Effect.repeat(Effect.ignore(api.token), Schedule.spaced("10 hours")))
  yield* TestClock.adjust("14 days")
  yield* idp.revokeAll
  yield* TestClock.adjust("1 day")
  return yield* Effect.flip(api.token)
}).pipe(Effect.provide(layerTest, { local: true }), Effect.provide(TestClock.layer()), Effect.scoped)

const rounds = Number(process.argv[2] ?? 20)
const times: Array<number> = []
for (let round = 0; round < rounds; round++) {
  const start = performance.now()
  const end = await Effect.runPromise(fourteenDays)
  if (end._tag !== "LoginRequired") throw new Error(`ended with ${end._tag}`)
  times.push(performance.now() - start)
}
const sorted = times.toSorted((a, b) => a - b)
const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? NaN).toFixed(0)
console.log(
  `${rounds} rounds: first ${(times[0] ?? NaN).toFixed(0)} ms, best ${at(0)}, median ${at(0.5)}, worst ${at(1)}`
)
