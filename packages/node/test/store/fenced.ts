/** What stores with a fence must do when a lease ends under its holder, told by what the database itself shows and forgets. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { CredentialStore } from "keyfob"
import { inspect } from "node:util"
import { canary, credentialOf, key, keyOf } from "./interceptedFileSystem.ts"

/** The database, beside the store. */
export interface Database {
  /** A store with connections of its own, as another process has it. */
  readonly store: Layer.Layer<CredentialStore, unknown>
  /** The time of the key's lease is up. */
  readonly endLease: Effect.Effect<unknown, unknown>
  /** How long the lease lasts, in milliseconds; 0 for none. */
  readonly leaseLasts: Effect.Effect<number, unknown>
  /** Everything is gone. */
  readonly forget: Effect.Effect<unknown, unknown>
  readonly spoil: (text: string) => Effect.Effect<unknown, unknown>
  readonly damaged: Effect.Effect<unknown, unknown>
  /** It has answered whatever it was asked so far. */
  readonly answered: Effect.Effect<unknown, unknown>
  /** Answers nobody until `resume`. */
  readonly hang: Effect.Effect<unknown, unknown>
  readonly resume: Effect.Effect<unknown, unknown>
}

/** A store as another process has it, until the scope closes. */
export const opened = <E>(layer: Layer.Layer<CredentialStore, E>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, CredentialStore))

export const write = (store: CredentialStore["Service"], generation: number) =>
  store.modify(key, (slot) => slot.write(credentialOf(generation)))

export const generation = (store: CredentialStore["Service"]) =>
  Effect.map(
    store.get(key),
    Option.map((found) => found.generation)
  )

const moment = (millis: number) => Effect.promise(() => new Promise((done) => setTimeout(done, millis)))

/**
 * Real sockets on a test's clock: with each second there they get some time, and `answered` is waited for. Gives the seconds
 * it took.
 */
export const pass = <A, E, E2>(fiber: Fiber.Fiber<A, E>, answered: Effect.Effect<unknown, E2>) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    while (fiber.pollUnsafe() === undefined) {
      yield* TestClock.adjust("1 second")
      yield* moment(20)
      yield* answered
    }
    return ((yield* Clock.currentTimeMillis) - start) / 1000
  })

/** What is logged, for canaries. */
export const listening = () => {
  const logged: Array<string> = []
  const layer = Logger.layer([Logger.make((entry) => logged.push(inspect(entry.message, { depth: 9 })))])
  return { logged, layer }
}

