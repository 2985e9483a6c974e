/** A client that lives long in a host that does the HTTP itself, as the earlier library's did. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { SansIo } from "keyfob"
import { NativeClient, type Settings } from "@keyfob/auki"
import { FakeAuki } from "@keyfob/auki/testing"
import { alice, app, base, bob, known, tokenOf } from "./given.ts"

type Request = Extract<SansIo.Action, { readonly _tag: "Request" }>

/** The host: a client, and the services that it sends the requests to. */
const host = Effect.fnUntraced(function* (settings: Partial<Settings> = alice, state?: string) {
  const fake = yield* FakeAuki
  const now = Clock.currentTimeMillis
  const made = NativeClient.make(
    { ...base, ...settings },
    { now: yield* now, ...(state === undefined ? {} : { state }) }
  )
  const { actions, begin, feed, service } = yield* made
  const requests = () => actions().filter((action): action is Request => action._tag === "Request")
  const answer = Effect.fnUntraced(function* ({ body, headers, id, method, url }: Request) {
    const text = body === undefined ? "" : Redacted.value(body)
    const answer = yield* fake.handle({ method, path: url, headers: Redacted.value(headers), body: text })
    const answered = {
      status: answer.status,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(answer.body)
    }
    yield* feed({ now: yield* now, id, ...answered })
  })
  return {
    service,
    fake,
    feed,
    actions,
    answer,
    /** What is to be sent: ids, and the ends of their addresses. */
    open: () => requests().map(({ id, url }) => [id, new URL(url).pathname.split("/").at(-1) ?? ""] as const),
    requests,
    begin: <A, E>(operation: Effect.Effect<A, E>) => Effect.flatMap(now, (now) => begin(operation, now)),
    /** Begins it, and answers whatever is asked, one request after the other. */
    done: Effect.fnUntraced(function* <A, E>(operation: Effect.Effect<A, E>) {
      const fiber = yield* begin(operation, yield* now)
      const asked: Array<string> = []
      for (let [request] = requests(); request !== undefined; [request] = requests()) {
        asked.push(new URL(request.url).pathname)
        yield* answer(request)
      }
      const exit = fiber.pollUnsafe() ?? assert.fail("it waits for nobody")
      return { asked, exit, value: Exit.isSuccess(exit) ? exit.value : undefined }
    })
  }
})

const scene = FakeAuki.layer(known)
const minutes = (count: number) => TestClock.setTime(count * 60_000)
const login = "/user/login"
const refresh = "/user/refresh"
const discovery = "/service/domains-access-token"
const domain = (id: string) => `/api/v1/domains/${id}/auth`

