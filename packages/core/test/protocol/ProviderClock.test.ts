import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Effect, Logger } from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { CredentialStore } from "keyfob"
import type { Moment } from "../../src/Moment.ts"
import * as ProviderClock from "../../src/protocol/ProviderClock.ts"
import { answer, json, metadata, provider, type Reply, scripted } from "../scripted.ts"
import { credential, machine, person, source, tokens, write } from "../session/given.ts"
import { encode } from "./signing.ts"

const minutes = (count: number) => count * 60_000
const at = (wall: number, steady = wall): Moment => ({ wall, steady })

/** An answer of a provider whose clock is that far ahead of the test's. */
const dated =
  (ahead: number, reply: Reply = json({})): Reply =>
  (request) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.map(reply(request), (response) => {
        response.headers.set("date", new Date(now + ahead).toUTCString())
        return response
      })
    )

describe("ProviderClock", () => {
  describe("a measure", () => {
    it("is the middle of the second and of the round trip, give or take half of it and a second", () => {
      const measured = ProviderClock.measure(at(10_000), at(10_400), 70_000)
      assert.deepStrictEqual(measured, { offset: 60_300, uncertainty: 1200, at: at(10_400) })
    })

    it("holds what is true, wherever in the round trip the provider wrote the date", () => {
      for (const truth of [-600_000, -1, 0, 1, 600_000]) {
        for (const written of [0, 1, 499, 999, 1500, 2000]) {
          const date = Math.floor((50_000 + written + truth) / 1000) * 1000
          const { offset, uncertainty } = ProviderClock.measure(at(50_000), at(52_000), date)
          assert.isAtMost(Math.abs(offset - truth), uncertainty)
        }
      }
    })

    it("holds it too where the clock was set, or the machine slept, while the answer was under way", () => {
      const set = ProviderClock.measure(at(0, 0), at(minutes(10), 100), minutes(10))
      assert.isAtMost(Math.abs(set.offset), set.uncertainty)
      const back = ProviderClock.measure(at(minutes(10), 0), at(0, 100), 0)
      assert.isAtMost(Math.abs(back.offset), back.uncertainty)
    })

    it("gives way to a more certain one, not to a less certain one; with time, clocks drift, to that too", () => {
      const quick = ProviderClock.measure(at(0), at(100), 0)
      const slow = ProviderClock.measure(at(1000), at(9000), 0)
      assert.strictEqual(ProviderClock.better(undefined, slow), slow)
      assert.strictEqual(ProviderClock.better(slow, quick), quick)
      assert.strictEqual(ProviderClock.better(quick, slow), quick)
      const later = ProviderClock.measure(at(minutes(2000)), at(minutes(2000) + 8000), 0)
      assert.strictEqual(ProviderClock.better(quick, later), later)
    })

    it("counts where it exceeds its uncertainty, up to a day", () => {
      const of = (offset: number) => ProviderClock.offsetAt({ offset, uncertainty: 1000, at: at(0) }, at(0))
      assert.deepStrictEqual(
        [0, 999, 1000, 1001, -1001, minutes(1440), minutes(1440) + 1, -minutes(1440) - 1].map(of),
        [0, 0, 0, 1001, -1001, minutes(1440), undefined, undefined]
      )
    })

    it("says nothing once the wall clock was set, the machine slept, or it was too slow; a slewing clock changes nothing", () => {
      const behind = { offset: minutes(10), uncertainty: 1000, at: at(0) }
      assert.strictEqual(ProviderClock.offsetAt(behind, at(minutes(60), minutes(60))), minutes(10))
      assert.strictEqual(ProviderClock.offsetAt(behind, at(minutes(60) + 500, minutes(60))), minutes(10))
      assert.isUndefined(ProviderClock.offsetAt(behind, at(minutes(70), minutes(60))))
      assert.isUndefined(ProviderClock.offsetAt(behind, at(minutes(50), minutes(60))))
      assert.isUndefined(ProviderClock.offsetAt(ProviderClock.measure(at(0), at(9000), minutes(10)), at(9000)))
    })
  })

  describe("what an answer teaches", () => {
    const url = "https://id.example/x"
    const learning = (reply: Reply, method: "get" | "post" = "post") =>
      Effect.gen(function* () {
        const { clock, http } = yield* ProviderClock.observing(yield* HttpClient.HttpClient, "id.example")
        yield* Effect.ignore(http[method](url))
        return yield* clock.offset
      }).pipe(Effect.provide(scripted({ [url]: reply }).layer))
    const headers = (more: Readonly<Record<string, string>>, status = 200): Reply =>
      dated(minutes(10), answer(null, { status, headers: more }))

    it.effect.each([
      ["an answer to a POST", headers({}), "post"],
      ["a refusal", headers({}, 401), "post"],
      ["an answer no cache may keep", headers({ "cache-control": "private, no-store" }), "get"]
    ] as const)("%s is believed", ([, reply, method]) =>
      Effect.gen(function* () {
        assert.closeTo((yield* learning(reply, method)) ?? 0, minutes(10), 1000)
      })
    )

    it.effect.each([
      ["one that a cache may have kept", headers({}), "get"],
      ["one that a cache has kept", headers({ age: "600", "cache-control": "no-store" }), "get"],
      ["a gateway's", headers({}, 503), "post"],
      ["one without a date", answer(null), "post"],
      ["one with something else for a date", answer(null, { headers: { date: "soon" } }), "post"]
    ] as const)("%s is not", ([, reply, method]) =>
      Effect.gen(function* () {
        assert.isUndefined(yield* learning(reply, method))
      })
    )

    const warnings = (ahead: number, times: number) =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const { http } = yield* ProviderClock.observing(yield* HttpClient.HttpClient, "id.example")
        yield* Effect.repeat(http.post(url), { times: times - 1 }).pipe(
          Effect.provide(
            Logger.layer([Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${String(message)}`))])
          )
        )
        return lines
      }).pipe(Effect.provide(scripted({ [url]: dated(ahead) }).layer))

    it.effect("a large offset is a warning, once, with the number and what to do", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* warnings(minutes(10), 3), [
          "Warn this machine's clock is 10m 1s behind the one of id.example. Keyfob allows for it, others will not: set it, for example with timedatectl set-ntp true"
        ])
        assert.match((yield* warnings(-minutes(10), 1))[0] ?? "", /is 10m ahead of the one/)
        assert.match((yield* warnings(minutes(3000), 1))[0] ?? "", /too much to allow for/)
        assert.deepStrictEqual(yield* warnings(50_000, 1), [])
      })
    )
  })

  describe("a token whose end only its JWT tells", () => {
    const jwt = (exp: number) => `${encode('{"alg":"none"}')}.${encode(JSON.stringify({ exp }))}.x`
    // The provider, ten minutes off, gives five minutes.
    const endsIn5 = (ahead: number): Reply =>
      dated(ahead, (request) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          json({ access_token: jwt((now + ahead) / 1000 + 300), token_type: "Bearer" })(request)
        )
      )

    it.effect.each([minutes(10), -minutes(10)])("ends when it does, by a clock %d ms off", (ahead) => {
      const http = scripted({ ...provider, [metadata.token_endpoint]: endsIn5(ahead) })
      return Effect.gen(function* () {
        yield* TestClock.setTime(minutes(100_000))
        const api = yield* source(machine)
        const { expiresAt } = yield* api.token
        assert.closeTo(expiresAt === undefined ? 0 : DateTime.toEpochMillis(expiresAt), minutes(100_005), 1500)
        yield* api.token
        assert.lengthOf(http.to(metadata.token_endpoint), 1)
        yield* TestClock.adjust("5 minutes")
        yield* api.token
        assert.lengthOf(http.to(metadata.token_endpoint), 2)
      }).pipe(Effect.provide([http.layer, CredentialStore.layerMemory]))
    })
  })

  it.effect("two hosts whose clocks differ share a credential: its times are read by the clock that wrote them", () => {
    const http = scripted({
      ...provider,
      [metadata.token_endpoint]: [2, 3, 4].map(
        (generation): Reply =>
          (request) =>
            Effect.provideService(dated(0, tokens(generation))(request), Clock.Clock, atProvider)
      )
    })
    let atProvider: Clock.Clock
    return Effect.gen(function* () {
      atProvider = yield* Clock.Clock
      yield* TestClock.setTime(minutes(100_000))
      yield* write(credential())
      const right = yield* source(person)
      const behind = yield* source(person)
      const slow = Effect.provideService(Clock.Clock, shifted(atProvider, -minutes(10)))
      yield* right.renew
      yield* slow(behind.renew)
      assert.strictEqual(yield* right.text, "access-3")
      yield* TestClock.adjust("52 minutes")
      // By the slow host's own clock it would have ended two minutes ago.
      assert.strictEqual(yield* right.text, "access-3")
      assert.strictEqual(yield* slow(behind.text), "access-3")
      assert.lengthOf(http.to(metadata.token_endpoint), 2)
      yield* TestClock.adjust("8 minutes")
      assert.strictEqual(yield* right.text, "access-4")
    }).pipe(Effect.provide([http.layer, CredentialStore.layerMemory]))
  })

  it.effect("dates that contradict each other by more than a day move no token's end", () => {
    const hours = (count: number) => minutes(60 * count)
    const http = scripted({
      ...provider,
      [metadata.token_endpoint]: [dated(hours(20), tokens(2)), dated(hours(-20), tokens(3))]
    })
    return Effect.gen(function* () {
      yield* TestClock.setTime(minutes(100_000))
      yield* write(credential())
      const one = yield* source(person)
      const other = yield* source(person)
      yield* one.renew
      yield* other.renew
      assert.strictEqual(yield* one.text, "access-3")
      assert.lengthOf(http.to(metadata.token_endpoint), 2)
    }).pipe(Effect.provide([http.layer, CredentialStore.layerMemory]))
  })
})

/** The clock of a machine that is that far ahead. */
const shifted = (clock: Clock.Clock, by: number): Clock.Clock => ({
  ...clock,
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + by,
  currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now + by)
})
