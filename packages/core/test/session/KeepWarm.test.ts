import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Effect, Exit, Layer, Metric, Option, Redacted, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  ClientAuthentication,
  ClientCredentials,
  Credential,
  CredentialKey,
  CredentialStore,
  KeepWarm,
  Login,
  RefreshPolicy,
  TokenSource
} from "keyfob"
import { issuer, json, metadata, provider, refused, type Reply, scripted, status } from "../scripted.ts"
import { credential, kept, machine, observed, person, remove, tokens, write } from "./given.ts"

const scene = (replies: Reply | ReadonlyArray<Reply>) => {
  const store = observed()
  const http = scripted({ ...provider, [metadata.token_endpoint]: replies })
  return { store, http, sent: () => http.to(metadata.token_endpoint), layer: Layer.merge(store.layer, http.layer) }
}
const minute = 60_000
/** Second by second, so that answers, which take promises, come in time. */
const pass = (seconds: number) => Effect.repeat(TestClock.adjust("1 second"), { times: seconds - 1 })
const warm = (...sources: ReadonlyArray<TokenSource.TokenSource>) =>
  Effect.map(Layer.build(KeepWarm.layer(sources.map(Effect.succeed))), (context) =>
    Effect.provide(
      KeepWarm.useSync((kept) => kept),
      context
    )
  ).pipe(Effect.flatten)

/** What is told, as it comes. */
const telling = Effect.fnUntraced(function* (service: KeepWarm["Service"]) {
  const told: Array<string> = []
  yield* Effect.forkScoped(
    Stream.runForEach(service.events, (event) =>
      Effect.sync(() => void told.push("error" in event ? `${event._tag} ${event.error.reason}` : event._tag))
    ),
    { startImmediately: true }
  )
  return told
})

/** The test's clock with a wall clock that can be set: timers and the steady clock do not notice. */
const settable = Clock.clockWith((inner) => {
  let offset = 0
  const clock: Clock.Clock = {
    ...inner,
    currentTimeMillisUnsafe: () => inner.currentTimeMillisUnsafe() + offset,
    currentTimeMillis: Effect.sync(() => inner.currentTimeMillisUnsafe() + offset)
  }
  return Effect.succeed({ clock, set: (by: number) => Effect.sync(() => void (offset += by)) })
})