describe("NativeClient", () => {
  it.effect("B-16 B-19 B-25 B-26 B-28 an operation yields what its first step needs; what is known needs nothing", () =>
    Effect.gen(function* () {
      const { actions, begin, done, open, service } = yield* host()
      assert.deepStrictEqual(actions(), [])
      const hall = yield* begin(service.domain("hall"))
      assert.deepStrictEqual(open(), [[1, "login"]])
      assert.isUndefined(hall.pollUnsafe())
      assert.deepStrictEqual((yield* done(service.discovery.token)).asked, [login, discovery, domain("hall")])
      assert.strictEqual((yield* Fiber.join(hall)).id, "hall")
      for (const known of [service.network.token, service.discovery.token, service.domains.token("hall")]) {
        const { asked, exit } = yield* done(known)
        assert.deepStrictEqual(asked, [])
        assert.isTrue(Exit.isSuccess(exit))
      }
    }).pipe(Effect.provide(scene))
  )

  it.effect("B-17 B-18 an app's key and a session that was brought along ask nobody for the first level", () =>
    Effect.gen(function* () {
      const brought = { method: "opaque", token: Redacted.make("given"), expiry_ms: 9e12 } as const
      for (const [settings, authorization] of [
        [app, `Basic ${btoa("app:app-canary")}`],
        [brought, "Bearer given"]
      ] as const) {
        const { done, service } = yield* host(settings)
        const { asked, value } = yield* done(service.network.token)
        assert.deepStrictEqual(asked, [])
        assert.strictEqual(value && Redacted.value(value.authorization), authorization)
      }
    }).pipe(Effect.provide(scene))
  )

  it.effect(
    "B-14 B-20 without a password nobody is asked; with a wrong one it is an error, and the client goes on",
    () =>
      Effect.gen(function* () {
        const { done, fake, service } = yield* host({ email: alice.email })
        const { asked, exit } = yield* done(service.network.token)
        assert.deepStrictEqual(asked, [])
        assert.isTrue(Exit.isFailure(exit))
        assert.isTrue(Exit.isFailure((yield* done(service.login({ password: Redacted.make("wrong") }))).exit))
        assert.isTrue(Exit.isSuccess((yield* done(service.login({ password: alice.password }))).exit))
        assert.lengthOf(fake.to(login), 2)
      }).pipe(Effect.provide(scene))
  )

  it.effect("B-34 all three ended: refresh, discovery, domain, a request at a time", () =>
    Effect.gen(function* () {
      const { done, service } = yield* host()
      yield* done(service.domain("hall"))
      yield* minutes(61)
      const { asked } = yield* done(service.domain("hall"))
      assert.deepStrictEqual(asked, [refresh, discovery, domain("hall")])
    }).pipe(Effect.provide(scene))
  )

  it.effect("B.8#2 R6 two domains at once: answered in another order, and one not at all, each has its own", () =>
    Effect.gen(function* () {
      const { answer, begin, done, feed, open, requests, service } = yield* host()
      yield* done(service.discovery.token)
      const [a, b, lost] = [
        yield* begin(service.domain("a")),
        yield* begin(service.domain("b")),
        yield* begin(service.domain("lost"))
      ]
      assert.lengthOf(open(), 3)
      const [first, second, third] = requests()
      if (first === undefined || second === undefined || third === undefined) return assert.fail()
      yield* feed({ now: yield* Clock.currentTimeMillis, id: third.id })
      yield* answer(second)
      yield* answer(first)
      yield* feed({ now: yield* Clock.currentTimeMillis, id: first.id, status: 200, body: "too late" })
      assert.strictEqual((yield* Fiber.join(a)).id, "a")
      assert.strictEqual((yield* Fiber.join(b)).id, "b")
      assert.isUndefined(lost.pollUnsafe(), "it pauses, and tries again")
    }).pipe(Effect.provide(scene))
  )

  it.effect("B.8#3 R2 operations that begin while a session is renewed share that renewal", () =>
    Effect.gen(function* () {
      const { begin, done, fake, open, service } = yield* host()
      yield* done(service.domain("hall"))
      yield* minutes(61)
      const all = [
        yield* begin(service.network.token),
        yield* begin(service.domain("a")),
        yield* begin(service.domain("b"))
      ]
      assert.deepStrictEqual(
        open().map(([, end]) => end),
        ["refresh"]
      )
      yield* done(service.network.token)
      assert.isTrue(all.every((one) => one.pollUnsafe()?._tag === "Success"))
      assert.lengthOf(fake.to(refresh), 1)
    }).pipe(Effect.provide(scene))
  )

  it.effect("B-38 R15 somebody else has a client of their own; a logout leaves nothing of this one's", () =>
    Effect.gen(function* () {
      const { done, service } = yield* host()
      yield* done(service.domain("hall"))
      assert.isTrue(Exit.isFailure((yield* done(service.login(bob))).exit))
      const other = yield* host(bob)
      const { asked, value } = yield* other.done(other.service.domain("hall"))
      assert.deepStrictEqual(asked, [login, discovery, domain("hall")])
      assert.include(atob(tokenOf(value ?? assert.fail()).split(".")[1] ?? ""), bob.email)
      yield* done(service.logout)
      const { asked: none, exit } = yield* done(service.domain("hall"))
      assert.deepStrictEqual([none, Exit.isFailure(exit)], [[], true])
    }).pipe(Effect.provide(scene))
  )

  it.effect("events are a stream, in the order of the answers", () =>
    Effect.gen(function* () {
      const { done, service } = yield* host()
      const events = yield* Effect.forkChild(Stream.runCollect(Stream.take(service.events, 3)), {
        startImmediately: true
      })
      yield* Effect.yieldNow
      yield* done(service.domain("hall"))
      assert.deepStrictEqual(
        Array.from(yield* Fiber.join(events), ({ _tag, key }) => `${_tag} ${key.links?.join("/") ?? "network"}`),
        ["Renewed network", "Renewed discovery", "Renewed discovery/domain/hall"]
      )
    }).pipe(Effect.provide(scene))
  )
})

describe("NativeClient: time", () => {
  it.effect.each([0, Date.UTC(2100, 0)])("B.8#10 at %d an end is counted from the host's clock, and no other", (then) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(then)
      const { done, service } = yield* host()
      const { value } = yield* done(service.network.token)
      assert.strictEqual(value?.expiresAt?.epochMilliseconds, then + 3_600_000)
      yield* TestClock.setTime(then + 61 * 60_000)
      const renewed = yield* done(service.network.token)
      assert.deepStrictEqual(renewed.asked, [refresh])
      assert.strictEqual(renewed.value?.expiresAt?.epochMilliseconds, then + 121 * 60_000)
    }).pipe(Effect.provide(scene))
  )
})

