import { assert, describe, it } from "@effect/vitest"
import { Fault, patiently, SimulatedPerson } from "@keyfob/testing/Provider"
import { Duration, Effect, Fiber, Layer, Redacted, Runtime, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { CredentialStore, Login, TokenSource } from "keyfob"
import { Aqt, Arnica, type Settings } from "../src/index.ts"
import { arnicaUrl, FakeArnica, is, jobId, machine, state } from "./FakeArnica.ts"
import { settingsOf } from "./settings.ts"

class Tokens extends TokenSource.Service<Tokens>()("test/aqt") {}

const given = (overrides: Partial<typeof Settings.Encoded> = {}) => {
  const flow = Aqt.flow(settingsOf(overrides), "test")
  return Arnica.layer(Tokens, { arnicaUrl }).pipe(
    Layer.provideMerge(Tokens.layerStored(flow)),
    Layer.provideMerge([CredentialStore.layerMemory, SimulatedPerson.layer()]),
    Layer.provideMerge(FakeArnica.layer())
  )
}
const asMachine = given(machine)
const withApiToken = Arnica.layerApiToken(Redacted.make("static-token"), { arnicaUrl }).pipe(
  Layer.provideMerge(FakeArnica.layer())
)
const queued = is({ status: "queued" })
const ongoing = is({ status: "ongoing", finished_count: 1 })
const finished = is({
  status: "finished",
  result: {
    0: [
      [0, 1],
      [1, 1]
    ]
  }
})

describe("a job's state", () => {
  it.effect("comes with a token that is fetched first (A-29, A-67)", () =>
    Effect.gen(function* () {
      const { jobs, seen } = yield* FakeArnica
      jobs(ongoing)
      const { job, response } = yield* (yield* Arnica).fetchJobState(jobId)
      assert.strictEqual(job.job_id, jobId)
      assert.deepStrictEqual(response, { status: "ongoing", finished_count: 1 })
      assert.deepStrictEqual(
        seen.map(({ path }) => path),
        ["/oauth/token", "/.well-known/jwks.json", `/api/v1/result/${jobId}`]
      )
    }).pipe(Effect.provide(asMachine))
  )

  it.effect("comes with a token that somebody was given, and nobody fetches one (A-29)", () =>
    Effect.gen(function* () {
      const { brought, jobs, seen } = yield* FakeArnica
      jobs(queued)
      yield* (yield* Arnica).fetchJobState(jobId)
      assert.deepStrictEqual(brought, ["static-token"])
      assert.strictEqual(seen.length, 1)
    }).pipe(Effect.provide(withApiToken))
  )

  it.effect("is not to be had where nobody is signed in (A-29)", () =>
    Effect.gen(function* () {
      const { seen } = yield* FakeArnica
      const error = yield* Effect.flip((yield* Arnica).fetchJobState(jobId))
      assert.strictEqual(error._tag, "LoginRequired")
      assert.strictEqual(seen.length, 0)
    }).pipe(Effect.provide(given()))
  )

  const answers = [
    [401, "NotAuthenticated", 3],
    [403, "Denied", 4],
    [404, "NotFound", 2],
    [410, "Expired", 2],
    [422, "InvalidId", 2],
    [500, "ServerError", 5],
    [503, "Overloaded", 5],
    [418, "Other", 5]
  ] as const
  for (const [status, reason, exitCode] of answers) {
    it.effect(`${status} is ${reason} (A-55, A.8#12)`, () =>
      Effect.gen(function* () {
        const { jobs } = yield* FakeArnica
        jobs({ status, body: { message: "canary" } })
        const error = yield* Effect.flip((yield* Arnica).fetchJobState(jobId))
        assert.strictEqual(error._tag, "JobUnavailable")
        assert.deepInclude(error, { reason, status })
        assert.strictEqual(error[Runtime.errorExitCode], exitCode)
        assert.notInclude(error.message, "canary")
      }).pipe(Effect.provide(asMachine))
    )
  }

  it.effect("is not made of what is no job's state, nor of no connection (A-55)", () =>
    Effect.gen(function* () {
      const { jobs } = yield* FakeArnica
      const { fetchJobState } = yield* Arnica
      const reasonOf = Effect.map(Effect.flip(fetchJobState(jobId)), (error) => "reason" in error && error.reason)
      for (const body of [undefined, [], {}, { job: {} }, { ...state({ status: "lost" }) }]) {
        jobs({ status: 200, body })
        assert.strictEqual(yield* reasonOf, "Malformed")
      }
      jobs("reset")
      assert.strictEqual(yield* reasonOf, "Unreachable")
    }).pipe(Effect.provide(asMachine))
  )

  it.effect("is asked for by a job's id alone, which no path can be made of", () =>
    Effect.gen(function* () {
      const { seen } = yield* FakeArnica
      const { fetchJobState } = yield* Arnica
      for (const id of ["", "../../v1/me", `${jobId}/x`, "1"]) {
        const error = yield* Effect.flip(fetchJobState(id))
        assert.deepInclude(error, { _tag: "JobUnavailable", reason: "InvalidId", jobId: "" })
      }
      assert.strictEqual(seen.length, 0)
    }).pipe(Effect.provide(asMachine))
  )

  it.effect("is asked for below arnica_url, with a slash at its end or without", () =>
    Effect.gen(function* () {
      const { jobs, seen } = yield* FakeArnica
      jobs(queued)
      const slashed = Arnica.layerApiToken(Redacted.make("static-token"), { arnicaUrl: `${arnicaUrl}/` })
      yield* Arnica.use(({ fetchJobState }) => fetchJobState(jobId)).pipe(Effect.provide(slashed))
      assert.strictEqual(seen[0]?.path, `/api/v1/result/${jobId}`)
    }).pipe(Effect.provide(FakeArnica.layer()))
  )

  it.effect("is asked for over https alone, or on this machine", () =>
    Effect.gen(function* () {
      const layerAt = (arnicaUrl: string) => Layer.build(Arnica.layerApiToken(Redacted.make("token"), { arnicaUrl }))
      assert.deepInclude(yield* Effect.flip(layerAt("http://arnica.test/api")), { reason: "InsecureUrl" })
      assert.deepInclude(yield* Effect.flip(layerAt("arnica.test")), { reason: "InvalidValue" })
      yield* layerAt("http://127.0.0.1:8080")
    }).pipe(Effect.provide(FakeArnica.layer()))
  )

  it.effect("renews a token that Arnica refuses, once (A-30)", () =>
    Effect.gen(function* () {
      const { brought, jobs } = yield* FakeArnica
      const { fetchJobState } = yield* Arnica
      jobs(queued)
      yield* fetchJobState(jobId)
      jobs({ status: 401 }, queued)
      yield* fetchJobState(jobId)
      assert.strictEqual(new Set(brought).size, 2)
      jobs({ status: 401 })
      const error = yield* Effect.flip(fetchJobState(jobId))
      assert.deepInclude(error, { reason: "NotAuthenticated" })
      assert.strictEqual(brought.length, 5, "one, then refused and renewed, then refused, renewed and refused")
    }).pipe(Effect.provide(asMachine))
  )

  it.effect("is not asked for again and again with a token that comes back the same (A-32)", () =>
    Effect.gen(function* () {
      const { brought, idp, jobs } = yield* FakeArnica
      const access_token = Redacted.value((yield* (yield* Tokens).token).value)
      const body = { access_token, token_type: "Bearer", expires_in: 3600 }
      yield* idp.faults(Fault.onRequest({ endpoint: "token", times: 9 }, Fault.answer({ status: 200, body })))
      jobs({ status: 401 })
      const error = yield* Effect.flip((yield* Arnica).fetchJobState(jobId))
      assert.deepInclude(error, { reason: "NotAuthenticated" })
      assert.deepStrictEqual(brought, [access_token, access_token])
    }).pipe(Effect.provide(asMachine))
  )

  it.effect("with a token that somebody was given renews nothing (A-33)", () =>
    Effect.gen(function* () {
      const { brought, jobs } = yield* FakeArnica
      jobs({ status: 401 })
      const error = yield* Effect.flip((yield* Arnica).fetchJobState(jobId))
      assert.deepInclude(error, { reason: "NotAuthenticated" })
      assert.strictEqual(brought.length, 1)
    }).pipe(Effect.provide(withApiToken))
  )

  it.effect(
    "is not what another server answers that a token was sent on to, be it a token that somebody was given",
    () => {
      const followed: Array<unknown> = []
      const fetch = (_: unknown, init?: RequestInit) => {
        followed.push(init?.redirect)
        return Promise.resolve(Response.redirect("https://evil.example/", 302))
      }
      const given = Layer.provide(Arnica.layerApiToken(Redacted.make("canary"), { arnicaUrl }), FetchHttpClient.layer)
      return Effect.gen(function* () {
        const error = yield* Effect.flip((yield* Arnica).fetchJobState(jobId))
        assert.deepInclude(error, { reason: "Other", status: 302 })
        assert.deepStrictEqual(followed, ["manual"])
      }).pipe(Effect.provide(given), Effect.provideService(FetchHttpClient.Fetch, fetch))
    }
  )

  it.effect("of a person whose session has ended is a login that is needed (A-31)", () =>
    Effect.gen(function* () {
      const { idp, jobs } = yield* FakeArnica
      yield* idp.approve("alice")
      yield* patiently(Login.login(Aqt.flow(settingsOf(), "test")))
      const { fetchJobState } = yield* Arnica
      jobs(queued)
      yield* fetchJobState(jobId)
      yield* idp.revokeAll
      jobs({ status: 401 })
      assert.strictEqual((yield* Effect.flip(fetchJobState(jobId)))._tag, "LoginRequired")
    }).pipe(Effect.provide(given()))
  )
})

describe("waiting for a job's end", () => {
  const waited = Effect.fnUntraced(function* (options?: Parameters<Arnica["Service"]["waitForFinalState"]>[1]) {
    const fiber = yield* Effect.forkChild(Effect.exit((yield* Arnica).waitForFinalState(jobId, options)))
    yield* TestClock.adjust("2 hours")
    return yield* Effect.flatten(Fiber.join(fiber))
  })

  it.effect("asks until there is one, and tells of each state on the way (A-29, A-36, A-67)", () =>
    Effect.gen(function* () {
      const { jobs } = yield* FakeArnica
      jobs(queued, ongoing, ongoing, finished)
      const { progress } = yield* Arnica
      const fiber = yield* Effect.forkChild(Stream.runCollect(progress(jobId)))
      yield* TestClock.adjust("10 seconds")
      const states = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        [...states].map(({ response }) => response.status),
        ["queued", "ongoing", "ongoing", "finished"]
      )
      const { response } = yield* waited()
      assert.deepStrictEqual(response, {
        status: "finished",
        result: {
          0: [
            [0, 1],
            [1, 1]
          ]
        }
      })
    }).pipe(Effect.provide(asMachine))
  )

  it.effect("waits between two requests for the interval, give or take half of it", () =>
    Effect.gen(function* () {
      const { brought, jobs } = yield* FakeArnica
      jobs(queued)
      const fiber = yield* Effect.forkChild((yield* Arnica).waitForFinalState(jobId, { interval: "10 seconds" }))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(brought.length, 1)
      yield* TestClock.adjust("10 minutes")
      assert.isAtLeast(brought.length, 41)
      assert.isAtMost(brought.length, 122)
      const counts = new Set<number>()
      for (let minute = 0; minute < 20; minute++) {
        const before = brought.length
        yield* TestClock.adjust("1 minute")
        counts.add(brought.length - before)
      }
      assert.isAbove(counts.size, 1, "chance has a part in it")
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(asMachine))
  )

  it.effect("survives no network and an overloaded server, and gives up in time (A-67)", () =>
    Effect.gen(function* () {
      const { brought, jobs } = yield* FakeArnica
      jobs("reset", { status: 503 }, queued, finished)
      assert.strictEqual((yield* waited()).response.status, "finished")
      const before = brought.length
      jobs(queued)
      const error = yield* Effect.flip(waited({ attempts: 7 }))
      assert.deepInclude(error, { _tag: "JobUnavailable", reason: "NotFinished" })
      assert.strictEqual(brought.length - before, 7)
    }).pipe(Effect.provide(asMachine))
  )

  it.effect("survives a provider that is down when the token is due, and one that is silent", () =>
    Effect.gen(function* () {
      const { idp, jobs } = yield* FakeArnica
      yield* idp.outage({ for: "30 minutes" })
      jobs("silent", queued, finished)
      assert.strictEqual((yield* waited({ interval: "1 minute" })).response.status, "finished")
    }).pipe(Effect.provide(asMachine))
  )

  it.effect("ends with what does not pass (A-34)", () =>
    Effect.gen(function* () {
      const { jobs } = yield* FakeArnica
      for (const [status, reason] of [
        [404, "NotFound"],
        [410, "Expired"],
        [422, "InvalidId"],
        [500, "ServerError"],
        [403, "Denied"]
      ] as const) {
        jobs(queued, { status })
        assert.deepInclude(yield* Effect.flip(waited()), { reason })
      }
    }).pipe(Effect.provide(asMachine))
  )

  it.effect("renews as often as the token ends, and counts its attempts over all of it (A-35, A.8#12)", () =>
    Effect.gen(function* () {
      const { brought, jobs } = yield* FakeArnica
      jobs(queued, { status: 401 }, queued, { status: 401 }, ongoing, finished)
      assert.strictEqual((yield* waited({ attempts: 4 })).response.status, "finished")
      assert.strictEqual(new Set(brought).size, 3)
    }).pipe(Effect.provide(asMachine))
  )

  it.effect("is as long as the token lives and longer (A.8#11)", () =>
    Effect.gen(function* () {
      const { brought, jobs } = yield* FakeArnica
      jobs(queued)
      const fiber = yield* Effect.forkChild(
        Effect.ignore((yield* Arnica).waitForFinalState(jobId, { interval: Duration.minutes(10) }))
      )
      yield* TestClock.adjust("3 hours")
      assert.isAtLeast(new Set(brought).size, 2)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(asMachine))
  )
})
