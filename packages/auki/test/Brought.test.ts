import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Credential, CredentialStore, Explain, StoreFailed } from "keyfob"
import { Auki, keyOf, type Settings } from "@keyfob/auki"
import { apiUrl, FakeAuki } from "@keyfob/auki/testing"
import { alice, base, bob, counts, domain, inTime, known, nextProcess, tokenOf } from "./given.ts"

const minutes = (count: number) => TestClock.setTime(count * 60_000)
const world = Layer.fresh(Layer.merge(FakeAuki.layer(known), CredentialStore.layerMemory))

type Session = { readonly access_token: string; readonly refresh_token: string }

/** What somebody has from elsewhere: a session that the services know. */
const sessionOf = Effect.fnUntraced(function* ({ email, password }: typeof alice) {
  const { handle } = yield* FakeAuki
  const body = JSON.stringify({ email, password: Redacted.value(password) })
  const { body: session } = yield* handle({ method: "POST", path: `${apiUrl}/user/login`, headers: {}, body })
  return session as Session // what the fake answers to a login
})

const opaque = ({ access_token }: Session) => ({ method: "opaque", token: Redacted.make(access_token) }) as const
const renewable = (session: Session) => ({
  ...opaque(session),
  refresh_token: Redacted.make(session.refresh_token)
})
const oidc = (session: Session) =>
  ({ ...opaque(session), method: "oidc", issuer: "https://id.example", oidc_client_id: "spaces" }) as const
const nothing: Partial<Settings> = { method: "opaque" }

const network = Auki.use(({ network }) => network.token)
const discovery = Auki.use(({ discovery }) => discovery.token)
const shown = ({ value }: { readonly value: Redacted.Redacted }) => Redacted.value(value)
const subOf = (jwt: string): unknown => JSON.parse(atob(jwt.split(".")[1] ?? "")).sub

const keyOfSession = keyOf({ ...base, method: "opaque" }, "default")
const kept = Effect.map(
  CredentialStore.use(({ get }) => get(keyOfSession)),
  Option.getOrThrow
)

/** What a version before this one wrote. */
const asBefore = Effect.gen(function* () {
  const { begunWith: _, ...rest } = yield* kept
  const before = Credential.make(rest)
  yield* CredentialStore.use(({ modify }) => modify(before.key, ({ write }) => write(before)))
})

/** Where somebody is held up with their turn at the session's place, and others come meanwhile. */
const heldUp = (at: "turn" | "written") =>
  Effect.gen(function* () {
    const store = yield* CredentialStore
    const [reached, open] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    let left = 0
    const wait = Effect.suspend(() =>
      left-- === 1 ? Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(open)) : Effect.void
    )
    const shared = CredentialStore.make({
      ...store,
      modify: (key, change) => {
        const turn = store.modify(key, (slot) =>
          change(at === "turn" ? slot : { ...slot, write: (one) => Effect.tap(slot.write(one), () => wait) })
        )
        return at === "turn" ? Effect.andThen(wait, turn) : turn
      }
    })
    const arm = (times = 1) => Effect.sync(() => void (left = times))
    return { shared, arm, reached: Deferred.await(reached), open: Deferred.succeed(open, undefined) }
  })