describe("NativeClient: state", () => {
  it.effect("X-02 R3 a rotated token can be kept before anything is sent that came with it", () =>
    Effect.gen(function* () {
      const { answer, begin, done, open, requests, service } = yield* host()
      yield* done(service.domain("hall"))
      yield* minutes(61)
      yield* begin(service.domain("hall"))
      yield* answer(requests()[0] ?? assert.fail())
      assert.deepStrictEqual(
        open().map(([, end]) => end),
        ["domains-access-token"]
      )
      const kept = yield* begin(service.save)
      assert.include(yield* Fiber.join(kept), "refresh-4")
    }).pipe(Effect.provide(scene))
  )

  it.effect("B-07 B-08 B-31 what was saved goes on in the next process; what was under way is not in it", () =>
    Effect.gen(function* () {
      const one = yield* host()
      yield* one.begin(one.service.domain("hall"))
      const early = yield* Fiber.join(yield* one.begin(one.service.save))
      assert.deepStrictEqual(JSON.parse(early), { version: 1, of: JSON.parse(early).of, session: [] })
      const { value: before } = yield* one.done(one.service.domain("hall"))
      const state = (yield* one.done(one.service.save)).value ?? assert.fail()
      assert.notInclude(state, "canary")
      const other = yield* host(alice, state)
      const { asked, value } = yield* other.done(other.service.domain("hall"))
      assert.deepStrictEqual(asked, [])
      assert.strictEqual(tokenOf(value ?? assert.fail()), tokenOf(before ?? assert.fail()))
    }).pipe(Effect.provide(scene))
  )

  it.effect("R3 X-11 a refresh's answer that comes late is in hand, and not let go of for a timeout", () =>
    Effect.gen(function* () {
      const { answer, begin, done, fake, requests, service } = yield* host()
      yield* done(service.network.token)
      yield* minutes(61)
      const renewed = yield* begin(service.network.token)
      const [request] = requests()
      yield* minutes(62)
      yield* answer(request ?? assert.fail())
      assert.isTrue(Exit.isSuccess(renewed.pollUnsafe() ?? assert.fail()))
      assert.include((yield* done(service.save)).value ?? "", "refresh-2")
      assert.lengthOf(fake.to(refresh), 1)
    }).pipe(Effect.provide(scene))
  )

  it.effect(
    "R3 a process that ended in the middle of a refresh: the next one asks once more, and then for a password",
    () =>
      Effect.gen(function* () {
        const one = yield* host()
        yield* one.done(one.service.network.token)
        yield* minutes(61)
        yield* one.begin(one.service.network.token)
        const state = yield* Fiber.join(yield* one.begin(one.service.save))
        one.fake.endSessions() // the request got through, its answer was lost
        const other = yield* host({ email: alice.email }, state)
        const { asked, exit } = yield* other.done(other.service.network.token)
        assert.deepStrictEqual(asked, [refresh])
        assert.deepInclude(yield* Effect.flip(exit), { _tag: "ConfigurationInvalid", reason: "MissingValue" })
        assert.lengthOf(one.fake.to(login), 1)
      }).pipe(Effect.provide(scene))
  )

  it.effect("R11 another account's, service's or client's state makes no client; the predecessor's does", () =>
    Effect.gen(function* () {
      const one = yield* host()
      yield* one.done(one.service.network.token)
      const state = (yield* one.done(one.service.save)).value ?? assert.fail()
      for (const other of [bob, { ...alice, client_id: "another" }, { ...alice, api_url: "https://api.else.test" }]) {
        const refused = yield* Effect.flip(host(other, state))
        assert.deepInclude(refused, { _tag: "ConfigurationInvalid", reason: "InvalidValue" })
      }
      const network_auth = { token: "old-token", refresh_token: "old-refresh", expires_at: 60_000 }
      const old = yield* host(alice, JSON.stringify({ network_auth, discovery_auth: null, domain_accesses: {} }))
      const { asked, value } = yield* old.done(old.service.network.token)
      assert.deepStrictEqual([asked, value && Redacted.value(value.value)], [[], "old-token"])
    }).pipe(Effect.provide(scene))
  )

  it.effect("B.8#1 B.8#11 R13 an app's secret is in no state, and no credential in what is printed of an action", () =>
    Effect.gen(function* () {
      const { actions, begin, done, service } = yield* host(app)
      yield* begin(service.domain("hall"))
      assert.notInclude(JSON.stringify(actions()) + String(actions()), btoa("app:app-canary"))
      yield* done(service.domain("hall"))
      const state = (yield* done(service.save)).value ?? assert.fail()
      for (const secret of ["app-canary", btoa("app:app-canary")]) assert.notInclude(state, secret)
    }).pipe(Effect.provide(scene))
  )
})
