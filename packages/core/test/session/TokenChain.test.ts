import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Fiber, Layer, Option, Redacted, Result, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  AccessToken,
  Account,
  Credential,
  CredentialKey,
  CredentialStore,
  Login,
  Logout,
  ProviderRefused,
  ProviderUnavailable,
  TokenChain,
  TokenSource,
  TokenTargets
} from "keyfob"
import { broken, issuer, metadata, provider, refused, scripted } from "../scripted.ts"
import { credential, gate, machine, person, remove, textOf, tokens, withoutRefreshToken, write } from "./given.ts"

class Network extends TokenSource.Service<Network>()("test/Network") {}
class Discovery extends TokenChain.Service<Discovery>()("test/Discovery") {}
class Domains extends TokenTargets.Service<Domains>()("test/Domains") {}

const refusedFor = (reason: ProviderRefused["reason"]) =>
  new ProviderRefused({ reason, endpoint: "token", host: "id.example", status: 401 })
const down = new ProviderUnavailable({ reason: "ServerError", endpoint: "token", host: "id.example", status: 503 })

/** A token of an hour, named after what it was had for. */
const granted = (text: string, seconds = 3600) =>
  Effect.map(DateTime.now, (issuedAt) => ({
    issuedAt,
    token: AccessToken.make({
      value: Redacted.make(text),
      type: "Bearer",
      expiresAt: DateTime.add(issuedAt, { seconds }),
      scopes: []
    })
  }))

/** Exchanges that say what they were shown, and fail as they are told to. */
const exchanges = () => {
  const shown: Array<string> = []
  const failures: Array<ProviderRefused | ProviderUnavailable> = []
  const hooks: { before: Effect.Effect<unknown> } = { before: Effect.void }
  const exchange = (name: string) =>
    Effect.fnUntraced(function* (parent: AccessToken) {
      shown.push(Redacted.value(parent.value))
      yield* hooks.before
      const failure = failures.shift()
      if (failure !== undefined) return yield* failure
      return yield* granted(`${name}(${Redacted.value(parent.value)})`)
    })
  return { shown, failures, hooks, exchange }
}

const signedIn = (sub: string, generation = 1, at = 0) =>
  credential(generation, { account: Account.make({ sub }), signedInAt: DateTime.makeUnsafe(at) })

const scene = (different: Partial<TokenChain.Link> = {}) => {
  const made = exchanges()
  const replies = Array.from({ length: 20 }, (_, index) => tokens(index + 2))
  const http = scripted({ ...provider, [metadata.token_endpoint]: replies })
  const network = Network.layerStored(person)
  const discovery = Discovery.layer(Network, {
    name: "discovery",
    exchange: made.exchange("discovery"),
    ...different
  })
  const layer = Layer.provideMerge(
    Layer.provideMerge(discovery, network),
    Layer.merge(CredentialStore.layerMemory, http.layer)
  )
  return { ...made, http, layer }
}

const ask = Discovery.use(({ token }) => textOf(token))
const minutes = (count: number) => TestClock.setTime(count * 60_000)

