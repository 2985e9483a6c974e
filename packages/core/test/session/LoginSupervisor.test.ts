import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber, Layer, Logger, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { CredentialKey, CredentialStore, DeviceCode, Login, Logout, UserPrompt } from "keyfob"
import { hanging, issuer, json, metadata, named, provider, refused, type Reply, scripted, status } from "../scripted.ts"
import { credential, kept, person, source, storeFailed, tokens, write } from "./given.ts"

const device = json({
  device_code: "d",
  user_code: "u",
  verification_uri: `${issuer}/activate`,
  expires_in: 60
})

/** A provider that answers a device's poll, and a refresh, as it is told; prompts are counted. */
const scene = () => {
  const shown: Array<string> = []
  const answers: { poll: Reply; refresh: Reply; device: Reply } = {
    poll: refused("authorization_pending"),
    refresh: tokens(2),
    device
  }
  const { layer } = scripted({
    ...provider,
    [metadata.device_authorization_endpoint]: (request) => answers.device(request),
    [metadata.revocation_endpoint]: status(200),
    [metadata.token_endpoint]: (request) => {
      const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
      return body.includes("refresh_token") ? answers.refresh(request) : answers.poll(request)
    }
  })
  const prompt = Layer.succeed(UserPrompt, {
    deviceCode: ({ userCode }) => Effect.sync(() => void shown.push(userCode)),
    browser: ({ url }) => Effect.sync(() => void shown.push(url))
  })
  return { shown, answers, layer: Layer.mergeAll(CredentialStore.layerMemory, layer, prompt) }
}

const asked = Login.login(person)
/** What makes a person's key the one under which failed logins are noted. */
const noteKey = { subject: "client", scopes: [], resource: [], params: {}, use: "logins" } as const
const began = <A, E, R>(program: Effect.Effect<A, E, R>) => Effect.forkChild(program, { startImmediately: true })
const pass = (seconds: number) => Effect.repeat(TestClock.adjust("1 second"), { times: seconds - 1 })
const reasonOf = Effect.map(Effect.flip(asked), named)
/** A login nobody answers: the code lasts a minute. */
const unanswered = Effect.gen(function* () {
  const fiber = yield* began(Effect.exit(asked))
  yield* pass(61)
  return yield* Fiber.join(fiber)
})

