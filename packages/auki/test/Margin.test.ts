import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { CredentialStore } from "keyfob"
import { Auki, Settings } from "@keyfob/auki"
import { FakeAuki, type FakeAukiOptions } from "@keyfob/auki/testing"
import { alice, base, counts, domain, known, nextProcess, scene, tokenOf } from "./given.ts"

const at = (seconds: number) => TestClock.setTime(seconds * 1000)
const world = (options: FakeAukiOptions = {}) =>
  Layer.fresh(Layer.merge(FakeAuki.layer({ ...known, ...options }), CredentialStore.layerMemory))
const withMargin = (refresh_threshold_ms: number) => ({ ...alice, refresh_threshold_ms })

const long = 360_000
/** What is asked for at a level, and lives which alone of all ends in an hour. */
const levels = {
  network: [
    Auki.use(({ network }) => Effect.map(network.token, (token) => tokenOf({ token }))),
    { discoveryLife: long, domainLife: long }
  ],
  discovery: [
    Auki.use(({ discovery }) => Effect.map(discovery.token, (token) => tokenOf({ token }))),
    { networkLife: long, domainLife: long }
  ],
  domain: [Effect.map(domain("a"), tokenOf), { networkLife: long, discoveryLife: long }]
} as const

describe("refresh_threshold_ms", () => {
  for (const [level, [ask, lives]] of Object.entries(levels)) {
    const instants: ReadonlyArray<readonly [string, number | undefined, number, "old" | "next"]> = [
      ["before it, the token of before", 300_000, 3239, "old"],
      ["exactly at it, the next", 300_000, 3300, "next"],
      ["past it, the next", 300_000, 3500, "next"],
      ["without one, the token of before", undefined, 3500, "old"],
      ["at 0, the token of before too", 0, 3500, "old"],
      ["at 0, the next from the computed point on", 0, 3540, "next"]
    ]
    it.effect.each(instants)(`B-04 B-11 R5 ${level}, of an hour: %s`, ([, margin, seconds, which]) =>
      Effect.gen(function* () {
        const settings = margin === undefined ? alice : withMargin(margin)
        const first = yield* nextProcess(settings, ask)
        yield* at(seconds)
        const second = yield* nextProcess(settings, ask)
        assert.strictEqual(second === first ? "old" : "next", which)
      }).pipe(Effect.provide(world(lives)))
    )
  }

  const timings: ReadonlyArray<readonly [string, number, readonly [number, number]]> = [
    ["of five minutes, at the computed soft point, which is earlier", 300_000, [2700, 2880]],
    ["of twenty minutes, that long before its end, or up to a fifth of that earlier", 1_200_000, [2160, 2400]],
    ["of more than it lives, half its life before its end, or up to a fifth of that earlier", 1e15, [1440, 1800]]
  ]
  it.effect.each(timings)("B-11 B-21 a session of an hour that is in use is renewed, %s", ([, margin, [from, to]]) =>
    Effect.gen(function* () {
      const { network } = yield* Auki
      const { to: sentTo } = yield* FakeAuki
      yield* network.token
      let second = 0
      while (sentTo("/user/refresh").length === 0 && second < 3600) {
        yield* at(++second)
        yield* network.token
        yield* TestClock.adjust(1)
      }
      assert.isAtLeast(second, from)
      assert.isAtMost(second, to)
    }).pipe(Effect.provide(scene(withMargin(margin))))
  )

  it.effect(
    "B-11 a token that lives shorter is not renewed again and again: of a minute, it serves for 24 seconds or more",
    () =>
      Effect.gen(function* () {
        for (let second = 1; second <= 600; second++) {
          yield* at(second)
          for (const [ask] of Object.values(levels)) yield* ask
          assert.isFalse(yield* (yield* domain("a")).token.isExpired())
          yield* TestClock.adjust(1)
        }
        for (const count of (yield* counts).slice(1)) {
          assert.isAtLeast(count, 600 / 31)
          assert.isAtMost(count, 600 / 24 + 1)
        }
      }).pipe(Effect.provide(scene(withMargin(300_000), { networkLife: 60, discoveryLife: 60, domainLife: 60 })))
  )

  it.effect("is that of the settings in use, whatever they were when the token was had", () =>
    Effect.gen(function* () {
      const [ask] = levels.domain
      const first = yield* nextProcess(withMargin(300_000), ask)
      yield* at(3400)
      assert.strictEqual(yield* nextProcess(alice, ask), first)
      assert.notStrictEqual(yield* nextProcess(withMargin(300_000), ask), first)
    }).pipe(Effect.provide(world({ networkLife: long, discoveryLife: long })))
  )

  it.effect("takes nothing from a session that nothing renews", () => {
    const opaque = { method: "opaque", token: Redacted.make("given"), expiry_ms: 3_600_000 } as const
    return Effect.gen(function* () {
      const { network } = yield* Auki
      yield* network.token
      yield* at(3500)
      yield* network.token
      const [kept] = yield* CredentialStore.use(({ list }) => list)
      assert.deepStrictEqual([kept?.generation, kept?.signedInAt?.epochMilliseconds], [1, 0])
    }).pipe(Effect.provide(scene({ ...opaque, refresh_threshold_ms: 300_000 })))
  })

  it.effect.each([-1, Number.NaN, Infinity, -Infinity])("%d is none, and said to be none", (refresh_threshold_ms) =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(Effect.provide(Auki, scene({ ...alice, refresh_threshold_ms })))
      assert.deepInclude(failure, { _tag: "ConfigurationInvalid", reason: "InvalidValue" })
      assert.include(failure.message, "refresh_threshold_ms: milliseconds, from 0 on")
      const table = { ...base, email: alice.email, refresh_threshold_ms }
      const wrong = yield* Effect.flip(Schema.decodeUnknownEffect(Settings)(table))
      assert.include(String(wrong), "milliseconds, from 0 on")
    })
  )
})