export const suite = (name: string, database: Database) => {
  const test = (
    title: string,
    body: (logged: ReadonlyArray<string>) => Effect.Effect<void, unknown, Scope.Scope>,
    on: (typeof it)["live" | "effect"] = it.live
  ) => {
    const { layer, logged } = listening()
    const all = Effect.gen(function* () {
      yield* database.forget
      yield* body(logged)
      assert.notInclude(logged.join("\n"), canary)
    })
    on(title, () => Effect.scoped(Effect.provide(all, layer)))
  }

  /** Of two processes the first holds the lease when its time is up, and the second goes on. Then the first wakes. */
  const overtaken = (
    body: (late: Effect.Effect<unknown, unknown>, second: CredentialStore["Service"]) => Effect.Effect<void, unknown>
  ) =>
    Effect.gen(function* () {
      const first = yield* opened(database.store)
      const second = yield* opened(database.store)
      yield* write(first, 1)
      for (const task of ["write", "remove"] as const) {
        yield* first.modify(key, (slot) =>
          Effect.gen(function* () {
            yield* database.endLease
            yield* body(task === "write" ? slot.write(credentialOf(9)) : slot.remove, second)
          })
        )
      }
    })

  const isRefused = (late: Effect.Effect<unknown, unknown>) =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(late)
      assert.deepInclude(failure, { _tag: "StoreFailed", reason: "Busy", store: name })
      assert.notInclude(inspect(failure, { depth: 9 }), canary)
    })

  describe(`fence: ${name}`, () => {
    test("who wakes after somebody else took the lease can neither write nor remove, while that one holds it", () =>
      overtaken((late, second) =>
        second.modify(key, (slot) =>
          Effect.gen(function* () {
            const before = Option.getOrThrow(yield* slot.read).generation
            yield* isRefused(late)
            yield* slot.write(credentialOf(before + 1))
            assert.deepStrictEqual(yield* generation(second), Option.some(before + 1))
          })
        )
      ))

    test("nor when that one is done, or removed it", () =>
      Effect.gen(function* () {
        yield* overtaken((late, second) =>
          Effect.gen(function* () {
            yield* second.modify(key, () => Effect.void)
            yield* isRefused(late)
            assert.deepStrictEqual(yield* generation(second), Option.some(1))
          })
        )
        yield* overtaken((late, second) =>
          Effect.gen(function* () {
            yield* second.modify(key, (slot) => slot.remove)
            yield* isRefused(late)
            assert.deepStrictEqual(yield* generation(second), Option.none())
            yield* write(second, 1)
            yield* isRefused(late)
            assert.deepStrictEqual(yield* generation(second), Option.some(1))
          })
        )
      }))

    test("who comes late leaves the next holder's lease alone", () =>
      Effect.gen(function* () {
        const first = yield* opened(database.store)
        const second = yield* opened(database.store)
        yield* first.modify(key, () =>
          Effect.gen(function* () {
            yield* database.endLease
            yield* Effect.forkScoped(
              second.modify(key, () => Effect.never),
              { startImmediately: true }
            )
            yield* Effect.repeat(Effect.andThen(Effect.sleep("5 millis"), database.leaseLasts), {
              until: (left) => left > 0
            })
          })
        )
        assert.isAbove(yield* database.leaseLasts, 0)
      }))

    test("a lease whose time is up, and nobody wanted it, is still good for a write", () =>
      Effect.gen(function* () {
        const store = yield* opened(database.store)
        yield* store.modify(key, (slot) => Effect.andThen(database.endLease, slot.write(credentialOf(1))))
        assert.deepStrictEqual(yield* generation(store), Option.some(1))
      }))

    test("a generation does not go back", () =>
      Effect.gen(function* () {
        const store = yield* opened(database.store)
        yield* write(store, 3)
        yield* write(store, 3)
        assert.strictEqual((yield* Effect.flip(write(store, 2))).reason, "Busy")
        assert.deepStrictEqual(yield* generation(store), Option.some(3))
        yield* store.modify(key, (slot) => Effect.andThen(slot.remove, slot.write(credentialOf(1))))
        assert.deepStrictEqual(yield* generation(store), Option.some(1))
      }))

    test("a database that forgot everything takes nothing from who held a lease before; the next one starts anew", () =>
      Effect.gen(function* () {
        const store = yield* opened(database.store)
        const other = yield* opened(database.store)
        yield* write(store, 5)
        yield* store.modify(key, (slot) =>
          Effect.gen(function* () {
            yield* database.forget
            assert.deepStrictEqual(yield* slot.read, Option.none())
            yield* isRefused(slot.write(credentialOf(6)))
            yield* isRefused(slot.remove)
            // The other gets the number that this one has.
            yield* write(other, 1)
            yield* isRefused(slot.write(credentialOf(6)))
            assert.deepStrictEqual(yield* generation(other), Option.some(1))
          })
        )
      }))

    test("a damaged value is kept, and told by name alone", (logged) =>
      Effect.gen(function* () {
        const store = yield* opened(database.store)
        yield* write(store, 1)
        yield* store.modify(keyOf("another"), (slot) => slot.write(credentialOf(1, keyOf("another"))))
        for (const text of [
          canary,
          `{"version":2,"secret":"${canary}"}`,
          `{"version":1,"credential":"${canary}"}`,
          ""
        ]) {
          yield* database.spoil(text)
          const failure = yield* Effect.flip(store.get(key))
          assert.deepInclude(failure, { _tag: "StoreFailed", reason: "Corrupt", store: name })
          assert.notInclude(inspect(failure, { depth: 9 }) + failure.message, canary)
          assert.lengthOf(yield* store.list, 1)
          assert.include(logged.join("\n"), "left out")
          // A login counts anew over what it cannot read.
          yield* write(store, 1)
          assert.deepStrictEqual(yield* generation(store), Option.some(1))
          assert.strictEqual(yield* database.damaged, text)
        }
        yield* store.modify(key, (slot) => slot.remove)
        assert.notStrictEqual(yield* database.damaged, "")
      }))

    test(
      "a holder's heart beats, however long it works",
      () =>
        Effect.gen(function* () {
          const store = yield* opened(database.store)
          yield* store.modify(key, () =>
            Effect.gen(function* () {
              const before = yield* database.leaseLasts
              yield* moment(50)
              let left = yield* database.leaseLasts
              assert.isBelow(left, before)
              // Time left only grows where somebody prolongs it.
              let grew = false
              for (let beats = 0; beats < 100 && !grew; beats++) {
                yield* TestClock.adjust("10 seconds")
                yield* moment(5)
                const now = yield* database.leaseLasts
                grew = now > left
                left = now
              }
              assert.isTrue(grew)
            })
          )
          assert.strictEqual(yield* database.leaseLasts, 0)
        }),
      it.effect
    )

    test(
      "a lease that is held is waited for, at most 60 s",
      () =>
        Effect.gen(function* () {
          const first = yield* opened(database.store)
          const second = yield* opened(database.store)
          yield* first.modify(key, () =>
            Effect.gen(function* () {
              for (const how of [Effect.interruptible, Effect.uninterruptible]) {
                const waiting = yield* Effect.forkChild(Effect.flip(how(write(second, 2))))
                const seconds = yield* pass(waiting, database.answered)
                assert.strictEqual((yield* Fiber.join(waiting)).reason, "Busy")
                assert.isTrue(seconds > 59 && seconds < 70, `${seconds} s`)
              }
            })
          )
        }),
      it.effect
    )

    test(
      "a server that hangs is Unavailable after 5 s, also where nobody can interrupt, and what it took over meanwhile is given back",
      () =>
        Effect.gen(function* () {
          const store = yield* opened(database.store)
          yield* write(store, 1)
          yield* Effect.gen(function* () {
            yield* Effect.acquireRelease(database.hang, () => Effect.orDie(database.resume))
            const tasks = [store.get(key), store.list, write(store, 2), Effect.uninterruptible(write(store, 2))]
            for (const task of tasks) {
              const waiting = yield* Effect.forkChild(Effect.flip(task))
              const seconds = yield* pass(waiting, moment(60))
              assert.deepInclude(yield* Fiber.join(waiting), { _tag: "StoreFailed", reason: "Unavailable" })
              // Twice where a lease may have been taken; a new connection takes real time besides, and they pass meanwhile.
              assert.isTrue(seconds >= 5 && seconds < 50, `${seconds} s`)
            }
          }).pipe(Effect.scoped)
        }),
      it.effect
    )
  })
}
