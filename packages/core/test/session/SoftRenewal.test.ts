/** Between the soft and the hard point, and what a source tells of it. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber, Logger, Metric, Option, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Login, type TokenSource } from "keyfob"
import { refused, status } from "../scripted.ts"
import {
  credential,
  gate,
  kept,
  machine,
  minutes,
  remove,
  scene,
  source,
  storeFailed,
  tokens,
  withoutRefreshToken,
  write
} from "./given.ts"

const soft = 50 // minutes of the hour that `credential()` lives
const over = 60
/** What runs in the background has its turn; a moment passes. */
const meanwhile = TestClock.adjust("1 second")
/** What a source tells from now on. */
const telling = Effect.fnUntraced(function* ({ observe }: Pick<TokenSource.TokenSource, "observe">) {
  const told: Array<string> = []
  yield* observe((event) => {
    const { _tag } = event
    told.push("error" in event ? `${_tag} ${event.error.reason}` : _tag)
  })
  return told
})

describe("between the soft and the hard point", () => {
  it.effect(
    "B-21 a caller has the old token at once, one renewal runs in the background, the next caller has the new",
    () =>
      Effect.gen(function* () {
        const answering = yield* gate
        const { layer, sent } = scene([(request) => Effect.andThen(answering.pass, tokens(2)(request))])
        yield* Effect.gen(function* () {
          yield* write(credential())
          const { text } = yield* source()
          yield* minutes(soft)
          assert.strictEqual(yield* text, "access-1")
          yield* answering.arrived
          assert.strictEqual((yield* kept())?.spending, 1, "the mark stands")
          const callers = yield* Effect.all(
            Array.from({ length: 1000 }, () => text),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual([...new Set(callers)], ["access-1"], "nobody waits for the exchange")
          yield* answering.open
          yield* meanwhile
          assert.strictEqual(yield* text, "access-2")
          assert.lengthOf(sent(), 1)
        }).pipe(Effect.provide(layer))
      })
  )

  it.effect("callers meanwhile cost no fiber each", () =>
    Effect.gen(function* () {
      const answering = yield* gate
      const { layer } = scene([(request) => Effect.andThen(answering.pass, tokens(2)(request))])
      let started = 0
      const counting = { recordFiberStart: () => void started++, recordFiberEnd: () => {} }
      yield* Effect.gen(function* () {
        yield* write(credential())
        const { text } = yield* source()
        yield* minutes(soft)
        yield* text
        yield* answering.arrived
        const before = started
        yield* Effect.repeat(text, { times: 1000 })
        const after = started
        yield* answering.open
        yield* meanwhile
        assert.isAtMost(after - before, 10)
      }).pipe(Effect.provide(layer), Effect.provideService(Metric.FiberRuntimeMetrics, counting))
      assert.isAbove(started, 0)
    })
  )

  it.effect("before the soft point nothing runs", () => {
    const { http, layer } = scene([])
    return Effect.gen(function* () {
      yield* write(credential())
      const { text } = yield* source()
      yield* minutes(44)
      assert.strictEqual(yield* text, "access-1")
      yield* meanwhile
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("past the hard point a caller waits for the renewal that is under way", () =>
    Effect.gen(function* () {
      const answering = yield* gate
      const { layer, sent } = scene([(request) => Effect.andThen(answering.pass, tokens(2)(request))])
      yield* Effect.gen(function* () {
        yield* write(credential(1, { refreshAt: DateTime.makeUnsafe(3_500_000) }))
        const { text } = yield* source()
        yield* TestClock.setTime(3_525_000)
        assert.strictEqual(yield* text, "access-1")
        yield* answering.arrived
        yield* TestClock.adjust("10 seconds")
        const late = yield* Effect.forkChild(text, { startImmediately: true })
        assert.isUndefined(late.pollUnsafe())
        yield* answering.open
        assert.strictEqual(yield* Fiber.join(late), "access-2")
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("R4 a renewal that fails takes nothing away, and rests longer after each failure", () => {
    const { layer, sent } = scene(status(500))
    return Effect.gen(function* () {
      yield* write(credential())
      const { text } = yield* source()
      yield* minutes(soft)
      for (let second = 0; second < 480; second++) {
        assert.strictEqual(yield* text, "access-1")
        yield* TestClock.adjust("1 second")
      }
      const pauses = sent()
        .map(({ at }, index, all) => at - (all[index - 1]?.at ?? at))
        .slice(1)
      assert.isAtLeast(pauses.length, 4)
      assert.isAtMost(pauses.length, 8)
      assert.isTrue(
        pauses.every((pause, index) => pause >= Math.min(2500 * 2 ** index, 150_000)),
        pauses.join()
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("a client that is refused meanwhile asks no oftener, whoever looks at the token in between", () => {
    const { layer, sent } = scene(refused("invalid_client", 401))
    return Effect.gen(function* () {
      yield* write(credential())
      const made = yield* source()
      const told = yield* telling(made)
      yield* minutes(soft)
      for (let second = 0; second < 100; second++) {
        yield* made.current
        assert.strictEqual(yield* made.text, "access-1")
        yield* meanwhile
      }
      assert.isAtLeast(sent().length, 2)
      assert.isAtMost(sent().length, 7)
      assert.notInclude(told, "Adopted", "it is the token of before")
    }).pipe(Effect.provide(layer))
  })

  it.effect("R4 a store that cannot be read is told, and left alone for a while as well", () => {
    const { layer, store } = scene([])
    return Effect.gen(function* () {
      yield* write(credential())
      const made = yield* source()
      yield* made.text
      const told = yield* telling(made)
      yield* minutes(soft)
      store.journal.length = 0
      store.hooks.before = () => storeFailed("Unavailable")
      for (let second = 0; second < 100; second++) {
        assert.strictEqual(yield* made.text, "access-1")
        yield* meanwhile
      }
      assert.isAtLeast(store.journal.length, 2)
      assert.isAtMost(store.journal.length, 7)
      assert.deepStrictEqual([...new Set(told)], ["Transient Unavailable"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("R4 Retry-After holds in the background as well", () => {
    const { layer, sent } = scene([status(429, { "retry-after": "300" }), tokens(2)])
    return Effect.gen(function* () {
      yield* write(credential())
      const { text } = yield* source()
      yield* minutes(soft)
      for (let second = 0; second < 299; second++) {
        assert.strictEqual(yield* text, "access-1")
        yield* TestClock.adjust("1 second")
      }
      assert.lengthOf(sent(), 1)
      yield* TestClock.adjust("2 seconds")
      yield* text
      yield* meanwhile
      assert.strictEqual(yield* text, "access-2")
    }).pipe(Effect.provide(layer))
  })

  it.effect("R2 what a sibling renewed is adopted, and nobody is asked", () => {
    const { layer, sent } = scene([tokens(2)])
    return Effect.gen(function* () {
      yield* write(credential())
      const [one, two] = [yield* source(), yield* source()]
      yield* Effect.all([one.token, two.token])
      yield* minutes(soft)
      yield* Effect.all([one.token, two.token])
      yield* meanwhile
      assert.strictEqual(yield* one.text, "access-2")
      assert.strictEqual(yield* two.text, "access-2")
      assert.lengthOf(sent(), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a session that ended is told to the next caller, not when the old token is over", () => {
    const { layer } = scene([refused("invalid_grant")])
    return Effect.gen(function* () {
      yield* write(credential())
      const { text, token } = yield* source()
      yield* minutes(soft)
      assert.strictEqual(yield* text, "access-1")
      yield* meanwhile
      assert.deepInclude(yield* Effect.flip(token), { _tag: "LoginRequired", reason: "RefreshRefused" })
    }).pipe(Effect.provide(layer))
  })

  it.effect("X-03 what could not be saved in the background is saved before anything else is asked", () => {
    const { layer, sent, store } = scene([tokens(2)])
    return Effect.gen(function* () {
      yield* write(credential())
      const { text } = yield* source()
      yield* minutes(soft)
      store.hooks.before = (operation) => (operation === "write 2" ? storeFailed("Full") : Effect.void)
      assert.strictEqual(yield* text, "access-1")
      yield* TestClock.adjust("10 seconds")
      store.hooks.before = () => Effect.void
      yield* text
      yield* meanwhile
      assert.strictEqual(yield* text, "access-2")
      assert.deepInclude(yield* kept(), { generation: 2, refresh: "refresh-2", spending: null })
      assert.lengthOf(sent(), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a token that cannot be renewed is left alone until its end is near", () => {
    const { layer, store } = scene([])
    return Effect.gen(function* () {
      yield* write(withoutRefreshToken(credential()))
      const { text } = yield* source()
      yield* text
      store.journal.length = 0
      yield* minutes(soft)
      assert.strictEqual(yield* text, "access-1")
      yield* meanwhile
      assert.deepStrictEqual(store.journal, [])
    }).pipe(Effect.provide(layer))
  })

  it.effect("refresh_in of the provider's counts, be there an expires_in or not", () => {
    const { layer, sent } = scene([
      tokens(1, { refresh_in: 600 }),
      tokens(2, { refresh_in: "600", expires_in: undefined }),
      tokens(3)
    ])
    return Effect.gen(function* () {
      const { text } = yield* source(machine)
      for (const generation of [1, 2]) {
        assert.strictEqual(yield* text, `access-${generation}`)
        yield* TestClock.adjust("9 minutes")
        yield* text
        yield* meanwhile
        assert.lengthOf(sent(), generation)
        yield* TestClock.adjust("6 minutes")
        assert.strictEqual(yield* text, `access-${generation}`)
        yield* meanwhile
        assert.lengthOf(sent(), generation + 1)
      }
    }).pipe(Effect.provide(layer))
  })
})

describe("renewIfDue", () => {
  it.effect("renews past the soft point alone, adopts what is there, and says which", () => {
    const { layer, sent } = scene([tokens(2)])
    return Effect.gen(function* () {
      yield* write(credential())
      const [one, two] = [yield* source(), yield* source()]
      assert.strictEqual((yield* one.renewIfDue).outcome, "fresh")
      yield* two.renewIfDue
      yield* minutes(soft)
      assert.strictEqual((yield* one.renewIfDue).outcome, "renewed")
      assert.strictEqual((yield* two.renewIfDue).outcome, "adopted")
      assert.strictEqual((yield* two.renewIfDue).outcome, "fresh")
      assert.lengthOf(sent(), 1)
    }).pipe(Effect.provide(layer))
  })
})

describe("a machine's credential with a refresh token", () => {
  it.effect("is renewed with it", () => {
    const { layer, sent } = scene([tokens(1), tokens(2)])
    return Effect.gen(function* () {
      const { text } = yield* source(machine)
      yield* text
      yield* minutes(over)
      assert.strictEqual(yield* text, "access-2")
      assert.deepInclude(sent()[1]?.form, { grant_type: "refresh_token", refresh_token: "refresh-1" })
    }).pipe(Effect.provide(layer))
  })

  it.effect.each([
    ["dead", "invalid_grant"],
    ["not for this client", "unauthorized_client"]
  ] as const)("R4 R7 B-40 that is %s: the flow runs again by itself, in the same call", ([, code]) => {
    const { layer, sent } = scene([tokens(1), refused(code), tokens(2)])
    return Effect.gen(function* () {
      const { text } = yield* source(machine)
      yield* text
      yield* minutes(over)
      assert.strictEqual(yield* text, "access-2")
      assert.deepStrictEqual(
        sent().map(({ form }) => form["grant_type"]),
        ["client_credentials", "refresh_token", "client_credentials"]
      )
      const { generation, refused } = (yield* kept(machine.key)) ?? {}
      assert.deepStrictEqual({ generation, refused }, { generation: 2, refused: false })
    }).pipe(Effect.provide(layer))
  })
})

describe("R7 C-16 a machine's token is cached across processes until it is due", () => {
  it.effect("one token request for five sources on one store, one after the other and together", () => {
    const { layer, sent } = scene([tokens(1), tokens(2)])
    return Effect.gen(function* () {
      for (const _ of [1, 2, 3]) {
        assert.strictEqual(yield* Effect.scoped(Effect.flatMap(source(machine), ({ text }) => text)), "access-1")
        yield* TestClock.adjust("10 minutes")
      }
      const together = yield* Effect.all([source(machine), source(machine)])
      yield* Effect.all(
        together.map(({ text }) => text),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(sent(), 1)
    }).pipe(Effect.provide(layer))
  })
})

describe("R2 one refresh", { timeout: 60_000 }, () => {
  it.effect("for 10,000 fibers on an expired token", () => {
    const { layer, sent } = scene([tokens(2)])
    return Effect.gen(function* () {
      yield* write(credential())
      yield* minutes(over)
      const { text } = yield* source()
      const texts = yield* Effect.all(
        Array.from({ length: 10_000 }, () => text),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([...new Set(texts)], ["access-2"])
      assert.lengthOf(sent(), 1)
    }).pipe(Effect.provide(layer))
  })
})

describe("a scope that closes", () => {
  it.effect("X-04 X-12 waits for a commit, but not for one that never ends", () => {
    const { layer, store } = scene([tokens(2)])
    return Effect.gen(function* () {
      yield* write(credential())
      yield* minutes(over)
      const saving = yield* gate
      store.hooks.before = (operation) => (operation === "write 2" ? saving.pass : Effect.void)
      const scope = yield* Scope.make()
      const { token } = yield* Scope.provide(source(), scope)
      yield* Effect.forkChild(Effect.exit(token))
      yield* saving.arrived
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.isDefined(closing.pollUnsafe())
      yield* saving.open
      yield* meanwhile
      assert.deepInclude(yield* kept(), { generation: 2, refresh: "refresh-2" }, "it goes on while the process lives")
    }).pipe(Effect.provide(layer))
  })

  it.effect("X-12 before the exchange of a renewal in the background began: nothing is sent, no mark is left", () => {
    const { layer, sent } = scene([])
    return Effect.gen(function* () {
      yield* write(credential())
      yield* minutes(soft)
      const text = yield* Effect.scoped(Effect.flatMap(source(), ({ text }) => text))
      assert.strictEqual(text, "access-1")
      yield* meanwhile
      assert.lengthOf(sent(), 0)
      assert.isNull((yield* kept())?.spending)
    }).pipe(Effect.provide(layer))
  })
})

describe("what a source tells", () => {
  it.effect("of renewals, adoptions, trouble that passes, and of a login that is needed: once", () => {
    const { layer } = scene([tokens(2), status(500), refused("invalid_grant")])
    return Effect.gen(function* () {
      yield* write(credential())
      const [one, two] = [yield* source(), yield* source()]
      yield* Effect.all([one.token, two.token])
      const [first, second] = [yield* telling(one), yield* telling(two)]
      yield* one.renew
      yield* two.renew
      yield* Effect.exit(one.renew)
      for (const _ of [1, 2, 3]) yield* Effect.exit(one.renew)
      assert.deepStrictEqual(first, ["Renewed", "Transient ServerError", "LoginRequired RefreshUnfinished"])
      assert.deepStrictEqual(second, ["Adopted"])
      yield* remove()
      yield* Effect.exit(one.token)
      yield* write(credential(9, { issuedAt: DateTime.makeUnsafe(0) }))
      yield* one.token
      yield* remove()
      yield* Effect.exit(one.token)
      assert.deepStrictEqual(first.slice(3), ["LoginRequired NoCredential", "Adopted", "LoginRequired NoCredential"])
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "an observer that throws spoils nothing for callers and other observers; it is logged, without its words",
    () => {
      const { layer } = scene([tokens(2)])
      const logged: Array<string> = []
      const logger = Logger.layer([Logger.make(({ cause, message }) => void logged.push(`${message} ${cause}`))])
      return Effect.gen(function* () {
        yield* write(credential())
        const made = yield* source()
        yield* made.observe(() => {
          throw new Error("canary")
        })
        const told = yield* telling(made)
        assert.strictEqual((yield* made.renew).outcome, "renewed")
        assert.deepStrictEqual(told, ["Renewed"])
        assert.lengthOf(logged, 1)
        assert.match(logged.join(), /^an observer of token events threw/)
        assert.notInclude(logged.join(), "canary")
      }).pipe(Effect.provide([layer, logger]))
    }
  )

  it.effect("as a stream, and as a metric; no secret in either", () => {
    const { layer } = scene([tokens(1)])
    return Effect.gen(function* () {
      const { events, text } = yield* source(machine)
      const first = yield* Effect.forkChild(Stream.runHead(events), { startImmediately: true })
      yield* text
      const event = Option.getOrThrow(yield* Fiber.join(first))
      assert.deepInclude(event, { _tag: "Renewed", key: machine.key, generation: 1 })
      assert.notInclude(JSON.stringify(event), "access-1")
      const counted = yield* Metric.value(
        Metric.withAttributes(
          Metric.counter("keyfob_token_events", {
            description: "What happened to credentials, by event",
            incremental: true
          }),
          { event: "Renewed" }
        )
      )
      assert.isAtLeast(counted.count, 1)
    }).pipe(Effect.provide(layer))
  })
})

describe("the refresh token's own end", () => {
  const hour = 3600
  const ending = (seconds: number, member = "refresh_token_expires_in") => ({ [member]: seconds })

  it.effect.each([
    ["refresh_token_expires_in", 7200, 7200],
    ["refresh_expires_in", 7200, 7200],
    ["refresh_expires_in", "7200", 7200],
    ["refresh_expires_in", 0, undefined],
    ["refresh_token_expires_in", null, undefined],
    ["refresh_token_expires_in", "never", undefined],
    ["refresh_token_expires_in", -1, undefined]
  ] as const)("%s: %s is kept as an instant, or is no reason to lose what came with it", ([member, value, seconds]) => {
    const { layer } = scene([tokens(1, { [member]: value })])
    return Effect.gen(function* () {
      const { refreshExpiresAt } = yield* Login.login(machine)
      assert.strictEqual(refreshExpiresAt?.epochMilliseconds, seconds === undefined ? undefined : seconds * 1000)
    }).pipe(Effect.provide(layer))
  })

  it.effect("an end that moves with the renewals is sliding, one that stays is absolute", () => {
    const { layer } = scene([
      tokens(1, ending(10 * hour)),
      tokens(2, ending(10 * hour)),
      tokens(3, ending(9 * hour)),
      tokens(4, ending(8 * hour)),
      tokens(5, { refresh_token: undefined }),
      tokens(6)
    ])
    return Effect.gen(function* () {
      const { renew } = yield* source(machine)
      const seen: Array<unknown> = []
      for (let round = 0; round < 6; round++) {
        const { refreshExpiresAt: end, refreshExpiryFixedSince: since } = (yield* renew).credential
        seen.push([end, since].map((one) => (one === undefined ? "-" : one.epochMilliseconds / 3_600_000)).join(" "))
        yield* TestClock.adjust("1 hour")
      }
      assert.deepStrictEqual(seen, ["10 -", "11 -", "11 1", "11 1", "11 1", "- -"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("an absolute end is told ahead, once; a sliding one is kept from coming", () => {
    const day = 24 * hour
    let now = 0
    const { layer, sent } = scene((request) =>
      tokens(1, { refresh_token: "r", ...ending(now < 5 ? 2 * day : 10 * day - now * day, "refresh_expires_in") })(
        request
      )
    )
    return Effect.gen(function* () {
      const made = yield* source(machine)
      const told = yield* telling(made)
      for (; now < 9; now++) {
        yield* made.renew
        yield* TestClock.adjust("1 day")
      }
      yield* made.renewIfDue
      assert.lengthOf(
        told.filter((event) => event === "RefreshTokenEndsSoon"),
        1
      )
      assert.isAtLeast(sent().length, 9)
    }).pipe(Effect.provide(layer))
  })

  it.effect("an access token that outlives a sliding refresh token is renewed in time for that", () => {
    const { layer, sent } = scene([tokens(1, { expires_in: 24 * hour, ...ending(hour) }), tokens(2, ending(hour))])
    return Effect.gen(function* () {
      const { renewIfDue } = yield* source(machine)
      yield* renewIfDue
      yield* minutes(45)
      assert.strictEqual((yield* renewIfDue).outcome, "fresh")
      yield* minutes(49)
      assert.strictEqual((yield* renewIfDue).outcome, "renewed")
      assert.lengthOf(sent(), 2)
    }).pipe(Effect.provide(layer))
  })
})
