/** What storage and locks of a page can fail with, and what is left then. */
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import { AccessToken, BrowserCredentialStore, Credential, CredentialKey, CredentialStore } from "keyfob"
import { inspect } from "node:util"
import { pageLocks, pageStorage } from "./page.ts"

const canary = "canary-93bd"
const exposure: typeof BrowserCredentialStore.everyScriptOfThisOriginCanReadTheTokens =
  BrowserCredentialStore.everyScriptOfThisOriginCanReadTheTokens

/** Of its own for each test: locks have one space of names. */
const keyOf = (account: string) =>
  CredentialKey.make({
    issuer: "https://login.example.com",
    clientId: "app",
    account,
    subject: "user",
    scopes: [],
    resource: [],
    params: {}
  })

const credentialOf = (key: CredentialKey, generation: number) =>
  Credential.make({
    key,
    generation,
    token: AccessToken.make({ value: Redacted.make(canary), type: "Bearer", scopes: [] }),
    issuedAt: DateTime.makeUnsafe(0),
    refreshToken: Redacted.make(canary)
  })

const opened = (storage: BrowserCredentialStore.PageStorage, locks: BrowserCredentialStore.PageLocks = pageLocks) =>
  Effect.map(Layer.build(BrowserCredentialStore.layer({ storage, locks, exposure })), (context) =>
    Context.get(context, CredentialStore)
  )

const write = (store: CredentialStore["Service"], key: CredentialKey, generation: number) =>
  store.modify(key, (slot) => slot.write(credentialOf(key, generation)))

/** Until so many wait for a lock. */
const pending = (count: number) =>
  Effect.repeat(
    Effect.andThen(
      Effect.yieldNow,
      Effect.promise(() => navigator.locks.query())
    ),
    { until: ({ pending = [] }) => pending.length === count }
  )

const throwing = (name: string) => () => {
  throw new DOMException(canary, name)
}

it.effect("a page without locks is told so when the store is made", () =>
  Effect.gen(function* () {
    const layer = BrowserCredentialStore.layer({ storage: pageStorage(), locks: undefined, exposure })
    const error = yield* Effect.flip(Layer.build(layer))
    assert.deepInclude(error, { _tag: "ConfigurationInvalid", reason: "NotSupported" })
  })
)

it.effect("storage that is full, forbidden to write, forbidden to read", () =>
  Effect.gen(function* () {
    const key = keyOf("storage")
    const storage = pageStorage()
    yield* write(yield* opened(storage), key, 1)
    for (const [name, reason] of [
      ["QuotaExceededError", "Full"],
      ["SecurityError", "ReadOnly"]
    ] as const) {
      const store = yield* opened({ ...storage, getItem: storage.getItem, setItem: throwing(name) })
      const error = yield* Effect.flip(write(store, key, 2))
      assert.deepInclude(error, { _tag: "StoreFailed", reason, store: "browser", detail: name })
      assert.notInclude(inspect(error, { depth: 9 }) + error.message, canary)
      assert.strictEqual(Option.getOrThrow(yield* store.get(key)).generation, 1)
    }
    const closed = yield* opened({ ...storage, getItem: throwing("SecurityError") })
    assert.strictEqual((yield* Effect.flip(closed.get(key))).reason, "Unreadable")
  })
)

it.effect("a damaged value is kept when a login writes over it, and left out of the list", () => {
  const logged: Array<string> = []
  const listener = Logger.layer([Logger.make(({ message }) => logged.push(String(message)))])
  return Effect.gen(function* () {
    const key = keyOf("damaged")
    const storage = pageStorage()
    const store = yield* opened(storage)
    const name = `keyfob:${key.canonical}`
    yield* write(store, keyOf("whole"), 1)
    const another = storage.getItem(`keyfob:${keyOf("whole").canonical}`) ?? ""
    for (const text of [canary, `{"version":2,"secret":"${canary}"}`, "", another]) {
      storage.setItem(name, text)
      const error = yield* Effect.flip(store.get(key))
      assert.strictEqual(error.reason, "Corrupt")
      assert.notInclude(inspect(error, { depth: 9 }) + error.message, canary)
      assert.lengthOf(yield* store.list, 1)
      yield* write(store, key, 1)
      assert.strictEqual(storage.getItem(`${name}:damaged`), text)
      assert.lengthOf(yield* store.list, 2)
    }
    yield* store.modify(key, (slot) => slot.remove)
    assert.strictEqual(storage.length, 1)
    assert.include(logged.join("\n"), "left out")
    assert.notInclude(logged.join("\n"), canary)
  }).pipe(Effect.provide(listener))
})

