import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, Fiber, Layer, Redacted, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  AccessToken,
  ClientCredentials,
  Credential,
  CredentialStore,
  DeviceCode,
  type FlowOptions,
  Login,
  Logout,
  TokenSource
} from "keyfob"
import { answer, broken, inTime, issuer, json, metadata, provider, refused, scripted, status } from "../scripted.ts"
import {
  credential,
  gate,
  kept,
  machine,
  minutes,
  observed,
  remove,
  scene,
  source,
  storeFailed,
  textOf,
  tokens,
  withoutRefreshToken,
  write
} from "./given.ts"

const due = 59.5 // minutes of the hour that `credential()` lives: due, but not over
const over = 60
const tokenOf = (text: string) => AccessToken.make({ value: Redacted.make(text), type: "Bearer", scopes: [] })
const herd = <A, E, R>(effect: Effect.Effect<A, E, R>, size = 1000) =>
  Effect.all(
    Array.from({ length: size }, () => effect),
    { concurrency: "unbounded" }
  )

describe("TokenSource", () => {
  it.effect("A-01 A-04 nothing stored: NoCredential at once, and nobody is asked", () => {
    const { http, layer } = scene([])
    return Effect.gen(function* () {
      const { asks } = yield* source()
      for (const ask of asks) {
        assert.deepInclude(yield* Effect.flip(ask), {
          _tag: "LoginRequired",
          reason: "NoCredential",
          issuer,
          account: "default"
        })
      }
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "A-02 a stored token that is not due: read once, then given from memory, and nobody is asked (law 10)",
    () => {
      const { http, layer, store } = scene([])
      return Effect.gen(function* () {
        yield* write(credential())
        store.journal.length = 0
        const { text } = yield* source()
        assert.deepStrictEqual(store.journal, [])
        for (const _ of [1, 2, 3]) assert.strictEqual(yield* text, "access-1")
        assert.deepStrictEqual(store.journal, ["get"])
        assert.lengthOf(http.requests, 0)
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("A-03 X-27 a token that is due is not given out: the next one is", () => {
    const { layer } = scene([tokens(2)])
    return Effect.gen(function* () {
      yield* write(credential())
      const { text } = yield* source()
      yield* minutes(58)
      assert.strictEqual(yield* text, "access-1")
      yield* minutes(due)
      assert.strictEqual(yield* text, "access-2")
    }).pipe(Effect.provide(layer))
  })

  it.effect("A-07 what a login stores is found by a source that was there before it", () => {
    const { http, layer } = scene([tokens(1)])
    return Effect.gen(function* () {
      const flow = machine
      const { text } = yield* source(flow)
      yield* Login.login(flow)
      assert.strictEqual(yield* text, "access-1")
      assert.lengthOf(http.to(metadata.token_endpoint), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("an unusable issuer is a typed error when the source is made", () => {
    const { layer } = scene([])
    return Effect.gen(function* () {
      const make = TokenSource.make(ClientCredentials.make({ issuer: "http://id.example", clientId: "app" }))
      assert.deepInclude(yield* Effect.flip(make), { _tag: "ConfigurationInvalid", reason: "InsecureUrl" })
    }).pipe(Effect.provide(layer))
  })

  it.effect("a store that cannot be read is a typed error, not a missing login", () => {
    const { layer, store } = scene([])
    return Effect.gen(function* () {
      const { asks } = yield* source()
      store.hooks.before = () => storeFailed("Corrupt")
      for (const ask of asks) assert.deepInclude(yield* Effect.flip(ask), { _tag: "StoreFailed", reason: "Corrupt" })
    }).pipe(Effect.provide(layer))
  })

  describe("R2 one refresh for a thousand fibers (law 3)", () => {
    it.effect("that ask for the token", () => {
      const { layer, sent } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        yield* minutes(over)
        const { text } = yield* source()
        assert.deepStrictEqual([...new Set(yield* herd(text))], ["access-2"])
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect("that ask for a renewal", () => {
      const { layer, sent } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const { renew, text } = yield* source()
        yield* text
        const outcomes = (yield* herd(renew)).map(({ credential, outcome }) => `${outcome} ${credential.generation}`)
        assert.deepStrictEqual([...new Set(outcomes)].sort(), ["adopted 2", "renewed 2"])
        assert.lengthOf(
          outcomes.filter((outcome) => outcome === "renewed 2"),
          1
        )
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect("whose token was refused", () => {
      const { layer, sent, store } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const { renewedSince, token } = yield* source()
        const refusedToken = yield* token
        assert.deepStrictEqual([...new Set(yield* herd(textOf(renewedSince(refusedToken))))], ["access-2"])
        assert.lengthOf(sent(), 1)
        assert.lengthOf(
          store.journal.filter((operation) => operation === "read"),
          1
        )
      }).pipe(Effect.provide(layer))
    })

    it.effect("X-01 that ask for all of these at once, of two sources on one store", () => {
      const { layer, sent } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const [one, two] = [yield* source(), yield* source()]
        const refusedToken = yield* one.token
        yield* two.token
        yield* minutes(over)
        const asks = [
          ...one.asks,
          ...two.asks,
          Effect.asVoid(one.renewedSince(refusedToken)),
          Effect.asVoid(two.renewedSince(refusedToken))
        ]
        yield* herd(Effect.all(asks, { concurrency: "unbounded" }), 200)
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect("of a machine without any token yet", () => {
      const { layer, sent } = scene([tokens(1)])
      return Effect.gen(function* () {
        const { text } = yield* source(machine)
        yield* herd(text)
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    })
  })

  describe("renewedSince", () => {
    it.effect("a token that is not the current one any more: the current one, and nobody is asked", () => {
      const { layer, sent } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const { renew, renewedSince, token } = yield* source()
        const first = yield* token
        yield* renew
        assert.strictEqual(yield* textOf(renewedSince(first)), "access-2")
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect("the current one: renewed though it is not due, or adopted where a sibling did it", () => {
      const { layer, sent } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const [one, two] = [yield* source(), yield* source()]
        const first = yield* one.token
        yield* two.token
        assert.strictEqual(yield* textOf(one.renewedSince(first)), "access-2")
        assert.strictEqual(yield* textOf(two.renewedSince(first)), "access-2")
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect(
      "a provider that answers with the same access token again: a herd of refusals is still one renewal",
      () => {
        const { layer, sent } = scene([tokens(1, { refresh_token: "refresh-2" })])
        return Effect.gen(function* () {
          yield* write(credential())
          const { renewedSince, token } = yield* source()
          const refusedToken = yield* token
          yield* minutes(1)
          yield* herd(renewedSince(refusedToken), 100)
          assert.lengthOf(sent(), 1)
        }).pipe(Effect.provide(layer))
      }
    )

    it.effect("a refused token this source never had does not come back as the answer", () => {
      const { layer } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const { renewedSince } = yield* source()
        assert.strictEqual(yield* textOf(renewedSince(tokenOf("access-1"))), "access-2")
      }).pipe(Effect.provide(layer))
    })
  })

  it.effect("R5 a token that ends before it can be used is not handed out", () => {
    const { layer } = scene([tokens(2, { expires_in: 0 })])
    return Effect.gen(function* () {
      yield* write(credential())
      const { token } = yield* source()
      yield* minutes(over)
      assert.deepInclude(yield* Effect.flip(token), { _tag: "AnswerRejected", reason: "Malformed" })
      assert.deepInclude(yield* kept(), { generation: 2, refresh: "refresh-2" }, "the rotation is not lost over it")
    }).pipe(Effect.provide(layer))
  })

  it.effect("R2 R5 nor does each of those who waited for it ask for the next", () => {
    const { layer, sent } = scene(tokens(2, { expires_in: 0 }))
    return Effect.gen(function* () {
      yield* write(credential())
      const { token } = yield* source()
      yield* minutes(over)
      yield* herd(Effect.flip(token), 100)
      assert.lengthOf(sent(), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("R2 R5 nor does each of those whose token an API refused", () => {
    const { layer, sent } = scene(tokens(2, { expires_in: 0 }))
    return Effect.gen(function* () {
      yield* write(credential())
      const { renewedSince, token } = yield* source()
      const refusedToken = yield* token
      yield* herd(Effect.flip(renewedSince(refusedToken)), 100)
      assert.lengthOf(sent(), 1)
    }).pipe(Effect.provide(layer))
  })

  describe("R2 two sources on one store", () => {
    it.effect("the second adopts what the first renewed, when its own is due", () => {
      const { layer, sent } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const [one, two] = [yield* source(), yield* source()]
        yield* Effect.all([one.token, two.token])
        yield* minutes(due)
        assert.strictEqual(yield* one.text, "access-2")
        assert.strictEqual(yield* two.text, "access-2")
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect("renew adopts too, and then renews what it adopted", () => {
      const { layer, sent } = scene([tokens(2), tokens(3)])
      return Effect.gen(function* () {
        yield* write(credential())
        const [one, two] = [yield* source(), yield* source()]
        yield* Effect.all([one.token, two.token])
        assert.strictEqual((yield* one.renew).outcome, "renewed")
        assert.strictEqual((yield* two.renew).outcome, "adopted")
        assert.strictEqual((yield* two.renew).outcome, "renewed")
        assert.lengthOf(sent(), 2)
      }).pipe(Effect.provide(layer))
    })

    it.effect("R15 B-38 a login as somebody else is seen at once, though the token in memory is still good", () => {
      const { layer, sent } = scene([])
      return Effect.gen(function* () {
        yield* write(credential())
        const { text } = yield* source()
        assert.strictEqual(yield* text, "access-1")
        yield* write(credential(2, { token: tokenOf("access-of-bob") }))
        assert.strictEqual(yield* text, "access-of-bob")
        assert.lengthOf(sent(), 0)
      }).pipe(Effect.provide(layer))
    })

    it.effect("R15 a logout is seen at once, though the token in memory is still good", () => {
      const { layer, sent } = scene([])
      return Effect.gen(function* () {
        yield* write(credential())
        const { token } = yield* source()
        yield* token
        yield* remove()
        assert.deepInclude(yield* Effect.flip(token), { _tag: "LoginRequired", reason: "NoCredential" })
        assert.lengthOf(sent(), 0)
      }).pipe(Effect.provide(layer))
    })

    it.effect("R15 nor does a login count less that comes while the store is looked at", () => {
      let meanwhile: Effect.Effect<unknown, unknown> = Effect.void
      const { http } = scene([])
      return Effect.gen(function* () {
        const memory = yield* CredentialStore
        const slow = CredentialStore.make({
          ...memory,
          get: (key) => Effect.tap(memory.get(key), () => Effect.ignore(meanwhile))
        })
        yield* Effect.gen(function* () {
          yield* write(credential())
          const { text } = yield* source()
          meanwhile = Effect.provideService(
            write(credential(2, { token: tokenOf("access-of-bob") })),
            CredentialStore,
            slow
          )
          yield* text
          meanwhile = Effect.void
          assert.strictEqual(yield* text, "access-of-bob")
        }).pipe(Effect.provideService(CredentialStore, slow))
      }).pipe(Effect.provide(Layer.merge(CredentialStore.layerMemory, http.layer)))
    })

    it.effect("R15 a logout by another process is seen from the first failure on", () => {
      const { http } = scene([])
      return Effect.gen(function* () {
        const own = CredentialStore.make(yield* CredentialStore)
        yield* write(credential())
        const { renew, token } = yield* Effect.provideService(source(), CredentialStore, own)
        yield* token
        yield* remove()
        for (const ask of [Effect.asVoid(renew), Effect.asVoid(token)]) {
          assert.deepInclude(yield* Effect.flip(ask), { _tag: "LoginRequired", reason: "NoCredential" })
        }
      }).pipe(Effect.provide(Layer.merge(CredentialStore.layerMemory, http.layer)))
    })

    it.effect("as long as nobody writes, the store is asked once", () => {
      const { layer, store } = scene([])
      return Effect.gen(function* () {
        yield* write(credential())
        const { token } = yield* source()
        yield* Effect.repeat(token, { times: 10 })
        assert.lengthOf(
          store.journal.filter((operation) => operation === "get"),
          1
        )
      }).pipe(Effect.provide(layer))
    })

    it.effect("a source that has not looked yet renews, as somebody asked for it", () => {
      const { layer, sent } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const { renew } = yield* source()
        assert.deepInclude(yield* renew, { outcome: "renewed" })
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    })
  })

  describe("callers that give up", () => {
    it.effect("X-01 an interrupted one does not lose the rotation", () =>
      Effect.gen(function* () {
        const answering = yield* gate
        const { layer, sent } = scene([(request) => Effect.andThen(answering.pass, tokens(2)(request))])
        yield* Effect.gen(function* () {
          yield* write(credential())
          yield* minutes(over)
          const { text } = yield* source()
          const caller = yield* Effect.forkChild(text)
          yield* answering.arrived
          yield* Fiber.interrupt(caller)
          const next = yield* Effect.forkChild(text)
          yield* answering.open
          assert.strictEqual(yield* Fiber.join(next), "access-2")
          assert.deepInclude(yield* kept(), { generation: 2, refresh: "refresh-2" })
          assert.lengthOf(sent(), 1)
        }).pipe(Effect.provide(layer))
      })
    )

    it.effect("X-04 a slow save: waiters time out, there is no second rotation", () =>
      Effect.gen(function* () {
        const saving = yield* gate
        const { layer, sent, store } = scene([tokens(2)])
        store.hooks.before = (operation) => (operation === "write 2" ? saving.pass : Effect.void)
        yield* Effect.gen(function* () {
          yield* write(credential())
          yield* minutes(over)
          const { text } = yield* source()
          const waiters = yield* Effect.forkChild(
            Effect.all(
              [1, 2, 3].map(() => Effect.exit(Effect.timeout(text, "2 seconds"))),
              { concurrency: 3 }
            )
          )
          yield* saving.arrived
          yield* TestClock.adjust("2 seconds")
          assert.isTrue((yield* Fiber.join(waiters)).every(Exit.isFailure))
          yield* saving.open
          assert.strictEqual(yield* text, "access-2")
          assert.lengthOf(sent(), 1)
        }).pipe(Effect.provide(layer))
      })
    )

    it.effect("X-04 X-12 a scope that closes waits for the exchange and its save", () =>
      Effect.gen(function* () {
        const answering = yield* gate
        const saving = yield* gate
        const { layer, store } = scene([(request) => Effect.andThen(answering.pass, tokens(2)(request))])
        store.hooks.before = (operation) => (operation === "write 2" ? saving.pass : Effect.void)
        yield* Effect.gen(function* () {
          yield* write(credential())
          yield* minutes(over)
          const scope = yield* Scope.make()
          const { token } = yield* Scope.provide(source(), scope)
          yield* Effect.forkChild(Effect.exit(token))
          yield* answering.arrived
          const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
          yield* answering.open
          yield* saving.arrived
          assert.isUndefined(closing.pollUnsafe())
          yield* saving.open
          yield* Fiber.join(closing)
          assert.deepInclude(yield* kept(), { generation: 2, refresh: "refresh-2", spending: null })
        }).pipe(Effect.provide(layer))
      })
    )

    it.effect("X-05 a close that its caller gave up goes on, and can be awaited again", () =>
      Effect.gen(function* () {
        const saving = yield* gate
        const { layer, store } = scene([tokens(2)])
        store.hooks.before = (operation) => (operation === "write 2" ? saving.pass : Effect.void)
        yield* Effect.gen(function* () {
          yield* write(credential())
          yield* minutes(over)
          const scope = yield* Scope.make()
          const { token } = yield* Scope.provide(source(), scope)
          yield* Effect.forkChild(Effect.exit(token))
          yield* saving.arrived
          const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
          const givingUp = yield* Effect.forkChild(Fiber.interrupt(closing), { startImmediately: true })
          const again = yield* Effect.forkChild(Fiber.await(closing), { startImmediately: true })
          assert.isUndefined(again.pollUnsafe(), "the save is not cut off")
          yield* saving.open
          yield* Fiber.join(again)
          yield* Fiber.join(givingUp)
          assert.deepInclude(yield* kept(), { generation: 2, refresh: "refresh-2", spending: null })
        }).pipe(Effect.provide(layer))
      })
    )

    it.effect("X-12 a scope that closes while a machine's token is saved waits for the save", () =>
      Effect.gen(function* () {
        const saving = yield* gate
        const { layer, store } = scene([tokens(1)])
        store.hooks.before = (operation) => (operation === "write 1" ? saving.pass : Effect.void)
        yield* Effect.gen(function* () {
          const scope = yield* Scope.make()
          const { token } = yield* Scope.provide(source(machine), scope)
          yield* Effect.forkChild(Effect.exit(token))
          yield* saving.arrived
          const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
          yield* saving.open
          yield* Fiber.join(closing)
          assert.strictEqual((yield* kept(machine.key))?.access, "access-1")
        }).pipe(Effect.provide(layer))
      })
    )
  })

  describe("R4 trouble that passes takes nothing away (law 2)", () => {
    const troubles = [
      ["503", status(503)],
      ["429", status(429)],
      ["429 with Retry-After", status(429, { "retry-after": "3600" })],
      ["500", status(500)],
      ["a reset", broken("ECONNRESET")],
      ["no connection", broken("ENETUNREACH")],
      ["a timeout", () => Effect.never],
      ["half an answer", answer('{"access_tok', { headers: { "content-type": "application/json" } })],
      ["a page of the network's", answer("<html>", { headers: { "content-type": "text/html" } })]
    ] as const

    it.effect.each(troubles)(
      "%s: the old token is served to its end; once the provider is back, the next one",
      ([, trouble]) => {
        let away = true
        const { layer } = scene((request) => (away ? trouble : tokens(2))(request))
        return Effect.gen(function* () {
          yield* write(credential())
          const { text, token } = yield* source()
          yield* minutes(due)
          assert.strictEqual(yield* inTime(text), "access-1")
          yield* minutes(over)
          assert.notStrictEqual((yield* inTime(Effect.flip(token)))._tag, "LoginRequired")
          assert.strictEqual((yield* kept())?.refresh, "refresh-1")
          away = false
          yield* minutes(130)
          assert.strictEqual(yield* inTime(text), "access-2")
        }).pipe(Effect.provide(layer))
      }
    )

    it.effect("a machine's old token is served too", () => {
      const { layer } = scene([tokens(1), status(500), status(500), status(500), status(500)])
      return Effect.gen(function* () {
        const { text } = yield* source(machine)
        assert.strictEqual(yield* text, "access-1")
        yield* minutes(due)
        assert.strictEqual(yield* inTime(text), "access-1")
      }).pipe(Effect.provide(layer))
    })

    it.effect("but not to whoever asks for more validity than it has left", () => {
      const { layer } = scene(status(503))
      return Effect.gen(function* () {
        yield* write(credential())
        const { tokenValidFor } = yield* source()
        yield* minutes(50)
        assert.strictEqual(yield* inTime(textOf(tokenValidFor(Duration.minutes(9)))), "access-1")
        assert.deepInclude(yield* inTime(Effect.flip(tokenValidFor(Duration.minutes(20)))), {
          _tag: "ProviderUnavailable"
        })
      }).pipe(Effect.provide(layer))
    })

    it.effect("A-20 a refusal that does not pass is told, though the old token still lives", () => {
      const { layer } = scene([refused("invalid_client", 401)])
      return Effect.gen(function* () {
        yield* write(credential())
        const { token } = yield* source()
        yield* minutes(due)
        assert.deepInclude(yield* Effect.flip(token), { _tag: "ProviderRefused", reason: "InvalidClient" })
      }).pipe(Effect.provide(layer))
    })

    it.effect("R4 Retry-After does not hold for a renewal somebody asks for, and its success ends it", () => {
      const { layer, sent } = scene([status(429, { "retry-after": "3600" }), tokens(2, { expires_in: 60 }), tokens(3)])
      return Effect.gen(function* () {
        yield* write(credential())
        const { renew, text, token } = yield* source()
        yield* minutes(over)
        yield* Effect.flip(token)
        assert.strictEqual((yield* renew).credential.generation, 2)
        yield* minutes(over + 1)
        assert.strictEqual(yield* text, "access-3")
        assert.lengthOf(sent(), 3)
      }).pipe(Effect.provide(layer))
    })

    it.effect(
      "while the old token serves, the provider is left alone for a moment, never beyond the token's end",
      () => {
        const { layer, sent } = scene([status(500), status(500), tokens(2)])
        return Effect.gen(function* () {
          yield* write(credential())
          const { text } = yield* source()
          yield* minutes(due)
          for (const _ of [1, 2, 3]) assert.strictEqual(yield* text, "access-1")
          assert.lengthOf(sent(), 1)
          yield* TestClock.setTime(3_599_000)
          assert.strictEqual(yield* text, "access-1")
          assert.lengthOf(sent(), 2)
          yield* minutes(over)
          assert.strictEqual(yield* text, "access-2")
        }).pipe(Effect.provide(layer))
      }
    )

    it.effect("R4 who asks again is told the rest of a Retry-After, and waits no longer than was asked", () => {
      const { layer } = scene([status(429, { "retry-after": "600" }), tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const { events, text, token } = yield* source()
        const told = yield* Effect.forkChild(Stream.runCollect(Stream.take(events, 2)), { startImmediately: true })
        yield* minutes(over)
        for (const left of [10, 4]) {
          yield* minutes(over + 10 - left)
          assert.deepInclude(yield* Effect.flip(token), {
            reason: "RateLimited",
            status: 429,
            retryAfter: Duration.minutes(left)
          })
        }
        yield* minutes(over + 10)
        assert.strictEqual(yield* text, "access-2")
        assert.deepStrictEqual(
          Array.from(yield* Fiber.join(told), ({ _tag }) => _tag),
          ["Transient", "Renewed"]
        )
      }).pipe(Effect.provide(layer))
    })

    it.effect("R4 a Retry-After of days is obeyed for an hour", () => {
      const { layer, sent } = scene([status(503, { "retry-after": "604800" }), tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const { text, token } = yield* source()
        yield* minutes(over)
        yield* Effect.flip(token)
        yield* minutes(over + 59)
        assert.deepInclude(yield* Effect.flip(token), { _tag: "ProviderUnavailable", status: 503 })
        assert.lengthOf(sent(), 1)
        yield* minutes(over + 60)
        assert.strictEqual(yield* text, "access-2")
      }).pipe(Effect.provide(layer))
    })

    it.effect("a login meanwhile ends the waiting", () => {
      const { layer } = scene([status(429, { "retry-after": "3600" })])
      return Effect.gen(function* () {
        yield* write(credential())
        const { text, token } = yield* source()
        yield* minutes(over)
        yield* Effect.flip(token)
        yield* write(fresh(7, "access-login"))
        assert.strictEqual(yield* text, "access-login")
      }).pipe(Effect.provide(layer))
    })

    it.effect("a store that is busy: the old token is served", () => {
      const { layer, store } = scene([])
      return Effect.gen(function* () {
        yield* write(credential())
        const { text } = yield* source()
        yield* minutes(due)
        store.hooks.before = (operation) => (operation === "read" ? storeFailed("Busy") : Effect.void)
        assert.strictEqual(yield* text, "access-1")
      }).pipe(Effect.provide(layer))
    })

    it.effect(
      "a store that goes down while the provider answers: the old token is served, and the new one saved later",
      () => {
        const { layer, sent, store } = scene([tokens(2)])
        return Effect.gen(function* () {
          yield* write(credential())
          const { text } = yield* source()
          yield* text
          yield* minutes(due)
          let isDown = false
          store.hooks.before = (operation) => {
            isDown ||= operation === "write 2"
            return isDown ? storeFailed("Unavailable") : Effect.void
          }
          assert.strictEqual(yield* inTime(text), "access-1")
          assert.isTrue(isDown)
          store.hooks.before = () => Effect.void
          yield* minutes(over)
          assert.strictEqual(yield* text, "access-2")
          assert.lengthOf(sent(), 1)
        }).pipe(Effect.provide(layer))
      }
    )

    it.effect("R2 a store that takes a second to say it is away: a hundred callers wait for it once", () => {
      const { layer, store } = scene([])
      return Effect.gen(function* () {
        store.hooks.before = () => Effect.delay(storeFailed("Unavailable"), "1 second")
        const { token } = yield* source()
        const failures = yield* inTime(herd(Effect.flip(token), 100))
        assert.deepStrictEqual([...new Set(failures.map(({ reason }) => reason))], ["Unavailable"])
      }).pipe(Effect.provide(layer))
    })

    it.effect.each([
      ["while the old token serves", due],
      ["when there is none", over]
    ] as const)("R2 a thousand callers meet it together, %s: one of them asks for all", ([, time]) => {
      const { layer, sent } = scene(status(500))
      return Effect.gen(function* () {
        yield* write(credential())
        const { token } = yield* source()
        yield* minutes(time)
        yield* inTime(herd(Effect.exit(token)))
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect("R4 Retry-After holds for the calls that follow, and not longer", () => {
      const { layer, sent } = scene([status(429, { "retry-after": "120" }), tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const { text, token } = yield* source()
        yield* minutes(due)
        assert.strictEqual(yield* text, "access-1")
        assert.strictEqual(yield* text, "access-1")
        yield* minutes(over)
        assert.deepInclude(yield* Effect.flip(token), { _tag: "ProviderUnavailable", reason: "RateLimited" })
        assert.lengthOf(sent(), 1)
        yield* minutes(due + 2)
        assert.strictEqual(yield* text, "access-2")
      }).pipe(Effect.provide(layer))
    })
  })

  describe("minValidity", () => {
    it.effect("a token that lives long enough is given, else the next one", () => {
      const { layer, sent } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        const { tokenValidFor } = yield* source()
        yield* minutes(49)
        assert.strictEqual(yield* textOf(tokenValidFor(Duration.minutes(10))), "access-1")
        assert.lengthOf(sent(), 0)
        yield* minutes(51)
        assert.strictEqual(yield* textOf(tokenValidFor(Duration.minutes(10))), "access-2")
      }).pipe(Effect.provide(layer))
    })

    it.effect("more than a token's whole life: one exchange, not one for each call", () => {
      const { layer, sent } = scene([tokens(2, { expires_in: 60 })])
      return Effect.gen(function* () {
        yield* write(credential())
        yield* minutes(over)
        const { tokenValidFor } = yield* source()
        for (const _ of [1, 2, 3]) assert.strictEqual(yield* textOf(tokenValidFor(Duration.minutes(10))), "access-2")
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    })
  })

  describe("lifetimes", () => {
    it.effect("expires_in absent and the token opaque: served until somebody refuses it", () => {
      const { layer } = scene([tokens(2, { expires_in: undefined }), tokens(3)])
      return Effect.gen(function* () {
        yield* write(credential())
        yield* minutes(over)
        const { renewedSince, text, token } = yield* source()
        assert.strictEqual(yield* text, "access-2")
        yield* TestClock.adjust("365 days")
        assert.strictEqual(yield* text, "access-2")
        assert.strictEqual(yield* textOf(renewedSince(yield* token)), "access-3")
      }).pipe(Effect.provide(layer))
    })

    it.effect("B-01 expires_in absent and the token a JWT: its exp is taken for the end", () => {
      const part = (claims: object) => btoa(JSON.stringify(claims)).replace(/=+$/, "")
      const jwt = `${part({ alg: "RS256" })}.${part({ exp: 600 })}.c2ln`
      const { layer } = scene([json({ access_token: jwt }), tokens(2)])
      return Effect.gen(function* () {
        const { text, token } = yield* source(machine)
        assert.strictEqual((yield* token).expiresAt?.epochMilliseconds, 600_000)
        yield* minutes(8)
        assert.strictEqual(yield* text, jwt)
        yield* minutes(9.5)
        assert.strictEqual(yield* text, "access-2")
      }).pipe(Effect.provide(layer))
    })

    it.effect("a very short life: renewed each time it is over, not in between", () => {
      const { layer, sent } = scene([1, 2, 3].map((n) => tokens(n, { expires_in: 2 })))
      return Effect.gen(function* () {
        const { text } = yield* source(machine)
        for (const second of [0, 1, 2, 3, 4]) {
          yield* TestClock.setTime(second * 1000)
          assert.strictEqual(yield* text, `access-${Math.floor(second / 2) + 1}`)
        }
        assert.lengthOf(sent(), 3)
      }).pipe(Effect.provide(layer))
    })

    it.effect(
      "B-33 B-32 (the refresh token was thrown away with it there) an access token that ended days ago: renewed, no login",
      () => {
        const { layer } = scene([tokens(2)])
        return Effect.gen(function* () {
          yield* write(credential())
          yield* TestClock.setTime(14 * 24 * 3_600_000)
          assert.strictEqual(yield* (yield* source()).text, "access-2")
        }).pipe(Effect.provide(layer))
      }
    )

    it.effect("B-37 a token that cannot be renewed is served to its end, then NotRenewable", () => {
      const { layer } = scene([])
      return Effect.gen(function* () {
        yield* write(withoutRefreshToken(credential()))
        const { text, token, tokenValidFor } = yield* source()
        yield* minutes(due)
        assert.strictEqual(yield* text, "access-1")
        assert.deepInclude(yield* Effect.flip(tokenValidFor(Duration.minutes(1))), {
          _tag: "LoginRequired",
          reason: "NotRenewable"
        })
        yield* minutes(over)
        assert.deepInclude(yield* Effect.flip(token), { _tag: "LoginRequired", reason: "NotRenewable" })
      }).pipe(Effect.provide(layer))
    })
  })

  describe("R15 nobody gets what was made for somebody else", () => {
    const base = { issuer, clientId: "app", scopes: ["a"] }
    const others: ReadonlyArray<readonly [string, FlowOptions]> = [
      ["client", { ...base, clientId: "other" }],
      ["account", { ...base, account: "other" }],
      ["scopes", { ...base, scopes: ["a", "b"] }],
      ["audience", { ...base, audience: "https://api.example" }],
      ["resource", { ...base, resource: ["https://api.example"] }],
      ["parameters", { ...base, params: { organization: "acme" } }],
      ["issuer", { ...base, issuer: "https://other.example" }]
    ]
    it.effect.each(others)("another %s: asked for anew by a machine, NoCredential for a person", ([, other]) => {
      const metadataOf = (issuer: string) =>
        json(JSON.parse(JSON.stringify(metadata).replaceAll("https://id.example", issuer)))
      const store = observed()
      const http = scripted({
        ...provider,
        [metadata.token_endpoint]: [tokens(1), tokens(2)],
        "https://other.example/.well-known/openid-configuration": metadataOf("https://other.example"),
        "https://other.example/token": [tokens(2)]
      })
      return Effect.gen(function* () {
        assert.strictEqual(yield* (yield* source(ClientCredentials.make(base))).text, "access-1")
        assert.strictEqual(yield* (yield* source(ClientCredentials.make(other))).text, "access-2")
        assert.strictEqual(yield* (yield* source(ClientCredentials.make(base))).text, "access-1")

        yield* write(Credential.make({ ...credential(), key: DeviceCode.make(base).key }))
        assert.strictEqual(yield* (yield* source(DeviceCode.make(base))).text, "access-1")
        const error = yield* Effect.flip((yield* source(DeviceCode.make(other))).token)
        assert.deepInclude(error, { _tag: "LoginRequired", reason: "NoCredential" })
      }).pipe(Effect.provide(Layer.merge(store.layer, http.layer)))
    })

    it.effect("a machine and a person with equal settings do not share", () => {
      const { layer } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(Credential.make({ ...credential(), key: DeviceCode.make(base).key }))
        assert.strictEqual(yield* (yield* source(ClientCredentials.make(base))).text, "access-2")
      }).pipe(Effect.provide(layer))
    })
  })

  describe("sessions that end", () => {
    it.effect("A-24 the login that follows is found", () => {
      const { layer } = scene([refused("invalid_grant")])
      return Effect.gen(function* () {
        yield* write(credential())
        const { renew, text } = yield* source()
        yield* Effect.flip(renew)
        yield* write(fresh(2, "access-login"))
        assert.strictEqual(yield* text, "access-login")
      }).pipe(Effect.provide(layer))
    })

    it.effect("what could not be saved does not come back after a logout", () => {
      const { layer, store } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        yield* minutes(over)
        const { token } = yield* source()
        store.hooks.before = (operation) => (operation === "write 2" ? storeFailed("Full") : Effect.void)
        assert.strictEqual((yield* inTime(Effect.flip(token)))._tag, "StoreFailed")
        store.hooks.before = () => Effect.void
        yield* remove()
        assert.deepInclude(yield* Effect.flip(token), { _tag: "LoginRequired", reason: "NoCredential" })
        assert.isUndefined(yield* kept())
      }).pipe(Effect.provide(layer))
    })

    it.effect(
      "attack: nor where nothing stood there yet: the logout of a first session finds nothing, and is one",
      () => {
        const { layer, sent, store } = scene([tokens(1), tokens(2)])
        return Effect.gen(function* () {
          const { text, token } = yield* source(machine)
          store.hooks.before = (operation) => (operation === "write 1" ? storeFailed("Full") : Effect.void)
          assert.strictEqual((yield* inTime(Effect.flip(token)))._tag, "StoreFailed")
          store.hooks.before = () => Effect.void
          assert.deepInclude(yield* Logout.logout(machine), { removed: false })
          assert.strictEqual(yield* text, "access-2")
          assert.lengthOf(sent(), 2)
        }).pipe(Effect.provide(layer))
      }
    )

    it.effect("nor in place of a session that the provider ended meanwhile", () => {
      const { layer, store } = scene([tokens(2)])
      return Effect.gen(function* () {
        yield* write(credential())
        yield* minutes(over)
        const { token } = yield* source()
        store.hooks.before = (operation) => (operation === "write 2" ? storeFailed("Full") : Effect.void)
        yield* inTime(Effect.flip(token))
        store.hooks.before = () => Effect.void
        yield* write(withoutRefreshToken(credential(1, { refused: true, spending: 1 })))
        assert.deepInclude(yield* Effect.flip(token), { _tag: "LoginRequired", reason: "RefreshUnfinished" })
      }).pipe(Effect.provide(layer))
    })

    it.effect("R15 nor in place of somebody who signed in after it", () => {
      const { layer, sent, store } = scene([tokens(2), tokens(9)])
      return Effect.gen(function* () {
        yield* write(credential())
        yield* minutes(over)
        const { text, token } = yield* source()
        store.hooks.before = (operation) => (operation === "write 2" ? storeFailed("Full") : Effect.void)
        yield* inTime(Effect.flip(token))
        store.hooks.before = () => Effect.void
        yield* remove()
        yield* write(Credential.make({ ...credential(), refreshToken: Redacted.make("refresh-of-bob") }))
        assert.strictEqual(yield* text, "access-9")
        assert.strictEqual(sent()[1]?.form["refresh_token"], "refresh-of-bob")
      }).pipe(Effect.provide(layer))
    })

    it.effect("a token that was in memory is not given out once the provider ended the session", () => {
      const { layer } = scene([refused("invalid_grant")])
      return Effect.gen(function* () {
        yield* write(credential())
        const { renew, token } = yield* source()
        yield* token
        assert.deepInclude(yield* Effect.flip(renew), { _tag: "LoginRequired", reason: "RefreshRefused" })
        assert.deepInclude(yield* Effect.flip(token), { _tag: "LoginRequired", reason: "RefreshRefused" })
      }).pipe(Effect.provide(layer))
    })
  })
})

/** A credential that is fresh for an hour from 70 minutes on. */
const fresh = (generation: number, text: string) =>
  Credential.make({
    ...credential(generation),
    issuedAt: DateTime.makeUnsafe(60 * 60_000),
    token: AccessToken.make({
      value: Redacted.make(text),
      type: "Bearer",
      expiresAt: DateTime.makeUnsafe(130 * 60_000),
      scopes: []
    })
  })