describe("TokenChain", () => {
  it.effect("a token for the parent's: exchanged once for a thousand callers, then from memory (law 3)", () => {
    const { http, layer, shown } = scene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const all = yield* Effect.all(
        Array.from({ length: 1000 }, () => ask),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(new Set(all), new Set(["discovery(access-1)"]))
      assert.deepStrictEqual(shown, ["access-1"])
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("nobody signed in: says so, and exchanges nothing", () => {
    const { layer, shown } = scene()
    return Effect.gen(function* () {
      assert.deepInclude(yield* Effect.flip(ask), { _tag: "LoginRequired", reason: "NoCredential" })
      assert.lengthOf(shown, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("R5 a parent past its hard point is renewed before it is shown to anybody", () => {
    const { layer, shown } = scene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      yield* minutes(59.5)
      assert.strictEqual(yield* ask, "discovery(access-2)")
      assert.deepStrictEqual(shown, ["access-2"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("R5 X-27 the child has the same margins: renewed in the background past its soft point", () => {
    const { layer, shown } = scene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      yield* ask
      yield* minutes(40)
      yield* ask
      assert.lengthOf(shown, 1)
      yield* minutes(50)
      assert.strictEqual(yield* ask, "discovery(access-1)")
      yield* TestClock.adjust(1)
      assert.lengthOf(shown, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a parent that merely renews its token takes nothing from the child", () => {
    const { layer, shown } = scene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      assert.strictEqual(yield* ask, "discovery(access-1)")
      yield* Network.use(({ renew }) => renew)
      assert.strictEqual(yield* ask, "discovery(access-1)")
      assert.lengthOf(shown, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("R15 B-38 somebody else signs in: the child is theirs from the next call on", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      assert.strictEqual(yield* ask, "discovery(access-1)")
      yield* write(signedIn("bob", 7))
      assert.strictEqual(yield* ask, "discovery(access-7)")
      yield* remove()
      assert.deepInclude(yield* Effect.flip(ask), { _tag: "LoginRequired", reason: "NoCredential" })
    }).pipe(Effect.provide(layer))
  })

  it.effect("R15 the same person signs in anew: what they had before is not of this session", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      assert.strictEqual(yield* ask, "discovery(access-1)")
      yield* write(signedIn("alice", 2, 1000))
      assert.strictEqual(yield* ask, "discovery(access-2)")
    }).pipe(Effect.provide(layer))
  })

  const asks: Readonly<Record<string, (source: TokenSource.TokenSource) => Effect.Effect<string, unknown>>> = {
    token: ({ token }) => textOf(token),
    tokenValidFor: ({ tokenValidFor }) => textOf(tokenValidFor(Duration.minutes(30))),
    renew: ({ renew }) => textOf(Effect.map(renew, ({ credential }) => credential.token)),
    renewIfDue: ({ renewIfDue }) => textOf(Effect.map(renewIfDue, ({ credential }) => credential.token)),
    renewedSince: ({ current, renewedSince }) =>
      Effect.flatMap(current, (known) => textOf(renewedSince(Option.getOrElse(known, () => signedIn("nobody")).token)))
  }
  it.effect.each(Object.entries(asks))(
    "R15 an exchange that began before the switch is not handed to who asks after it, by %s",
    ([, ask]) => {
      const { hooks, layer } = scene()
      return Effect.gen(function* () {
        const held = yield* gate
        const discovery = yield* Discovery
        yield* write(signedIn("alice"))
        hooks.before = held.pass
        const before = yield* Effect.forkChild(ask(discovery))
        yield* held.arrived
        yield* write(signedIn("bob", 7))
        hooks.before = Effect.void
        const after = yield* Effect.forkChild(ask(discovery))
        yield* Effect.yieldNow
        yield* held.open
        assert.strictEqual(yield* Fiber.join(after), "discovery(access-7)")
        assert.strictEqual(yield* Fiber.join(before), "discovery(access-7)")
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect(
    "R15 a token of the parent's is exchanged for whose it is, though somebody else signs in right then",
    () => {
      const { exchange, shown } = exchanges()
      const http = scripted(provider)
      return Effect.gen(function* () {
        const network = yield* TokenSource.make(person)
        const store = yield* CredentialStore
        const switched = store.modify(person.key, (slot) => slot.write(signedIn("bob", 7)))
        let asked = 0
        const token = Effect.tap(network.token, () => (asked++ === 0 ? switched : Effect.void))
        yield* write(signedIn("alice"))
        const link = { name: "discovery", exchange: exchange("discovery") }
        const discovery = yield* TokenChain.make({ ...network, token }, link)
        assert.strictEqual(yield* textOf(discovery.token), "discovery(access-7)")
        assert.deepStrictEqual(shown, ["access-7"])
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(CredentialStore.layerMemory, http.layer)))
    }
  )

  it.effect(
    "attack: a logout leaves nothing of an exchange that was under way, though who asked for it has gone",
    () => {
      const { exchange, hooks } = exchanges()
      const link = { name: "discovery", exchange: exchange("discovery") }
      const layer = Discovery.layerStored(Network, link).pipe(
        Layer.provideMerge(Network.layerStored(person)),
        Layer.provideMerge(Layer.merge(CredentialStore.layerMemory, scripted(provider).layer))
      )
      return Effect.gen(function* () {
        const held = yield* gate
        yield* write(signedIn("alice"))
        hooks.before = held.pass
        const asking = yield* Effect.forkChild(ask)
        yield* held.arrived
        yield* Fiber.interrupt(asking)
        yield* Logout.logout(person, { revoke: false })
        yield* held.open
        yield* Effect.repeat(Effect.yieldNow, { times: 100 })
        assert.deepStrictEqual(yield* CredentialStore.use(({ list }) => list), [])
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("attack: nor of one that came while the provider took the tokens back", () => {
    const { exchange } = exchanges()
    const link = { name: "discovery", exchange: exchange("discovery") }
    let meanwhile: Effect.Effect<unknown> = Effect.void
    const revocation = () => Effect.as(meanwhile, new Response())
    const http = scripted({ ...provider, [metadata.revocation_endpoint]: revocation })
    const layer = Discovery.layerStored(Network, link).pipe(
      Layer.provideMerge(Network.layerStored(person)),
      Layer.provideMerge(Layer.merge(CredentialStore.layerMemory, http.layer))
    )
    return Effect.gen(function* () {
      const { token } = yield* Discovery
      yield* write(signedIn("alice"))
      meanwhile = Effect.exit(token)
      assert.deepStrictEqual(yield* Logout.logout(person), { removed: true, revoked: true })
      assert.deepStrictEqual(yield* CredentialStore.use(({ list }) => list), [])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a session that the provider ended ends what hangs on it", () => {
    const { exchange } = exchanges()
    const http = scripted({ ...provider, [metadata.token_endpoint]: refused("invalid_grant") })
    const layer = Discovery.layer(Network, { name: "discovery", exchange: exchange("discovery") }).pipe(
      Layer.provideMerge(Network.layerStored(person)),
      Layer.provideMerge(Layer.merge(CredentialStore.layerMemory, http.layer))
    )
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      yield* ask
      yield* Effect.flip(Network.use(({ renew }) => renew))
      assert.deepInclude(yield* Effect.flip(ask), { _tag: "LoginRequired", reason: "RefreshRefused" })
    }).pipe(Effect.provide(layer))
  })

  it.effect.each(["InvalidToken", "InvalidGrant"] as const)(
    "X-07 an exchange that is refused for the parent's token (%s) has a new one of it, once",
    (reason) => {
      const { failures, http, layer, shown } = scene()
      return Effect.gen(function* () {
        yield* write(signedIn("alice"))
        failures.push(refusedFor(reason))
        assert.strictEqual(yield* ask, "discovery(access-2)")
        assert.deepStrictEqual(shown, ["access-1", "access-2"])
        assert.lengthOf(http.to(metadata.token_endpoint), 1)
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("and one that is refused for anything else fails at once, and costs the login nothing", () => {
    const { failures, http, layer, shown } = scene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      failures.push(refusedFor("AccessDenied"))
      assert.deepInclude(yield* Effect.flip(ask), { _tag: "ProviderRefused", reason: "AccessDenied" })
      assert.deepStrictEqual(shown, ["access-1"])
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("X-07 and fails typed where that is refused too", () => {
    const { failures, http, layer, shown } = scene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      failures.push(refusedFor("InvalidToken"), refusedFor("InvalidToken"))
      assert.deepInclude(yield* Effect.flip(ask), { _tag: "ProviderRefused", reason: "InvalidToken" })
      assert.deepStrictEqual(shown, ["access-1", "access-2"])
      assert.lengthOf(http.to(metadata.token_endpoint), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a 401 of an API for the child's token is one exchange, and leaves the login alone", () => {
    let exchanged = 0
    const { http, layer } = scene({ exchange: () => granted(`discovery-${++exchanged}`) })
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const { renewedSince, token } = yield* Discovery
      const first = yield* token
      yield* Effect.all([renewedSince(first), renewedSince(first)], { concurrency: "unbounded" })
      assert.strictEqual(exchanged, 2)
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("X-13 X-21 trouble that passes takes no login and no token that still serves", () => {
    const { failures, layer } = scene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      failures.push(down)
      assert.deepInclude(yield* Effect.flip(ask), { _tag: "ProviderUnavailable", status: 503 })
      assert.strictEqual(yield* ask, "discovery(access-1)")
      yield* minutes(59.3)
      failures.push(down)
      assert.strictEqual(yield* ask, "discovery(access-1)")
    }).pipe(Effect.provide(layer))
  })

  it.effect("a child lives no longer than its parent's session, where the system says so", () => {
    const lived = (endsWithParent: boolean, session: Credential) => {
      const { layer } = scene({ endsWithParent, exchange: () => granted("child", 7200) })
      return Effect.gen(function* () {
        yield* write(session)
        const { expiresAt } = yield* Discovery.use(({ token }) => token)
        return expiresAt?.epochMilliseconds
      }).pipe(Effect.provide(layer))
    }
    const ending = (seconds: number) =>
      Credential.make({ ...signedIn("alice"), refreshExpiresAt: DateTime.makeUnsafe(seconds * 1000) })
    return Effect.gen(function* () {
      const tokenAlone = withoutRefreshToken(signedIn("alice"))
      assert.strictEqual(yield* lived(false, tokenAlone), 7_200_000)
      assert.strictEqual(yield* lived(true, tokenAlone), 3_600_000, "with a token that nothing renews")
      assert.strictEqual(yield* lived(true, ending(5400)), 5_400_000, "with its refresh token")
      assert.strictEqual(yield* lived(true, ending(9000)), 7_200_000, "its own end comes first")
      assert.strictEqual(yield* lived(true, signedIn("alice")), 7_200_000, "nobody says when the session ends")
    })
  })

  it.effect("a machine's session has no end, and none of its logins is another", () => {
    const http = scripted({
      ...provider,
      [metadata.token_endpoint]: [1, 2].map((one) => tokens(one, { refresh_token: undefined }))
    })
    const exchange = () => granted("child", 7200)
    const layer = Discovery.layer(Network, { name: "discovery", endsWithParent: true, exchange }).pipe(
      Layer.provideMerge(Network.layerStored(machine)),
      Layer.provideMerge(Layer.merge(CredentialStore.layerMemory, http.layer))
    )
    return Effect.gen(function* () {
      yield* Login.login(machine)
      const { current, token } = yield* Discovery
      assert.strictEqual((yield* token).expiresAt?.epochMilliseconds, 7_200_000)
      yield* Network.use(({ renew }) => renew)
      assert.lengthOf(http.to(metadata.token_endpoint), 2)
      assert.isTrue(Option.isSome(yield* current), "though the second says nothing of a sign-in")
    }).pipe(Effect.provide(layer))
  })

  it.effect("a machine's next token is the same session", () => {
    const { exchange, shown } = exchanges()
    const http = scripted({ ...provider, [metadata.token_endpoint]: [tokens(1), tokens(2)] })
    const layer = Discovery.layer(Network, { name: "discovery", exchange: exchange("discovery") }).pipe(
      Layer.provideMerge(Network.layerStored(machine)),
      Layer.provideMerge(Layer.merge(CredentialStore.layerMemory, http.layer))
    )
    return Effect.gen(function* () {
      yield* Login.login(machine)
      assert.strictEqual(yield* ask, "discovery(access-1)")
      yield* Network.use(({ renew }) => renew)
      assert.strictEqual(yield* ask, "discovery(access-1)")
      assert.lengthOf(shown, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect.each([true, false])(
    "R15 somebody else signs in by another process, which has the child already (%s): it is theirs here too",
    (isHad) => {
      const { exchange } = exchanges()
      const http = scripted(provider)
      return Effect.gen(function* () {
        const memory = yield* CredentialStore
        const process = Effect.gen(function* () {
          const network = yield* TokenSource.make(person)
          const discovery = yield* TokenChain.make(network, { name: "discovery", exchange: exchange("discovery") })
          return { network, discovery }
        }).pipe(
          Effect.provideServiceEffect(
            CredentialStore,
            Effect.sync(() => CredentialStore.make(memory))
          )
        )
        const [here, there] = [yield* process, yield* process]
        yield* write(signedIn("alice"))
        yield* here.discovery.token
        yield* Logout.logout(person, { revoke: false })
        yield* write(signedIn("bob", 7))
        if (isHad) yield* there.discovery.token
        yield* here.network.renew
        assert.strictEqual(yield* textOf(here.discovery.token), "discovery(access-7)")
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(CredentialStore.layerMemory, http.layer)))
    }
  )

  it.effect("X-13 what another process renewed goes on to serve while the provider is down", () => {
    const { exchange } = exchanges()
    const http = scripted({ ...provider, [metadata.token_endpoint]: broken("ECONNRESET") })
    return Effect.gen(function* () {
      const own = CredentialStore.make(yield* CredentialStore)
      const discovery = yield* Effect.gen(function* () {
        const network = yield* TokenSource.make(person)
        yield* write(signedIn("alice"))
        yield* network.token
        return yield* TokenChain.make(network, { name: "discovery", exchange: exchange("discovery") })
      }).pipe(Effect.provideService(CredentialStore, own))
      yield* write(Credential.make({ ...signedIn("alice", 2), spending: 2 }))
      yield* minutes(59.5)
      assert.strictEqual(yield* textOf(discovery.token), "discovery(access-2)")
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(CredentialStore.layerMemory, http.layer)))
  })

  it.effect("kept in a store, the next process finds it, and only for the same session", () => {
    const { exchange, shown } = exchanges()
    const http = scripted(provider)
    const process = Discovery.layerStored(Network, { name: "discovery", exchange: exchange("discovery") }).pipe(
      Layer.provideMerge(Network.layerStored(person))
    )
    const run = Effect.provide(ask, Layer.fresh(process))
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      assert.strictEqual(yield* run, yield* run)
      assert.lengthOf(shown, 1)
      yield* write(signedIn("bob", 2))
      assert.strictEqual(yield* run, "discovery(access-2)")
    }).pipe(Effect.provide(Layer.merge(CredentialStore.layerMemory, http.layer)))
  })
})

describe("TokenTargets", () => {
  const domainScene = (options: Partial<TokenTargets.TargetLink<string>> = {}) => {
    const asked: Array<string> = []
    const refusing = new Set<string>()
    const { layer, ...rest } = scene()
    const domains = Domains.layer(Discovery, {
      name: "domain",
      exchange: Effect.fnUntraced(function* (parent, target) {
        asked.push(target)
        if (refusing.has(target)) return yield* down
        return { target, ...(yield* granted(`${target}<${Redacted.value(parent.value)}`)) }
      }),
      ...options
    })
    return { ...rest, asked, refusing, layer: Layer.provideMerge(domains, layer) }
  }
  const domain = (id: string) => Domains.use(({ token }) => textOf(token(id)))

  it.effect("B-42 B-44 several targets, each its own token; what they hang on is had once", () => {
    const { asked, layer, shown } = domainScene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const found = yield* Effect.all(["a", "b", "a", "b", "a"].map(domain), { concurrency: "unbounded" })
      assert.deepStrictEqual(found.slice(0, 2), ["a<discovery(access-1)", "b<discovery(access-1)"])
      assert.deepStrictEqual(asked.toSorted(), ["a", "b"])
      assert.deepStrictEqual(shown, ["access-1"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("X-08 a target that fails is alone in that", () => {
    const { layer, refusing } = domainScene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      refusing.add("b")
      const each = yield* Domains.use(({ tokens }) => tokens(["a", "b", "c"]))
      assert.deepStrictEqual(
        each.map(({ result, target }) => [target, Result.isSuccess(result)]),
        [
          ["a", true],
          ["b", false],
          ["c", true]
        ]
      )
      assert.strictEqual(yield* domain("a"), "a<discovery(access-1)")
      refusing.clear()
      assert.strictEqual(yield* domain("b"), "b<discovery(access-1)")
    }).pipe(Effect.provide(layer))
  })

  it.effect("R6 X-24 a token for another target is given to nobody", () => {
    const { layer } = domainScene({
      exchange: (_, target) => Effect.map(granted(target), (one) => ({ ...one, target: "canary" }))
    })
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const failure = yield* Effect.flip(domain("a"))
      assert.deepInclude(failure, { _tag: "AnswerRejected", reason: "SubjectMismatch" })
      assert.notInclude(String(failure), "canary")
      assert.isTrue(Option.isNone(yield* Domains.use(({ source }) => source("a").current)))
    }).pipe(Effect.provide(layer))
  })

  it.effect("R6 answers that come in another order than they were asked for are filed where they belong", () => {
    const gates = new Map<string, Deferred.Deferred<void>>()
    const { layer } = domainScene({
      exchange: Effect.fnUntraced(function* (_, target) {
        const opened = yield* Deferred.make<void>()
        gates.set(target, opened)
        yield* Deferred.await(opened)
        return { target, ...(yield* granted(`for ${target}`)) }
      })
    })
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const asking = yield* Effect.forkChild(Effect.all(["a", "b", "c"].map(domain), { concurrency: "unbounded" }))
      yield* Effect.repeat(Effect.yieldNow, { until: () => gates.size === 3 })
      for (const id of ["c", "a", "b"]) yield* Deferred.succeed(gates.get(id) ?? assert.fail(), undefined)
      assert.deepStrictEqual(yield* Fiber.join(asking), ["for a", "for b", "for c"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("as many exchanges at once as were allowed", () => {
    let running = 0
    let most = 0
    const { layer } = domainScene({
      concurrency: 3,
      exchange: Effect.fnUntraced(function* (_, target) {
        most = Math.max(most, ++running)
        yield* Effect.yieldNow
        running--
        return { target, ...(yield* granted(target)) }
      })
    })
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const ids = Array.from({ length: 20 }, (_, index) => `domain-${index}`)
      yield* Domains.use(({ tokens }) => tokens(ids))
      assert.strictEqual(most, 3)
    }).pipe(Effect.provide(layer))
  })

  /** The targets whose tokens are kept, by this process or another. */
  const keptTargets = CredentialStore.use(({ list }) =>
    Effect.map(list, (all) => all.flatMap(({ key: { links = [] } }) => (links[1] === "domain" ? links.slice(2) : [])))
  )

  it.effect("in memory, the targets unused the longest are forgotten, and had again when asked for", () => {
    const { asked, layer } = domainScene({ capacity: 2 })
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      for (const id of ["a", "b", "a", "c"]) yield* domain(id)
      assert.deepStrictEqual(yield* keptTargets, ["a", "c"])
      for (const id of ["a", "b"]) yield* domain(id)
      assert.deepStrictEqual(asked, ["a", "b", "c", "b"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("to look at another one forgets none", () => {
    const { asked, layer } = domainScene({ capacity: 2 })
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      for (const id of ["a", "b"]) yield* domain(id)
      assert.isTrue(Option.isNone(yield* Domains.use(({ source }) => source("c").current)))
      for (const id of ["a", "b"]) yield* domain(id)
      assert.deepStrictEqual(asked, ["a", "b"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("and nothing stays open for them: a thousand targets hold what two do", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const scope = yield* Scope.make()
      const exchange = (_: AccessToken, target: string) => Effect.map(granted(target), (one) => ({ ...one, target }))
      const link = { name: "domain", capacity: 2, exchange }
      const { token } = yield* TokenTargets.make(yield* Discovery, link).pipe(Scope.provide(scope))
      for (let index = 0; index < 1000; index++) yield* token(`domain-${index}`)
      yield* TestClock.adjust("1 minute")
      assert(scope.state._tag === "Open")
      assert.isAtMost(scope.state.finalizers?.size ?? 1, 3)
    }).pipe(Effect.provide(layer))
  })

  /** The same with a store that others use too: a process each time it is provided. */
  const storedScene = (capacity: number) => {
    const asked: Array<string> = []
    const { layer } = scene()
    const domains = Domains.layerStored(Discovery, {
      name: "domain",
      capacity,
      exchange: Effect.fnUntraced(function* (_, target) {
        asked.push(target)
        return { target, ...(yield* granted(target)) }
      })
    })
    return { asked, layer, process: Effect.provide(Layer.fresh(domains)) }
  }

  it.effect("kept in a store, a target that one process has no room for is left to the others", () => {
    const { asked, layer, process } = storedScene(2)
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const many = ["a", "b", "c", "d", "a"]
      yield* process(Effect.forEach(many, domain))
      yield* process(domain("b"))
      assert.deepStrictEqual(asked, ["a", "b", "c", "d"])
      yield* process(Domains.use(({ forget }) => forget("b")))
      assert.deepStrictEqual(yield* keptTargets, ["a", "c", "d"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("and what has ended goes from the store, for nobody would ask for it again; nothing else does", () => {
    const { layer, process } = storedScene(4)
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const strangers = [
        ["domain", "x"],
        ["discovery", "tenant", "x"],
        ["discovery", "domain"]
      ]
      for (const links of strangers) {
        yield* write(credential(1, { key: CredentialKey.make({ ...person.key, links }) }))
      }
      const most = yield* process(
        Effect.gen(function* () {
          let most = 0
          for (let hour = 0; hour < 12; hour += 0.25) {
            yield* minutes(hour * 60)
            yield* domain(`d${hour}`)
            yield* Effect.yieldNow
            most = Math.max(most, (yield* keptTargets).length)
          }
          return most
        })
      )
      assert.isAtMost(most, 4 + 4 + 1, "four of an hour, and four before they are looked through")
      const all = yield* CredentialStore.use(({ list }) => list)
      const links = all.map(({ key }) => key.links?.join("/"))
      assert.includeMembers(links, [undefined, "domain/x", "discovery/tenant/x", "discovery/domain"])
      yield* minutes(14 * 60)
      yield* process(domain("again"))
      assert.deepStrictEqual(yield* keptTargets, ["again"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("nor does what somebody has renewed since the store was looked through", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const key = CredentialKey.make({ ...person.key, links: ["discovery", "domain", "a"] })
      const ended = credential(1, { key })
      yield* minutes(61)
      const memory = yield* CredentialStore
      yield* write(credential(2, { key, token: (yield* granted("renewed")).token }))
      const late = CredentialStore.make({ ...memory, list: Effect.succeed([ended]) })
      const link = {
        name: "domain",
        exchange: (_: AccessToken, target: string) => Effect.map(granted(target), (one) => ({ ...one, target }))
      }
      const { token } = yield* TokenTargets.make(yield* Discovery, link).pipe(
        Effect.provideService(CredentialStore, late)
      )
      yield* token("b")
      yield* TestClock.adjust("1 minute")
      assert.sameMembers(yield* keptTargets, ["a", "b"])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("a target that is being asked for is not forgotten for others, nor are they held up by it", () =>
    Effect.gen(function* () {
      const held = yield* gate
      const { layer } = domainScene({
        capacity: 1,
        exchange: (_, target) =>
          Effect.andThen(
            target === "slow" ? held.pass : Effect.void,
            Effect.map(granted(target), (one) => ({ ...one, target }))
          )
      })
      yield* Effect.gen(function* () {
        yield* write(signedIn("alice"))
        const asking = yield* Effect.forkChild(domain("slow"))
        yield* held.arrived
        assert.deepStrictEqual(yield* Effect.forEach(["a", "b"], domain), ["a", "b"])
        yield* held.open
        assert.strictEqual(yield* Fiber.join(asking), "slow")
        assert.deepStrictEqual(yield* keptTargets, ["slow"])
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("a target that is forgotten while somebody asks for it: they have their token, and nothing is left", () =>
    Effect.gen(function* () {
      const held = yield* gate
      const { layer } = domainScene({
        exchange: (_, target) =>
          Effect.andThen(
            held.pass,
            Effect.map(granted(target), (one) => ({ ...one, target }))
          )
      })
      yield* Effect.gen(function* () {
        yield* write(signedIn("alice"))
        const asking = yield* Effect.forkChild(domain("a"))
        yield* held.arrived
        const forgetting = yield* Effect.forkChild(Domains.use(({ forget }) => forget("a")))
        yield* TestClock.adjust("1 minute")
        yield* held.open
        assert.strictEqual(yield* Fiber.join(asking), "a")
        yield* Fiber.join(forgetting)
        assert.deepStrictEqual(yield* keptTargets, [])
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("R15 B-38 somebody else signs in: no level and no target is left of the one before", () => {
    const { layer } = domainScene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      yield* domain("a")
      yield* write(signedIn("bob", 9))
      assert.strictEqual(yield* domain("a"), "a<discovery(access-9)")
    }).pipe(Effect.provide(layer))
  })

  it.effect("B-34 all three levels expired: each is renewed once, from the top", () => {
    const { asked, http, layer, shown } = domainScene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      yield* domain("a")
      yield* minutes(61)
      assert.strictEqual(yield* domain("a"), "a<discovery(access-2)")
      assert.lengthOf(http.to(metadata.token_endpoint), 1)
      assert.deepStrictEqual([shown.length, asked.length], [2, 2])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a logout leaves no level's token in the store, and nobody else's is touched", () => {
    const { layer, process } = storedScene(4)
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const another = CredentialKey.make({ ...person.key, account: "another", links: ["discovery"] })
      yield* write(credential(1, { key: another }))
      yield* process(domain("a"))
      yield* Logout.logout(person, { revoke: false })
      const all = yield* CredentialStore.use(({ list }) => list)
      assert.deepStrictEqual(
        all.map(({ key }) => key.account),
        ["another"]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("an observer that throws keeps nothing from another", () => {
    const { layer } = domainScene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const { observe, token } = yield* Effect.map(Domains, ({ source }) => source("a"))
      const heard: Array<string> = []
      yield* observe(() => assert.fail("an observer's own trouble"))
      yield* observe(({ _tag }) => void heard.push(_tag))
      yield* token
      assert.deepStrictEqual(heard, ["Renewed"])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("what happens to any target is told, by its key", () => {
    const { layer } = domainScene()
    return Effect.gen(function* () {
      yield* write(signedIn("alice"))
      const { source, token } = yield* Domains
      const seen: Array<string> = []
      yield* source("a").observe((event) => void seen.push(`${event._tag} ${event.key.links?.join("/")}`))
      const streamed = yield* source("a").events.pipe(Stream.take(1), Stream.runCollect, Effect.forkChild)
      yield* Effect.yieldNow
      yield* token("b")
      yield* token("a")
      assert.deepStrictEqual(
        (yield* Fiber.join(streamed)).map(({ key }) => key.links?.join("/")),
        ["discovery/domain/a"]
      )
      assert.deepStrictEqual(seen, ["Renewed discovery/domain/a"])
      assert.strictEqual(source("a").key.issuer, issuer)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})