it.effect("another tab is waited for, at most 60 s; who stops waiting leaves nothing behind", () =>
  Effect.gen(function* () {
    const key = keyOf("waiting")
    const storage = pageStorage()
    const [first, second] = [yield* opened(storage), yield* opened(storage)]
    yield* first.modify(key, () =>
      Effect.gen(function* () {
        const waiting = yield* Effect.forkChild(Effect.flip(write(second, key, 2)), { startImmediately: true })
        yield* pending(1)
        yield* TestClock.adjust("59 seconds")
        assert.isUndefined(waiting.pollUnsafe())
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(waiting)).reason, "Busy")
        const gone = yield* Effect.forkChild(write(second, key, 2), { startImmediately: true })
        yield* Fiber.interrupt(gone)
      })
    )
    yield* pending(0)
    yield* write(second, key, 3)
    // They are given back in a microtask of their own.
    yield* Effect.repeat(
      Effect.promise(() => navigator.locks.query()),
      { until: ({ held = [], pending = [] }) => held.length + pending.length === 0 }
    )
  })
)

it.effect("a lock that comes to who has been stopped goes back at once", () =>
  Effect.gen(function* () {
    const key = keyOf("stopped")
    let answer = () => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const late: BrowserCredentialStore.PageLocks = {
      request: (...asked) => answered.then(() => pageLocks.request(...asked))
    }
    const storage = pageStorage()
    const store = yield* opened(storage, late)
    const stopped = yield* Effect.forkChild(write(store, key, 1), { startImmediately: true })
    const stopping = yield* Effect.forkChild(Fiber.interrupt(stopped), { startImmediately: true })
    answer()
    yield* Fiber.join(stopping)
    yield* write(yield* opened(storage), key, 2)
    assert.strictEqual(Option.getOrThrow(yield* store.get(key)).generation, 2)
  })
)

it.effect("who waited for another tab reads what that wrote last, though a browser may show it a moment later", () =>
  Effect.gen(function* () {
    const key = keyOf("late")
    const storage = pageStorage()
    const first = yield* opened(storage)
    yield* write(first, key, 1)
    let shown = storage
    const late = { ...pageStorage(), getItem: (name: string) => shown.getItem(name) }
    const second = yield* opened(late)
    const waiting = yield* first.modify(key, (slot) =>
      Effect.gen(function* () {
        const before = storage.getItem(`keyfob:${key.canonical}`)
        shown = { ...storage, getItem: () => before }
        const reading = yield* Effect.forkDetach(second.modify(key, ({ read }) => read))
        yield* pending(1)
        yield* slot.write(credentialOf(key, 2))
        return reading
      })
    )
    yield* pending(0)
    yield* TestClock.adjust("50 millis")
    shown = storage
    yield* TestClock.adjust("100 millis")
    assert.strictEqual(Option.getOrThrow(yield* Fiber.join(waiting)).generation, 2)
  })
)

it.effect("locks that refuse are Unavailable", () =>
  Effect.gen(function* () {
    const refusing = { request: () => Promise.reject(new DOMException(canary, "SecurityError")) }
    const store = yield* opened(pageStorage(), refusing)
    const error = yield* Effect.flip(write(store, keyOf("refused"), 1))
    assert.deepInclude(error, { reason: "Unavailable", detail: "SecurityError" })
  })
)