describe("LoginSupervisor", () => {
  it.effect("of many callers one asks the person, and all have the credential it brought", () => {
    const { answers, layer, shown } = scene()
    return Effect.gen(function* () {
      const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () => began(asked))
      yield* pass(10)
      assert.lengthOf(shown, 1)
      answers.poll = tokens(1)
      yield* pass(5)
      const found = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual([...new Set(found.map(({ token }) => Redacted.value(token.value)))], ["access-1"])
      assert.lengthOf(shown, 1)
      // Who comes later wants another one.
      const later = yield* began(asked)
      yield* pass(6)
      assert.strictEqual((yield* Fiber.join(later)).generation, 2)
      assert.lengthOf(shown, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("the account is asked for one thing at a time: other scopes wait, and are asked for then", () => {
    const { answers, layer, shown } = scene()
    const other = DeviceCode.make({ issuer, clientId: "app", scopes: ["other"] })
    return Effect.gen(function* () {
      const first = yield* began(asked)
      const second = yield* began(Login.login(other))
      yield* pass(10)
      assert.lengthOf(shown, 1)
      answers.poll = tokens(1)
      yield* pass(12)
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      assert.lengthOf(shown, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a denial is everybody's, and one that was not answered in time counts once", () => {
    const { answers, layer, shown } = scene()
    return Effect.gen(function* () {
      for (const [reply, reason, seconds] of [
        [refused("access_denied"), "Denied", 6],
        [refused("authorization_pending"), "Expired", 61],
        [refused("authorization_pending"), "Expired", 61]
      ] as const) {
        answers.poll = reply
        const fibers = yield* Effect.forEach(Array.from({ length: 5 }), () => began(reasonOf))
        yield* pass(seconds)
        assert.deepStrictEqual([...new Set(yield* Effect.forEach(fibers, Fiber.join))], [`LoginFailed.${reason}`])
      }
      assert.lengthOf(shown, 3)
      yield* unanswered // the third
      assert.lengthOf(shown, 4)
      assert.strictEqual(yield* reasonOf, "LoginFailed.Unanswered")
    }).pipe(Effect.provide(layer))
  })

  it.effect("what failed logins left goes with a logout, which waits for nobody who is just signing in", () => {
    const { answers, layer } = scene()
    return Effect.gen(function* () {
      const notes = CredentialStore.use(({ get }) => get(CredentialKey.make({ ...person.key, ...noteKey })))
      yield* unanswered
      assert.isTrue(Option.isSome(yield* notes))
      yield* Logout.logout(person)
      assert.isTrue(Option.isNone(yield* notes))
      yield* unanswered
      const signingIn = yield* began(asked)
      yield* pass(2)
      const leaving = yield* began(Logout.logout(person))
      yield* pass(2)
      assert.isFalse((yield* Fiber.join(leaving)).removed)
      answers.poll = tokens(1)
      yield* pass(10)
      yield* Fiber.join(signingIn)
    }).pipe(Effect.provide(layer))
  })

  it.effect("after three unanswered prompts none is shown until a person asks", () => {
    const { answers, layer, shown } = scene()
    return Effect.gen(function* () {
      for (let attempt = 0; attempt < 3; attempt++) yield* unanswered
      for (let attempt = 0; attempt < 5; attempt++) assert.strictEqual(yield* reasonOf, "LoginFailed.Unanswered")
      assert.lengthOf(shown, 3)
      const store = yield* CredentialStore
      assert.deepStrictEqual(yield* store.list, [])
      // A person asks, and gives up: programs may ask again.
      const byPerson = yield* began(Login.login(person, { personAsked: true }))
      yield* pass(2)
      yield* Fiber.interrupt(byPerson)
      assert.lengthOf(shown, 4)
      answers.poll = tokens(1)
      const again = yield* began(asked)
      yield* pass(6)
      assert.isDefined((yield* Fiber.join(again)).signedInAt)
      assert.lengthOf(shown, 5)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a login that goes well is the end of the count", () => {
    const { answers, layer, shown } = scene()
    return Effect.gen(function* () {
      yield* unanswered
      yield* unanswered
      answers.poll = tokens(1)
      const good = yield* began(asked)
      yield* pass(6)
      yield* Fiber.join(good)
      answers.poll = refused("authorization_pending")
      yield* unanswered
      yield* unanswered
      yield* unanswered
      assert.lengthOf(shown, 6)
      assert.strictEqual(yield* reasonOf, "LoginFailed.Unanswered")
    }).pipe(Effect.provide(layer))
  })

  it.effect("one that is stopped hands over to the next, three times", () => {
    const { layer, shown } = scene()
    return Effect.gen(function* () {
      const fibers = yield* Effect.forEach(Array.from({ length: 5 }), () => began(asked))
      for (const [index, fiber] of fibers.slice(0, 3).entries()) {
        yield* pass(7)
        assert.lengthOf(shown, index + 1)
        yield* Fiber.interrupt(fiber)
      }
      yield* pass(1)
      for (const fiber of fibers.slice(3)) {
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isFailure(exit) && String(exit.cause).includes("nobody answered"), String(exit))
      }
      assert.lengthOf(shown, 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("one that is stopped before anybody was asked is no prompt that nobody answered", () => {
    const { answers, layer, shown } = scene()
    answers.device = hanging
    return Effect.gen(function* () {
      for (let login = 0; login < 3; login++) {
        const hangs = yield* began(asked)
        yield* pass(2)
        yield* Fiber.interrupt(hangs)
      }
      answers.device = device
      answers.poll = tokens(1)
      const good = yield* began(asked)
      yield* pass(6)
      yield* Fiber.join(good)
      assert.lengthOf(shown, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("who waits and is stopped, stops at once and changes nothing", () => {
    const { answers, layer, shown } = scene()
    return Effect.gen(function* () {
      const first = yield* began(asked)
      const second = yield* began(asked)
      yield* pass(6)
      yield* Fiber.interrupt(second)
      answers.poll = tokens(1)
      yield* pass(5)
      yield* Fiber.join(first)
      assert.lengthOf(shown, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "renewals do not wait for a login, nor logouts for more than a second; a renewal is not taken for one",
    () => {
      const { answers, layer, shown } = scene()
      return Effect.gen(function* () {
        yield* write(credential(1, { signedInAt: DateTime.makeUnsafe(0) }))
        const first = yield* began(asked)
        const second = yield* began(asked)
        yield* pass(6)
        const { renew } = yield* source()
        assert.strictEqual((yield* renew).outcome, "renewed")
        assert.deepInclude(yield* kept(), { access: "access-2" })
        yield* Fiber.interrupt(first)
        yield* pass(1)
        assert.lengthOf(shown, 2)
        const leaving = yield* began(Logout.logout(person))
        yield* TestClock.adjust("1 second")
        assert.deepInclude(yield* Fiber.join(leaving), { removed: true })
        answers.poll = tokens(9)
        yield* pass(6)
        assert.strictEqual(Redacted.value((yield* Fiber.join(second)).token.value), "access-9")
      }).pipe(Effect.provide(layer), Effect.scoped)
    }
  )

  it.effect("what failed before anybody was asked is nobody's outcome", () => {
    const { answers, layer, shown } = scene()
    answers.device = refused("invalid_client", 401)
    return Effect.gen(function* () {
      for (let attempt = 0; attempt < 5; attempt++) {
        assert.strictEqual(yield* reasonOf, "ProviderRefused.InvalidClient")
      }
      answers.device = device
      answers.poll = tokens(1)
      const good = yield* began(asked)
      yield* pass(6)
      yield* Fiber.join(good)
      assert.lengthOf(shown, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("waits longer than a store lets anybody wait, and says that it does", () => {
    const { answers, layer, shown } = scene()
    const said: Array<unknown> = []
    return Effect.gen(function* () {
      const store = yield* CredentialStore
      let busy = 5
      const impatient = CredentialStore.make({
        ...store,
        modify: (key, use) =>
          Effect.suspend(() =>
            key.use === "logins" && busy-- > 0
              ? Effect.delay(storeFailed("Busy"), "60 seconds")
              : store.modify(key, use)
          )
      })
      answers.poll = tokens(1)
      const fiber = yield* began(Effect.provideService(asked, CredentialStore, impatient))
      yield* pass(299)
      assert.lengthOf(shown, 0)
      yield* pass(10)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(said.length, 1)
      assert.match(String(said[0]), /another login of default is under way/)
      const other = DeviceCode.make({ issuer, clientId: "app", scopes: ["other"] })
      const onWaiting = Effect.sync(() => void said.push("told"))
      const first = yield* began(Login.login(other))
      const second = yield* began(Login.login(other, { onWaiting }))
      yield* pass(10)
      yield* Effect.forEach([first, second], Fiber.join)
      assert.deepStrictEqual(said.slice(1), ["told"])
    }).pipe(Effect.provide([layer, Logger.layer([Logger.make(({ message }) => void said.push(message))])]))
  })

  it.effect("a record that cannot be read hinders nobody, and it holds no secret", () => {
    const { answers, layer } = scene()
    return Effect.gen(function* () {
      yield* unanswered
      const store = yield* CredentialStore
      const records: Array<string> = []
      const damaged = CredentialStore.make({
        ...store,
        get: (key) => (key.use === "logins" ? storeFailed("Corrupt") : store.get(key)),
        modify: (key, use) =>
          store.modify(key, (slot) =>
            use({
              ...slot,
              read: key.use === "logins" ? storeFailed("Corrupt") : slot.read,
              write: (written) => {
                if (key.use === "logins") records.push(Redacted.value(written.token.value))
                return slot.write(written)
              }
            })
          )
      })
      const on = Effect.provideService(CredentialStore, damaged)
      answers.poll = refused("access_denied")
      const denied = yield* began(on(Effect.flip(asked)))
      yield* pass(6)
      assert.strictEqual(named(yield* Fiber.join(denied)), "LoginFailed.Denied")
      assert.deepStrictEqual(records, ['{"unanswered":0,"failures":1,"reason":"Denied"}'])
      answers.poll = tokens(1)
      const good = yield* began(on(asked))
      yield* pass(6)
      yield* Fiber.join(good)
      assert.isTrue(Option.isSome(yield* store.get(person.key)))
    }).pipe(Effect.provide(layer))
  })
})