describe("KeepWarm", { timeout: 60_000 }, () => {
  it.effect("renews at the soft point though nobody asks, and for as long as the scope is open", () => {
    const { layer, sent } = scene((request) => tokens(sent().length)(request))
    return Effect.gen(function* () {
      const source = yield* TokenSource.make(machine)
      const scope = yield* Scope.make()
      yield* Scope.provide(warm(source), scope)
      yield* TestClock.adjust("10 hours")
      // 45 to 48 minutes of each hour, and the first at once
      assert.isAtLeast(sent().length, 13)
      assert.isAtMost(sent().length, 14)
      yield* Scope.close(scope, Exit.void)
      const before = sent().length
      yield* TestClock.adjust("10 hours")
      assert.lengthOf(sent(), before)
    }).pipe(Effect.provide(layer))
  })

  it.effect("what is there and not due is left alone", () => {
    const { http, layer } = scene([])
    return Effect.gen(function* () {
      yield* write(credential())
      yield* warm(yield* TokenSource.make(person))
      yield* TestClock.adjust("44 minutes")
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("what somebody renewed before its time is not renewed again at the old one", () => {
    const { layer, sent } = scene((request) => tokens(sent().length)(request))
    return Effect.gen(function* () {
      const source = yield* TokenSource.make(machine)
      yield* warm(source)
      yield* TestClock.adjust("10 minutes")
      yield* source.renew
      yield* TestClock.adjust("44 minutes")
      assert.lengthOf(sent(), 2)
      yield* TestClock.adjust("5 minutes")
      assert.lengthOf(sent(), 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("and what somebody renewed to a shorter life is renewed at its new soft point", () => {
    const { layer, sent } = scene((request) => tokens(1, { expires_in: sent().length === 1 ? 36_000 : 600 })(request))
    return Effect.gen(function* () {
      const source = yield* TokenSource.make(machine)
      yield* warm(source)
      yield* TestClock.adjust("1 minute")
      yield* source.renew
      yield* TestClock.adjust("9 minutes")
      assert.lengthOf(sent(), 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a source that is added is kept warm until its own scope closes", () => {
    const { layer, sent } = scene((request) => tokens(sent().length)(request))
    return Effect.gen(function* () {
      const { add } = yield* warm()
      const gauge = Metric.value(Metric.gauge("keyfob_kept_warm", { description: "Credentials that are kept warm" }))
      yield* Effect.gen(function* () {
        yield* add(yield* TokenSource.make(machine))
        assert.strictEqual((yield* gauge).value, 1)
        yield* TestClock.adjust("2 hours")
      }).pipe(Effect.scoped)
      assert.strictEqual((yield* gauge).value, 0)
      const before = sent().length
      assert.isAtLeast(before, 3)
      yield* TestClock.adjust("2 hours")
      assert.lengthOf(sent(), before)
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "2,000 credentials sleep in one timer (100,000: packages/bench/src/thirtyDays.ts)",
    () =>
      Effect.gen(function* () {
        const { layer } = scene([])
        const model = yield* TokenSource.make(machine).pipe(Effect.provide(layer))
        let asleep = 0
        let looks = 0
        const counting = yield* Clock.clockWith((inner) =>
          Effect.succeed<Clock.Clock>({
            ...inner,
            sleep: (duration) =>
              Effect.acquireUseRelease(
                Effect.sync(() => asleep++),
                () => inner.sleep(duration),
                () => Effect.sync(() => asleep--)
              )
          })
        )
        const sources = Array.from({ length: 2000 }, (_, index): TokenSource.TokenSource => {
          const key = CredentialKey.make({ ...machine.key, account: `account ${index}` })
          const found = credential(1, { key })
          const renewIfDue = Effect.sync(() => {
            looks++
            return { outcome: "fresh", credential: found } as const
          })
          return { ...model, key, renewIfDue, observe: () => Effect.void }
        })
        yield* Effect.gen(function* () {
          yield* warm(...sources)
          yield* TestClock.adjust("1 minute")
          assert.strictEqual(looks, 2000)
          assert.strictEqual(asleep, 1)
        }).pipe(Effect.provideService(Clock.Clock, counting))
      }),
    60_000
  )

  describe("a clock that jumps", () => {
    const jumping = Effect.fnUntraced(function* (by: number) {
      const { clock, set } = yield* settable
      const { layer, sent } = scene((request) => tokens(sent().length)(request))
      return yield* Effect.gen(function* () {
        yield* warm(yield* TokenSource.make(machine))
        yield* TestClock.adjust("10 minutes")
        assert.lengthOf(sent(), 1)
        yield* set(by)
        const since = yield* TestClock.testClockWith((clock) => Effect.succeed(clock.currentTimeMillisUnsafe()))
        yield* TestClock.adjust("3 hours")
        return sent()
          .slice(1)
          .map(({ at }) => Math.round((at - since) / minute))
      }).pipe(Effect.provide(layer), Effect.provideService(Clock.Clock, clock))
    })

    it.effect("forward, as after a suspend: what is due by then is renewed within a minute, and once", () =>
      Effect.gen(function* () {
        const [first, second] = yield* jumping(8 * 60 * minute)
        assert.isAtMost(first ?? Infinity, 2)
        assert.isAtLeast((second ?? 0) - (first ?? 0), 45)
      })
    )

    it.effect("back: the token is renewed when its time has passed, whatever the wall clock says", () =>
      Effect.gen(function* () {
        const [first, second] = yield* jumping(-5 * 60 * minute)
        assert.isAtLeast(first ?? 0, 34)
        assert.isAtMost(first ?? Infinity, 40)
        assert.isAtLeast((second ?? 0) - (first ?? 0), 45)
      })
    )
  })

  describe("trouble", () => {
    const away = "https://away.example"
    const many = (count: number, at: string) =>
      Array.from({ length: count }, (_, index) =>
        ClientCredentials.make({ issuer: at, clientId: "app", account: `account ${index}` })
      )
    const metadataOf = (at: string) => json(JSON.parse(JSON.stringify(metadata).replaceAll(issuer, at)))

    it.effect(
      "R4 a provider that is down is left alone, nobody else waits for it, and all are there when it is back",
      () => {
        let down = false
        const http = scripted({
          ...provider,
          [metadata.token_endpoint]: tokens(1, { refresh_token: undefined }),
          [`${away}/.well-known/openid-configuration`]: metadataOf(away),
          [`${away}/token`]: (request) => (down ? status(500) : tokens(1, { refresh_token: undefined }))(request)
        })
        return Effect.gen(function* () {
          const sources = yield* Effect.forEach([...many(60, away), ...many(5, issuer)], TokenSource.make)
          yield* warm(...sources)
          yield* TestClock.adjust("40 minutes")
          const there = http.to(`${away}/token`).length
          const here = http.to(metadata.token_endpoint).length
          assert.deepStrictEqual([there, here], [60, 5])
          down = true
          yield* TestClock.adjust("60 minutes")
          // Those that are due first meet it, each up to four times; then one at a time, ever more seldom.
          assert.isBelow(http.to(`${away}/token`).length - there, 140)
          assert.isAtLeast(http.to(metadata.token_endpoint).length - here, 5)
          down = false
          yield* TestClock.adjust("6 minutes")
          const again = http.to(`${away}/token`).length
          for (const source of sources) yield* source.token
          assert.lengthOf(http.to(`${away}/token`), again)
        }).pipe(Effect.provide(Layer.merge(http.layer, CredentialStore.layerMemory)))
      }
    )

    it.effect("of one provider, a few that are answered with nonsense hold nobody else up", () => {
      const http = scripted({
        ...provider,
        [metadata.token_endpoint]: (request) =>
          (request.headers["authorization"] === undefined ? json({}) : tokens(1, { expires_in: 600 }))(request)
      })
      const authentication = ClientAuthentication.secret(Redacted.make("secret"))
      return Effect.gen(function* () {
        const good = yield* TokenSource.make(ClientCredentials.make({ issuer, clientId: "good", authentication }))
        yield* warm(good, ...(yield* Effect.forEach(many(4, issuer), TokenSource.make)))
        yield* pass(2)
        for (let tenth = 0; tenth < 1200; tenth++) {
          yield* TestClock.adjust("6 seconds")
          const now = yield* Clock.currentTimeMillis
          assert.isTrue(Option.exists(yield* good.current, (one) => RefreshPolicy.isFresh(one, now)))
        }
      }).pipe(Effect.provide(Layer.merge(http.layer, CredentialStore.layerMemory)))
    })

    it.effect("R4 Retry-After holds for all credentials of the provider's", () => {
      let calls = 0
      const http = scripted({
        ...provider,
        [metadata.token_endpoint]: (request) =>
          calls++ === 0
            ? status(429, { "retry-after": "600" })(request)
            : tokens(1, { refresh_token: undefined })(request)
      })
      return Effect.gen(function* () {
        const { add } = yield* warm()
        const [first, ...others] = yield* Effect.forEach(many(50, issuer), TokenSource.make)
        if (first !== undefined) yield* add(first)
        yield* TestClock.adjust("10 seconds")
        yield* Effect.forEach(others, add)
        yield* TestClock.adjust("9 minutes")
        assert.strictEqual(calls, 1)
        yield* pass(120)
        assert.strictEqual(calls, 51)
      }).pipe(Effect.provide(Layer.merge(http.layer, CredentialStore.layerMemory)))
    })

    it.effect("a defect takes nobody down", () => {
      const { layer, sent } = scene((request) => tokens(sent().length)(request))
      return Effect.gen(function* () {
        const source = yield* TokenSource.make(machine)
        yield* warm({ ...source, renewIfDue: Effect.die(new Error("a bug")) }, source)
        yield* TestClock.adjust("2 hours")
        assert.isAtLeast(sent().length, 3)
      }).pipe(Effect.provide(layer))
    })

    it.effect("a store that fails is tried again, and told", () => {
      const { layer, sent, store } = scene((request) => tokens(sent().length + 1)(request))
      return Effect.gen(function* () {
        yield* write(credential())
        store.hooks.before = (operation) => (operation === "write 2" ? Effect.die(new Error("unplugged")) : Effect.void)
        yield* warm(yield* TokenSource.make(person))
        yield* TestClock.adjust("50 minutes")
        store.hooks.before = () => Effect.void
        yield* TestClock.adjust("6 minutes")
        assert.strictEqual((yield* kept())?.spending, null)
      }).pipe(Effect.provide(layer))
    })
  })

  describe("events", () => {
    it.effect("a login that is needed is told once; the one that comes is found, and kept warm", () => {
      const { layer } = scene([refused("invalid_grant"), tokens(10)])
      return Effect.gen(function* () {
        yield* write(credential())
        const service = yield* warm(yield* TokenSource.make(person))
        const told = yield* telling(service)
        yield* TestClock.adjust("2 hours")
        assert.deepStrictEqual(told, ["LoginRequired RefreshRefused"])
        yield* write(
          credential(9, {
            issuedAt: DateTime.makeUnsafe(2 * 60 * minute),
            token: Credential.make({ ...credential(9) }).token
          })
        )
        yield* remove()
        yield* write(Credential.make({ ...credential(9), issuedAt: DateTime.makeUnsafe(60 * minute) }))
        yield* TestClock.adjust("6 minutes")
        assert.deepStrictEqual(told.slice(1), ["Renewed"])
      }).pipe(Effect.provide(layer))
    })

    it.effect("what callers cause is told as well, by sources alone and by all that are kept warm", () => {
      const { layer } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const source = yield* TokenSource.make(person)
        const told = yield* telling(yield* warm(source))
        yield* TestClock.adjust("1 minute")
        yield* source.renew
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(told, ["Renewed"])
      }).pipe(Effect.provide(layer))
    })

    it.effect("a refresh token that ends for good is told ahead", () => {
      const hours = 3600
      const { layer } = scene([tokens(1, { expires_in: 30 * hours, refresh_token_expires_in: 20 * hours })])
      return Effect.gen(function* () {
        yield* Login.login(machine)
        yield* write(
          Credential.make({
            ...((yield* CredentialStore.use(({ list }) => list))[0] ?? credential()),
            refreshExpiryFixedSince: DateTime.makeUnsafe(0)
          })
        )
        const told = yield* telling(yield* warm(yield* TokenSource.make(machine)))
        yield* TestClock.adjust("15 hours")
        assert.deepStrictEqual(told, [])
        yield* TestClock.adjust("2 hours")
        assert.deepStrictEqual(told, ["RefreshTokenEndsSoon"])
        const next = yield* telling(yield* warm(yield* TokenSource.make(machine)))
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(next, ["RefreshTokenEndsSoon"], "by the next process too")
      }).pipe(Effect.provide(layer))
    })
  })
})
