import { assert, describe, it } from "@effect/vitest"
import { runKeyfob } from "@keyfob/cli/testing"
import { clients, Fault, SimulatedProvider } from "@keyfob/testing"
import { Clock, Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

const parse = (text: string) => JSON.parse(text)

/** Alice at `work`, and a provider nobody ever signed in to. */
const signedIn = Effect.gen(function* () {
  const idp = yield* SimulatedProvider
  const keyfob = yield* runKeyfob.make
  yield* idp.approve("alice", { after: "10 seconds" })
  const provider = ["--issuer", idp.issuer, "--client-id", clients.cli.client_id, "--scope", "openid offline_access"]
  assert.strictEqual((yield* keyfob(["login", "work", ...provider])).exitCode, 0)
  assert.strictEqual((yield* keyfob(["context", "add", "other", "idle", ...provider])).exitCode, 0)
  return { idp, keyfob }
})

describe("keepalive", () => {
  it.effect(
    "keeps a session alive that would end if nobody used it, at one exchange a run",
    () =>
      Effect.gen(function* () {
        const { idp, keyfob } = yield* signedIn
        assert.deepStrictEqual(parse((yield* keyfob(["keepalive", "-o", "json"])).stdout), [
          { context: "default", provider: "work", outcome: "fresh" }
        ])
        const before = (yield* idp.requests).length
        for (let week = 0; week < 6; week++) {
          yield* TestClock.adjust("7 days")
          const { exitCode, stdout } = yield* keyfob(["keepalive", "--all", "-o", "json"])
          assert.strictEqual(exitCode, 0)
          assert.deepStrictEqual(
            parse(stdout).map(({ outcome }: { outcome: string }) => outcome),
            ["renewed", "fresh"]
          )
        }
        const exchanges = (yield* idp.requests).slice(before).filter(({ path }) => path === "/token")
        assert.strictEqual(exchanges.length, 6)
        assert.isTrue(yield* idp.accepts((yield* keyfob(["token", "work"])).stdout.trim()))
      }).pipe(Effect.provide(SimulatedProvider.layer({ accessTokenLifetime: "20 days", refreshTokenIdle: "14 days" }))),
    120_000
  )

  it.effect(
    "ends well where the next run may mend it, and with 3 where a person must log in",
    () =>
      Effect.gen(function* () {
        const { idp, keyfob } = yield* signedIn
        yield* TestClock.adjust("2 hours")
        yield* idp.faults(Fault.outage({ for: "1 hour" }))
        const away = yield* keyfob(["keepalive", "-o", "json"])
        assert.strictEqual(away.exitCode, 0)
        assert.deepInclude(parse(away.stdout)[0], { provider: "work", outcome: "failed" })
        assert.strictEqual(parse(away.stdout)[0].error.retry, "retry")
        yield* TestClock.adjust("2 hours")
        yield* idp.revokeAll
        const over = yield* keyfob(["keepalive"])
        assert.strictEqual(over.exitCode, 3)
        assert.match(over.stdout, /^work: failed \(the provider ended the session/)
        assert.match(over.stderr, /keyfob login work/)
        assert.strictEqual((yield* keyfob(["keepalive"])).exitCode, 3)
      }).pipe(Effect.provide(SimulatedProvider.layer())),
    120_000
  )
})

it.effect(
  "R2 several at once, of keepalive and refresh: one exchange, the others adopt what it brought or find it there",
  () =>
    Effect.gen(function* () {
      const { idp, keyfob } = yield* signedIn
      yield* TestClock.adjust("2 hours")
      const before = (yield* idp.requests).length
      const runs = [["keepalive"], ["refresh"], ["refresh", "work"]].flatMap((args) => [args, args])
      const results = yield* Effect.forEach(runs, (args) => keyfob([...args, "-o", "json"]), { concurrency: 6 })
      const outcomes = results.map(({ stdout }) => parse(stdout)[0].outcome)
      assert.lengthOf(
        outcomes.filter((outcome) => outcome === "renewed"),
        1
      )
      for (const outcome of outcomes) assert.include(["renewed", "adopted", "fresh"], outcome)
      const exchanges = (yield* idp.requests).slice(before).filter(({ path }) => path === "/token")
      assert.lengthOf(exchanges, 1)
    }).pipe(Effect.provide(SimulatedProvider.layer())),
  120_000
)

it.effect.each([["keepalive"], ["refresh"]])(
  "R2 %s: what a sibling renews between a look at the credential and the renewal is adopted, not renewed again",
  (args) =>
    Effect.gen(function* () {
      const { idp, keyfob } = yield* signedIn
      yield* TestClock.adjust("2 hours")
      const before = (yield* idp.requests).length
      const clock = yield* Clock.Clock
      const [reached, opened] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      // The first look at the time is for whether the credential that was just read is due.
      const waiting = Deferred.succeed(reached, undefined).pipe(
        Effect.andThen(Deferred.await(opened)),
        Effect.andThen(clock.currentTimeMillis)
      )
      const run = yield* Effect.forkChild(
        Effect.provideService(keyfob([...args, "-o", "json"]), Clock.Clock, { ...clock, currentTimeMillis: waiting })
      )
      yield* Deferred.await(reached)
      assert.include((yield* keyfob(["refresh"])).stdout, "renewed")
      yield* Deferred.succeed(opened, undefined)
      assert.strictEqual(parse((yield* Fiber.join(run)).stdout)[0].outcome, "adopted")
      const exchanges = (yield* idp.requests).slice(before).filter(({ path }) => path === "/token")
      assert.lengthOf(exchanges, 1)
    }).pipe(Effect.provide(SimulatedProvider.layer())),
  120_000
)

describe("schedule", () => {
  it.effect(
    "tells what comes, in order, and talks to nobody",
    () =>
      Effect.gen(function* () {
        const { idp, keyfob } = yield* signedIn
        const before = (yield* idp.requests).length
        const [status] = parse((yield* keyfob(["status", "-o", "json"])).stdout)
        const instants = parse((yield* keyfob(["schedule", "work", "--hours", "3", "-o", "json"])).stdout)
        assert.deepInclude(instants[0], { provider: "work", event: "refresh", at: status.refresh_at })
        assert.deepInclude(instants[1], { provider: "work", event: "expiry", at: status.expires_at })
        const refreshes = instants.filter(({ event }: { event: string }) => event === "refresh")
        assert.strictEqual(refreshes.length, 3)
        assert.deepStrictEqual(
          instants.map(({ at }: { at: string }) => at),
          instants.map(({ at }: { at: string }) => at).sort()
        )
        assert.match((yield* keyfob(["schedule"])).stdout, /^AT .*\n\S+Z +in \d+ min +work +refresh$/m)
        const idle = yield* keyfob(["schedule", "idle", "--context", "other", "-o", "json"])
        assert.deepInclude(parse(idle.stdout)[0], { provider: "idle", event: "login_required" })
        assert.strictEqual((yield* keyfob(["schedule", "--hours", "0"])).exitCode, 2)
        assert.strictEqual((yield* idp.requests).length, before)
      }).pipe(Effect.provide(SimulatedProvider.layer())),
    120_000
  )
})
