/**
 * Thirty simulated days of a thousand credentials (simulatedFleet.ts), and what they cost; then a hundred thousand that are
 * merely kept warm, and how many timers sleep for that.
 *
 *     node packages/bench/src/thirtyDays.ts [CREDENTIALS] [DAYS]        after a build; default 1000 and 30
 */
import { Clock, DateTime, Effect, Layer, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { AccessToken, ClientCredentials, Credential, KeepWarm, type TokenSource } from "keyfob"
import { run } from "./simulatedFleet.ts"

Error.stackTraceLimit = 0
const credentials = Number(process.argv[2] ?? 1000)
const days = Number(process.argv[3] ?? 30)

const since = (start: number) => `${((performance.now() - start) / 1000).toFixed(1)} s`
let start = performance.now()
const { broken, ...figures } = await Effect.runPromise(
  run({ credentials, days }).pipe(Effect.provide(TestClock.layer()))
)
console.log(`${credentials} credentials, ${days} days: ${since(start)}, ${JSON.stringify(figures)}`)
console.log(broken.length === 0 ? "nothing was broken" : `broken: ${broken.length}\n${broken.slice(0, 10).join("\n")}`)
process.exitCode = broken.length === 0 ? 0 : 1

const many = 100_000
const endsAt = DateTime.makeUnsafe(24 * 3_600_000)
const token = AccessToken.make({ value: Redacted.make("-"), type: "Bearer", expiresAt: endsAt, scopes: [] })
let looks = 0
let asleep = 0
const sources = Array.from({ length: many }, (_, index): TokenSource.TokenSource => {
  const { key } = ClientCredentials.make({ issuer: "https://id.fleet.test", clientId: "fleet", account: String(index) })
  const credential = Credential.make({ key, generation: 1, token, issuedAt: DateTime.makeUnsafe(0) })
  const notAsked = Effect.die(new Error("nobody asks"))
  return {
    key,
    origin: { _tag: "Machine" },
    current: Effect.succeedSome(credential),
    token: notAsked,
    tokenValidFor: () => notAsked,
    renew: notAsked,
    renewedSince: () => notAsked,
    renewIfDue: Effect.sync(() => {
      looks++
      return { outcome: "fresh", credential } as const
    }),
    events: Stream.empty,
    observe: () => Effect.void
  }
})
start = performance.now()
const asleepOf = Effect.gen(function* () {
  const inner = yield* TestClock.testClockWith(Effect.succeed)
  const sleep: Clock.Clock["sleep"] = (duration) =>
    Effect.acquireUseRelease(
      Effect.sync(() => asleep++),
      () => inner.sleep(duration),
      () => Effect.sync(() => asleep--)
    )
  return yield* Effect.gen(function* () {
    yield* Layer.build(KeepWarm.layer(sources.map((source) => Effect.succeed(source))))
    for (;;) {
      yield* TestClock.adjust("1 second")
      if (looks >= many) break
    }
    yield* TestClock.adjust("1 minute")
    return asleep
  }).pipe(Effect.provideService(Clock.Clock, { ...inner, sleep }))
}).pipe(Effect.scoped, Effect.provide(TestClock.layer()))
console.log(`${many} kept warm: ${await Effect.runPromise(asleepOf)} timer(s) after ${since(start)}`)