describe("a token that was brought, and then another", () => {
  const ways = { opaque, oidc }
  const orders = { "a domain": [domain("a")], "the network, then a domain": [network, domain("a")] } as const
  for (const [method, way] of Object.entries(ways)) {
    for (const [what, asked] of Object.entries(orders)) {
      it.effect(
        `attack: R15 B.8#9 ${method}: who brings theirs and asks for ${what} has nothing of the one before`,
        () =>
          Effect.gen(function* () {
            const a = yield* sessionOf(alice)
            const b = yield* sessionOf(bob)
            const before = yield* nextProcess(way(a), domain("a"))
            assert.strictEqual(subOf(tokenOf(before)), alice.email)
            // In the same millisecond: no time tells the two apart.
            yield* nextProcess(way(b), Effect.all(asked))
            const after = yield* nextProcess(way(b), domain("a"))
            assert.strictEqual(subOf(tokenOf(after)), bob.email)
            assert.strictEqual(shown(yield* nextProcess(way(b), network)), b.access_token)
            assert.strictEqual(subOf(shown(yield* nextProcess(way(b), discovery))), bob.email)
            const { to } = yield* FakeAuki
            assert.deepStrictEqual(
              to("/service/domains-access-token").map(({ headers }) => headers["authorization"]),
              [`Bearer ${a.access_token}`, `Bearer ${b.access_token}`]
            )
            // And back again.
            assert.strictEqual(subOf(tokenOf(yield* nextProcess(way(a), domain("a")))), alice.email)
          }).pipe(Effect.provide(world))
      )
    }
  }

  it.effect("who brings none has what is there, at every level", () =>
    Effect.gen(function* () {
      const given = opaque(yield* sessionOf(alice))
      const before = yield* nextProcess(given, domain("a"))
      assert.strictEqual(tokenOf(yield* nextProcess(nothing, domain("a"))), tokenOf(before))
      assert.deepStrictEqual(yield* counts, [1, 0, 1, 1])
    }).pipe(Effect.provide(world))
  )

  it.effect("a session stays that of its token when it is renewed, by whoever", () =>
    Effect.gen(function* () {
      const given = renewable(yield* sessionOf(alice))
      for (const [hour, settings] of [given, nothing, given].entries()) {
        yield* minutes(61 * hour)
        const token = yield* nextProcess(settings, network)
        assert.strictEqual(shown(token), shown(yield* nextProcess(given, network)))
        assert.strictEqual(shown(token), shown(yield* nextProcess(nothing, network)))
      }
      assert.deepStrictEqual(yield* counts, [1, 2, 0, 0])
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "a token that nothing renews is brought again as its end comes near: the session is the same, at every level",
    () =>
      Effect.gen(function* () {
        const given = opaque(yield* sessionOf(alice))
        yield* nextProcess(given, network)
        yield* minutes(58)
        const before = yield* nextProcess(given, domain("a"))
        yield* minutes(59.5)
        assert.strictEqual(tokenOf(yield* nextProcess(given, domain("a"))), tokenOf(before))
        yield* nextProcess(given, network)
        assert.strictEqual(tokenOf(yield* nextProcess(given, domain("a"))), tokenOf(before))
        assert.deepStrictEqual(yield* counts, [1, 0, 1, 1])
      }).pipe(Effect.provide(world))
  )

  it.effect.each([
    [404, {}],
    [402, { error: "payment" }]
  ] as const)("R1 R4 a renewal that is answered %s %o is no end: what the session has become stays", ([status, body]) =>
    Effect.gen(function* () {
      const given = renewable(yield* sessionOf(alice))
      yield* nextProcess(given, network)
      yield* minutes(61)
      yield* nextProcess(given, network)
      const { refreshToken } = yield* kept
      yield* minutes(122)
      const { next } = yield* FakeAuki
      next("/user/refresh", { status, body })
      assert.deepInclude(yield* Effect.flip(nextProcess(given, network)), { _tag: "ProviderRefused", status })
      assert.deepStrictEqual((yield* kept).refreshToken, refreshToken)
      yield* nextProcess(given, network)
      assert.deepStrictEqual(yield* counts, [1, 3, 0, 0])
    }).pipe(Effect.provide(world))
  )

  it.effect("attack: R4 that the services ended it is no new beginning, in the next program either", () =>
    Effect.gen(function* () {
      const given = renewable(yield* sessionOf(alice))
      yield* minutes(61)
      yield* nextProcess(given, network)
      yield* minutes(122)
      const { endSessions } = yield* FakeAuki
      endSessions()
      for (const _ of [1, 2, 3]) {
        assert.deepInclude(yield* Effect.flip(nextProcess(given, network)), { reason: "RefreshRefused" })
      }
      assert.deepStrictEqual(yield* counts, [1, 2, 0, 0])
      const plan = Auki.use(({ plan }) => plan())
      assert.strictEqual(Explain.json(yield* nextProcess(given, plan)).nodes[0]?.step, "sign in")
      // Another that they have had since is one.
      const next = opaque(yield* sessionOf(alice))
      assert.strictEqual(shown(yield* nextProcess(next, network)), shown({ value: next.token }))
    }).pipe(Effect.provide(world))
  )

  it.effect("attack: R1 R2 who signs in with it again goes on with what it has become: its first is spent", () =>
    Effect.gen(function* () {
      const given = renewable(yield* sessionOf(alice))
      yield* nextProcess(given, network)
      yield* minutes(61)
      const renewed = yield* nextProcess(given, network)
      const login = Auki.use(({ login, network }) => Effect.andThen(login(), network.token))
      assert.strictEqual(shown(yield* nextProcess(given, login)), shown(renewed))
      yield* minutes(122)
      yield* nextProcess(given, network)
      assert.deepStrictEqual(yield* counts, [1, 2, 0, 0])
    }).pipe(Effect.provide(world))
  )

  it.effect("attack: R1 R3 nor does that put it back over what could not be written yet", () =>
    Effect.gen(function* () {
      const given = renewable(yield* sessionOf(alice))
      const store = yield* CredentialStore
      const failure = new StoreFailed({ reason: "Full", store: "test", location: "a place" })
      let isFull = false
      const full = CredentialStore.make({
        ...store,
        modify: (key, change) =>
          store.modify(key, (slot) =>
            // The mark is written, and what comes of it is not.
            change({ ...slot, write: (one) => (isFull && one.spending === undefined ? failure : slot.write(one)) })
          )
      })
      const program = Effect.gen(function* () {
        const { login, network } = yield* Auki
        yield* network.token
        yield* minutes(61)
        isFull = true
        assert.deepStrictEqual(yield* inTime(Effect.flip(network.token)), failure)
        isFull = false
        yield* login()
        yield* network.token
      })
      yield* Effect.provideService(nextProcess(given, program), CredentialStore, full)
      assert.deepStrictEqual(yield* counts, [1, 1, 0, 0])
    }).pipe(Effect.provide(world))
  )

  it.effect("B-34 what hangs on it is had anew with each renewal that it ends before", () =>
    Effect.gen(function* () {
      const given = renewable(yield* sessionOf(alice))
      for (const hour of [0, 1, 2]) {
        yield* minutes(61 * hour)
        assert.strictEqual(subOf(tokenOf(yield* nextProcess(given, domain("a")))), alice.email)
      }
      assert.deepStrictEqual(yield* counts, [1, 2, 3, 3])
    }).pipe(Effect.provide(world))
  )

  it.effect("R2 several who bring one token at once share what becomes of it", () =>
    Effect.gen(function* () {
      const given = renewable(yield* sessionOf(alice))
      yield* minutes(61)
      const all = yield* Effect.all(
        Array.from({ length: 10 }, () => nextProcess(given, network)),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(new Set(all.map(shown)), 1)
      assert.deepStrictEqual(yield* counts, [1, 1, 0, 0])
    }).pipe(Effect.provide(world))
  )

  it.effect("R15 and two who bring different ones at once have each their own", () =>
    Effect.gen(function* () {
      const given = [opaque(yield* sessionOf(alice)), opaque(yield* sessionOf(bob))]
      const asked = Array.from({ length: 20 }, (_, index) => nextProcess(given[index % 2] ?? nothing, domain("a")))
      const all = yield* Effect.all(asked, { concurrency: "unbounded" })
      for (const [index, access] of all.entries()) {
        assert.strictEqual(subOf(tokenOf(access)), index % 2 === 0 ? alice.email : bob.email)
      }
    }).pipe(Effect.provide(world))
  )

  it.effect("a token that is of no use takes nothing from who is signed in", () =>
    Effect.gen(function* () {
      const given = renewable(yield* sessionOf(alice))
      yield* nextProcess(given, network)
      yield* minutes(2)
      const ended = { method: "opaque", token: Redacted.make("ended"), expiry_ms: 60_000 } as const
      assert.deepInclude(yield* Effect.flip(nextProcess(ended, domain("a"))), { _tag: "LoginRequired" })
      yield* minutes(61)
      yield* nextProcess(given, network)
      assert.deepStrictEqual(yield* counts, [1, 1, 0, 0])
    }).pipe(Effect.provide(world))
  )

  it.effect("R15 signed in with another in one program, it is that one's from then on, in this program", () =>
    Effect.gen(function* () {
      const a = opaque(yield* sessionOf(alice))
      const b = opaque(yield* sessionOf(bob))
      const program = Effect.gen(function* () {
        const { domain, login, save } = yield* Auki
        yield* domain("a")
        yield* login({ token: b.token })
        const after = yield* domain("a")
        assert.strictEqual(subOf(tokenOf(after)), bob.email)
        assert.include(yield* save, shown(after.token))
      })
      yield* nextProcess(a, program)
      assert.strictEqual(subOf(tokenOf(yield* nextProcess(a, domain("a")))), alice.email)
    }).pipe(Effect.provide(world))
  )

  it.effect("attack: R15 the refresh token beside the settings' own is not the next one's, nor is its end", () =>
    Effect.gen(function* () {
      const a = { ...renewable(yield* sessionOf(alice)), expiry_ms: 60_000 }
      const b = opaque(yield* sessionOf(bob))
      const program = Effect.gen(function* () {
        const { login, network } = yield* Auki
        yield* login({ token: b.token })
        yield* minutes(2)
        assert.strictEqual(subOf(shown(yield* network.token)), bob.email)
        yield* minutes(61)
        assert.deepInclude(yield* Effect.flip(network.token), { _tag: "LoginRequired" })
      })
      yield* nextProcess(a, program)
      assert.deepStrictEqual(yield* counts, [2, 0, 0, 0])
    }).pipe(Effect.provide(world))
  )

  it.effect("attack: R15 nor does who asks while another signs in put the session before in its place", () =>
    Effect.gen(function* () {
      const a = opaque(yield* sessionOf(alice))
      const b = renewable(yield* sessionOf(bob))
      const store = yield* CredentialStore
      // Where what was written can be read before its writer hears of it, as with any store that is shared.
      const shared = CredentialStore.of({
        ...store,
        modify: (key, change) =>
          Effect.tap(store.modify(key, change), () => Effect.repeat(Effect.yieldNow, { times: 20 }))
      })
      const program = Effect.gen(function* () {
        const { login, network } = yield* Auki
        yield* network.token
        const ask = Effect.andThen(Effect.exit(network.token), Effect.yieldNow)
        const asking = yield* Effect.forkChild(Effect.forever(ask), { startImmediately: true })
        yield* login(b)
        assert.strictEqual(subOf(shown(yield* network.token)), bob.email)
        yield* Fiber.interrupt(asking)
        assert.strictEqual(subOf(shown(yield* network.token)), bob.email)
      })
      yield* Effect.provideService(nextProcess(a, program), CredentialStore, shared)
    }).pipe(Effect.provide(world))
  )

  it.effect("attack: R15 a login that is given up takes nothing from one that went well meanwhile", () =>
    Effect.gen(function* () {
      const [a, b, c] = [opaque(yield* sessionOf(alice)), renewable(yield* sessionOf(bob)), yield* sessionOf(alice)]
      const { arm, reached, shared } = yield* heldUp("turn")
      const program = Effect.gen(function* () {
        const { login, network } = yield* Auki
        yield* network.token
        yield* arm()
        const given = yield* Effect.forkChild(login(opaque(c)), { startImmediately: true })
        yield* reached
        yield* login(b)
        yield* Fiber.interrupt(given)
        assert.strictEqual(subOf(shown(yield* network.token)), bob.email)
      })
      yield* Effect.provideService(nextProcess(a, program), CredentialStore, shared)
    }).pipe(Effect.provide(world))
  )

  it.effect("attack: R1 a login that is given up while it is written is there: the next call goes on with it", () =>
    Effect.gen(function* () {
      const [a, b] = [renewable(yield* sessionOf(alice)), renewable(yield* sessionOf(bob))]
      const { arm, open, reached, shared } = yield* heldUp("written")
      const program = Effect.gen(function* () {
        const { login, network } = yield* Auki
        yield* network.token
        yield* arm()
        const given = yield* Effect.forkChild(login(b), { startImmediately: true })
        yield* reached
        const gone = yield* Effect.forkChild(Fiber.interrupt(given), { startImmediately: true })
        const asked = yield* Effect.forkChild(network.token, { startImmediately: true })
        yield* open
        yield* Fiber.join(gone)
        yield* Fiber.join(asked)
        assert.strictEqual(subOf(shown(yield* network.token)), bob.email)
      })
      yield* Effect.provideService(nextProcess(a, program), CredentialStore, shared)
    }).pipe(Effect.provide(world))
  )

  it.effect("attack: R1 R2 who asks before another's session is kept neither begins nor renews it in its stead", () =>
    Effect.gen(function* () {
      const [a, b] = [renewable(yield* sessionOf(alice)), renewable(yield* sessionOf(bob))]
      const { arm, open, reached, shared } = yield* heldUp("turn")
      yield* minutes(61)
      const program = Effect.gen(function* () {
        const { login, network } = yield* Auki
        yield* network.token
        yield* minutes(122)
        yield* arm(2) // not as it looks whether it may be written
        const signingIn = yield* Effect.forkChild(login(b), { startImmediately: true })
        yield* reached
        const meanwhile = yield* Effect.forkChild(network.token, { startImmediately: true })
        assert.strictEqual(subOf(shown(yield* Fiber.join(meanwhile))), alice.email)
        yield* open
        yield* Fiber.join(signingIn)
        for (const _ of [1, 2]) assert.strictEqual(subOf(shown(yield* network.token)), bob.email)
      })
      yield* Effect.provideService(nextProcess(a, program), CredentialStore, shared)
      assert.deepStrictEqual(yield* counts, [2, 3, 0, 0])
    }).pipe(Effect.provide(world))
  )

  it.effect("what is kept says what it began with by a digest", () =>
    Effect.gen(function* () {
      const session = yield* sessionOf(alice)
      yield* nextProcess(renewable(session), network)
      yield* minutes(61)
      yield* nextProcess(renewable(session), domain("a"))
      const state = yield* nextProcess(
        nothing,
        Auki.use(({ save }) => save)
      )
      assert.notInclude(state, session.access_token)
      assert.match((yield* kept).begunWith ?? "", /^[\w-]{43}$/)
    }).pipe(Effect.provide(world))
  )
})

describe("a session that was kept before sessions said what they began with", () => {
  it.effect("is that of its token, and says so from its next renewal on", () =>
    Effect.gen(function* () {
      const session = yield* sessionOf(alice)
      yield* nextProcess(renewable(session), network)
      yield* asBefore
      yield* minutes(61)
      // What its refresh token is, is known to the store alone.
      const renewed = yield* nextProcess(opaque(session), network)
      assert.strictEqual(shown(yield* nextProcess(opaque(session), network)), shown(renewed))
      assert.deepStrictEqual(yield* counts, [1, 1, 0, 0])
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "R15 renewed since, it is nobody's who brings a token: they begin anew. Who brings none goes on with it",
    () =>
      Effect.gen(function* () {
        const a = yield* sessionOf(alice)
        yield* nextProcess(renewable(a), network)
        yield* minutes(61)
        const renewed = yield* nextProcess(renewable(a), network)
        yield* asBefore
        assert.strictEqual(shown(yield* nextProcess(nothing, network)), shown(renewed))
        const b = yield* sessionOf(bob)
        assert.strictEqual(subOf(tokenOf(yield* nextProcess(opaque(b), domain("a")))), bob.email)
      }).pipe(Effect.provide(world))
  )
})

describe("a saved session", () => {
  const predecessorOf = ({ access_token: token, refresh_token }: Session) => {
    const { exp } = JSON.parse(atob(token.split(".")[1] ?? ""))
    const network_auth = { token, refresh_token, expires_at: exp * 1000 }
    return JSON.stringify({ network_auth, discovery_auth: null, domain_accesses: {} })
  }
  const save = Auki.use(({ save }) => save)
  const restored = (state: string) => Auki.use(({ network, restore }) => Effect.andThen(restore(state), network.token))
  const elsewhere = <A, E>(settings: Partial<Settings>, use: Effect.Effect<A, E, Auki>) =>
    Effect.provide(use, Layer.fresh(Auki.layer({ ...base, ...settings })))

  it.effect("R15 is taken up with its own token or none, and with another not, nor given to who brings that", () =>
    Effect.gen(function* () {
      const a = yield* sessionOf(alice)
      const b = yield* sessionOf(bob)
      yield* nextProcess(renewable(a), network)
      yield* minutes(61)
      const renewed = shown(yield* nextProcess(renewable(a), network))
      yield* nextProcess(renewable(a), domain("a"))
      const state = yield* nextProcess(renewable(a), save)
      assert.strictEqual(shown(yield* elsewhere(renewable(a), restored(state))), renewed)
      assert.strictEqual(shown(yield* elsewhere(nothing, restored(state))), renewed)
      const fresh = renewable(yield* sessionOf(bob))
      assert.strictEqual(shown(yield* elsewhere(fresh, restored(state))), shown({ value: fresh.token }))
      assert.deepStrictEqual(JSON.parse(yield* nextProcess(opaque(b), save)).session, [])
    }).pipe(Effect.provide(world))
  )

  it.effect("R15 takes the place of another's that came since, and counts on", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* sessionOf(alice), yield* sessionOf(bob)]
      yield* minutes(61)
      const state = yield* elsewhere(renewable(b), Effect.andThen(network, save))
      const [renewed] = JSON.parse(state).session
      yield* minutes(62)
      yield* nextProcess(renewable(a), network)
      assert.strictEqual((yield* kept).generation, 2)
      assert.strictEqual(shown(yield* nextProcess(opaque(b), restored(state))), renewed.token.value)
      assert.strictEqual((yield* kept).generation, 3)
    }).pipe(Effect.provide(world))
  )

  it.effect("R1 R15 of another, it takes nothing from what is there, be it of this library or of the predecessor", () =>
    Effect.gen(function* () {
      const b = renewable(yield* sessionOf(bob))
      yield* minutes(61)
      const renewed = shown(yield* nextProcess(b, network))
      yield* minutes(62)
      const a = yield* sessionOf(alice)
      const state = yield* elsewhere(renewable(a), Effect.andThen(network, save))
      for (const text of [state, predecessorOf(a)]) {
        assert.strictEqual(shown(yield* nextProcess(b, restored(text))), renewed)
      }
    }).pipe(Effect.provide(world))
  )

  it.effect("attack: R1 R15 takes nothing from who signs in while it is taken up", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* sessionOf(alice), yield* sessionOf(bob)]
      yield* minutes(61)
      const state = yield* elsewhere(renewable(a), Effect.andThen(network, save))
      yield* minutes(60)
      for (const text of [state, predecessorOf(a)]) {
        const { arm, open, reached, shared } = yield* heldUp("turn")
        const program = Effect.gen(function* () {
          const { login, network, restore } = yield* Auki
          yield* arm()
          const restoring = yield* Effect.forkChild(restore(text), { startImmediately: true })
          yield* reached
          yield* login(renewable(b))
          yield* open
          yield* Fiber.join(restoring)
          assert.strictEqual(subOf(shown(yield* network.token)), bob.email)
        })
        yield* Effect.provideService(nextProcess(renewable(a), program), CredentialStore, shared)
      }
    }).pipe(Effect.provide(world))
  )

  it.effect("R15 the predecessor's takes the place of another's, though that ends later", () =>
    Effect.gen(function* () {
      const b = yield* sessionOf(bob)
      yield* minutes(1)
      yield* nextProcess(opaque(yield* sessionOf(alice)), network)
      yield* nextProcess(opaque(b), restored(predecessorOf(b)))
      yield* minutes(62)
      assert.strictEqual(subOf(shown(yield* nextProcess(opaque(b), network))), bob.email)
    }).pipe(Effect.provide(world))
  )

  it.effect("R15 the predecessor's, which says nothing of it, is that of its token", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* sessionOf(alice), yield* sessionOf(bob)]
      const state = predecessorOf(a)
      assert.strictEqual(shown(yield* elsewhere(nothing, restored(state))), a.access_token)
      assert.strictEqual(shown(yield* elsewhere(opaque(b), restored(state))), b.access_token)
      const own = Effect.andThen(restored(state), Effect.andThen(minutes(61), network))
      assert.strictEqual(subOf(shown(yield* elsewhere(opaque(a), own))), alice.email)
      assert.deepStrictEqual(yield* counts, [2, 1, 0, 0])
    }).pipe(Effect.provide(world))
  )
})
