import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Option, Redacted, Result, Schema, Stream } from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { AccessToken, type AnswerRejected, type ConfigurationInvalid, CredentialStore, Explain } from "keyfob"
import { Auki, domainOf, Settings } from "@keyfob/auki"
import { apiUrl, ddsUrl, FakeAuki, jwt } from "@keyfob/auki/testing"
import { alice, app, base, bob, counts, domain, nextProcess, scene, tokenOf } from "./given.ts"

const minutes = (count: number) => TestClock.setTime(count * 60_000)
const bodyOf = (value: unknown) => JSON.stringify(value)

describe("the chain", () => {
  it.effect(
    "B-16 B-24 B-25 B-26 B-27 B-42 a cold client logs in, discovers, and is let in: three requests, each as documented",
    () =>
      Effect.gen(function* () {
        const access = yield* domain("d/1 ü")
        const { seen } = yield* FakeAuki
        assert.deepStrictEqual(
          seen.map(({ body, method, path }) => [method, path, body]),
          [
            ["POST", `${apiUrl}/user/login`, bodyOf({ email: alice.email, password: "alice-canary" })],
            ["POST", `${apiUrl}/service/domains-access-token`, "{}"],
            ["POST", `${ddsUrl}/api/v1/domains/d%2F1%20%C3%BC/auth`, "{}"]
          ]
        )
        const [login, discovery, grant] = seen
        assert.isUndefined(login?.headers["authorization"])
        assert.match(discovery?.headers["authorization"] ?? "", /^Bearer ey/)
        assert.match(grant?.headers["authorization"] ?? "", /^Bearer ey/)
        assert.strictEqual(grant?.headers["posemesh-client-id"], "installation-1")
        for (const { headers } of seen) assert.include(headers["content-type"], "application/json")
        assert.strictEqual(access.domain_server.url, "https://domain-server.auki.test")
        assert.strictEqual(access.name, "Domain d/1 ü")
      }).pipe(Effect.provide(scene()))
  )

  it.effect("of the answer to a discovery its token counts alone, whatever stands beside it", () =>
    Effect.gen(function* () {
      const { next } = yield* FakeAuki
      const body = { access_token: jwt({ exp: 900 }), expires_in: 0, refresh_token: null }
      next("/service/domains-access-token", { status: 200, body })
      const { discovery } = yield* Auki
      assert.strictEqual((yield* discovery.token).expiresAt?.epochMilliseconds, 900_000)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("B-28 B-44 X-27 domains are remembered each for itself; what they hang on is shared", () =>
    Effect.gen(function* () {
      const { domainsOf } = yield* Auki
      const each = yield* domainsOf(["a", "b", "c", "a"])
      assert.isTrue(each.every(({ result }) => Result.isSuccess(result)))
      assert.strictEqual((yield* domain("a")).id, "a")
      assert.deepStrictEqual(yield* counts, [1, 0, 1, 3])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("B-29 B-35 X-27 only the domain is due: it alone is asked for", () =>
    Effect.gen(function* () {
      const first = yield* domain("a")
      yield* minutes(4.99)
      assert.notStrictEqual(tokenOf(yield* domain("a")), tokenOf(first))
      assert.deepStrictEqual(yield* counts, [1, 0, 1, 2])
    }).pipe(Effect.provide(scene(alice, { domainLife: 300 })))
  )

  it.effect("B-36 domain and discovery expired: discovery, then the domain", () =>
    Effect.gen(function* () {
      yield* domain("a")
      yield* minutes(20)
      yield* domain("a")
      assert.deepStrictEqual(yield* counts, [1, 0, 2, 2])
    }).pipe(Effect.provide(scene(alice, { domainLife: 300, discoveryLife: 900 })))
  )

  it.effect(
    "B-04 B-34 R5 B.8#5 B.8#12 all three expired: refreshed from the top, and no level is ever shown a token of before",
    () =>
      Effect.gen(function* () {
        yield* domain("a")
        yield* minutes(61)
        yield* domain("a")
        assert.deepStrictEqual(yield* counts, [1, 1, 2, 2])
        const { to } = yield* FakeAuki
        const shown = to("/service/domains-access-token").map(({ headers }) => headers["authorization"])
        assert.notStrictEqual(shown[0], shown[1])
      }).pipe(Effect.provide(scene()))
  )

  it.effect(
    "B-11 B-21 B-22 B-33 an expired session is refreshed with its refresh token as bearer, without body, and not logged in",
    () =>
      Effect.gen(function* () {
        const { network } = yield* Auki
        const first = yield* network.token
        yield* minutes(61)
        const second = yield* network.token
        const { to } = yield* FakeAuki
        assert.deepInclude(to("/user/refresh")[0]?.headers, { authorization: "Bearer refresh-1" })
        assert.strictEqual(to("/user/refresh")[0]?.body, "")
        assert.notStrictEqual(Redacted.value(second.value), Redacted.value(first.value))
        assert.deepStrictEqual(yield* counts, [1, 1, 0, 0])
      }).pipe(Effect.provide(scene()))
  )

  it.effect("B.8#3 B.8#2 a hundred callers at once, of one refresh and in any order, have what they asked for", () =>
    Effect.gen(function* () {
      yield* domain("x")
      yield* minutes(61)
      const ids = Array.from({ length: 100 }, (_, index) => `d${index % 10}`)
      const all = yield* Effect.all(ids.map(domain), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        all.map(({ id }) => id),
        ids
      )
      assert.deepStrictEqual(yield* counts, [1, 1, 2, 11])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("B-45 thirty days of use: one login, and never a token that had ended", () =>
    Effect.gen(function* () {
      for (let hour = 0; hour < 30 * 24; hour += 6) {
        yield* TestClock.setTime(Duration.toMillis(Duration.hours(hour)))
        assert.isFalse(yield* (yield* domain("a")).token.isExpired())
      }
      assert.strictEqual((yield* counts)[0], 1)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("B-10 X-07 a discovery token that is refused is had anew once, and the login is left alone", () =>
    Effect.gen(function* () {
      yield* domain("a")
      const { forget } = yield* FakeAuki
      forget("discovery")
      yield* domain("b")
      assert.deepStrictEqual(yield* counts, [1, 0, 2, 3])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("X-07 refused twice it is an error, and the login is still whole", () =>
    Effect.gen(function* () {
      const { next } = yield* FakeAuki
      next("/auth", { status: 401 }, { status: 401 })
      assert.deepInclude(yield* Effect.flip(domain("a")), { _tag: "ProviderRefused", reason: "InvalidToken" })
      assert.deepStrictEqual(yield* counts, [1, 0, 2, 2])
      assert.strictEqual((yield* domain("a")).id, "a")
    }).pipe(Effect.provide(scene()))
  )

  it.effect("a network token that is refused is refreshed once, on the way to a domain", () =>
    Effect.gen(function* () {
      yield* domain("a")
      const { forget } = yield* FakeAuki
      forget("network")
      forget("discovery")
      yield* domain("b")
      assert.deepStrictEqual(yield* counts, [1, 1, 3, 3])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("X-08 a domain that is denied, costs money, or is down, poisons no other", () =>
    Effect.gen(function* () {
      const { next } = yield* FakeAuki
      next("/pay/auth", { status: 402 })
      next("/no/auth", { status: 403 })
      next("/down/auth", ...Array.from({ length: 9 }, () => ({ status: 503 })))
      const fiber = yield* Effect.forkChild(Auki.use(({ domainsOf }) => domainsOf(["pay", "no", "down", "gone", "a"])))
      yield* TestClock.adjust("1 minute")
      const each = yield* Fiber.join(fiber)
      const outcomes = each.map(({ result }) =>
        Result.isSuccess(result) ? "granted" : `${result.failure._tag}.${result.failure.reason}`
      )
      assert.deepStrictEqual(outcomes, [
        "ProviderRefused.AccessDenied",
        "ProviderRefused.AccessDenied",
        "ProviderUnavailable.ServerError",
        "ProviderRefused.AccessDenied",
        "granted"
      ])
      assert.strictEqual((yield* domain("pay")).id, "pay")
    }).pipe(Effect.provide(scene(alice, { domains: ["a", "pay", "no", "down"] })))
  )

  it.effect("B.8#4 asking again, at any level and in any order, is no error", () =>
    Effect.gen(function* () {
      const { discovery, network } = yield* Auki
      for (const ask of [discovery.token, network.token, discovery.token, network.renew, network.token]) yield* ask
      assert.deepStrictEqual(yield* counts, [1, 1, 1, 0])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("R12 what is no domain's id is no path either: the discovery token goes nowhere else", () =>
    Effect.gen(function* () {
      for (const id of ["", ".", "..", "\ud800"]) {
        const failure = yield* Effect.flip(domain(id))
        assert.deepInclude(failure, { _tag: "ConfigurationInvalid", reason: "InvalidValue" })
      }
      assert.deepStrictEqual(
        (yield* FakeAuki).seen.map(({ path }) => path.startsWith(ddsUrl)),
        [false, false]
      )
    }).pipe(Effect.provide(scene()))
  )

  it.effect("events of all three levels", () =>
    Effect.gen(function* () {
      const { domains, discovery, network } = yield* Auki
      const seen: Array<string> = []
      for (const { observe } of [network, discovery, domains.source("a")]) {
        yield* observe(({ _tag, key }) => void seen.push(`${_tag} ${key.links?.join("/") ?? "network"}`))
      }
      yield* domain("a")
      assert.deepStrictEqual(seen, ["Renewed network", "Renewed discovery", "Renewed discovery/domain/a"])
    }).pipe(Effect.scoped, Effect.provide(scene()))
  )
})

describe("a domain's grant", () => {
  type Change = Parameters<FakeAuki["Service"]["lie"]>[0]
  const claims =
    (change: object): Change =>
    (grant) => ({ ...grant, claims: { ...grant.claims, ...change } })
  const answer =
    (change: object): Change =>
    (grant) => ({ ...grant, answer: { ...grant.answer, ...change } })
  const wrong: ReadonlyArray<readonly [string, Change, AnswerRejected["reason"]]> = [
    ["of another issuer", claims({ iss: "somebody" }), "IssuerMismatch"],
    ["for another domain", claims({ domain_id: "b" }), "SubjectMismatch"],
    ["for another audience", claims({ aud: ["dds", "https://evil.example"] }), "SubjectMismatch"],
    ["that has ended", claims({ exp: -1 }), "Malformed"],
    ["without an end", claims({ exp: undefined }), "Malformed"],
    ["whose answer is for another domain", answer({ id: "b" }), "SubjectMismatch"],
    ["without its server", answer({ domain_server: null }), "Malformed"]
  ]
  it.effect.each(wrong)("X-24 B.8#2 R6 %s is not taken", ([, change, reason]) =>
    Effect.gen(function* () {
      const { lie } = yield* FakeAuki
      lie(change)
      assert.deepInclude(yield* Effect.flip(domain("a")), { _tag: "AnswerRejected", reason })
    }).pipe(Effect.provide(scene()))
  )

  const servedAt =
    (url: string): Change =>
    (grant) => ({
      claims: { ...grant.claims, aud: ["dds", url] },
      answer: { ...grant.answer, domain_server: Object.assign({}, grant.answer["domain_server"], { url }) }
    })
  it.effect.each([
    ["", false],
    ["/domains", false],
    ["domain-server.auki.test", false],
    ["http://domain-server.auki.test", false],
    ["http://127.0.0.1.evil.example", false],
    ["ws://domain-server.auki.test", false],
    ["https://alice@domain-server.auki.test", false],
    ["https://evil.example\\@domain-server.auki.test", false],
    ["https://domain-server.auki.test?to=", false],
    ["https://domain-server.auki.test#", false],
    ["https://domain-server.auki.test\n", false],
    ["https:domain-server.auki.test", false],
    ["https:///domain-server.auki.test", false],
    ["https://domain-serv%65r.auki.test", false],
    ["https://domain-server.auki.test:8443/eu/", true],
    ["http://127.0.0.1:4000", true],
    ["http://[::1]:4000", true]
  ] as const)("attack: a domain's data and token sent to %j: %s", ([url, isTaken]) =>
    Effect.gen(function* () {
      const { lie } = yield* FakeAuki
      lie(servedAt(url))
      const result = yield* Effect.result(domain("a"))
      if (isTaken) return assert.strictEqual(Result.getOrThrow(result).domain_server.url, url)
      assert.deepInclude(Result.merge(result), { _tag: "AnswerRejected", reason: "InsecureEndpoint" })
    }).pipe(Effect.provide(scene()))
  )

  it.effect("of a store that somebody else has written to names no such server either", () =>
    Effect.gen(function* () {
      const { domain_server, token } = yield* domain("a")
      assert.isTrue(Option.isSome(domainOf(token)))
      const details = { ...token.details, domain_server: { ...domain_server, url: "http://evil.example" } }
      assert.isTrue(Option.isNone(domainOf(AccessToken.make({ ...token, details }))))
    }).pipe(Effect.provide(scene()))
  )

  it.effect("X-25 lives as long as the shorter of what its answer and its token say", () =>
    Effect.gen(function* () {
      const { lie } = yield* FakeAuki
      lie(claims({ exp: 600 }))
      assert.strictEqual((yield* domain("a")).token.expiresAt?.epochMilliseconds, 600_000)
      lie(answer({ expires_at: 300_000 }))
      assert.strictEqual((yield* domain("b")).token.expiresAt?.epochMilliseconds, 300_000)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("X-22 members nobody knows, a null organisation and a blank name are no reason to refuse it", () =>
    Effect.gen(function* () {
      const { lie } = yield* FakeAuki
      lie(answer({ name: "", organization_id: null, something_new: { a: 1 } }))
      assert.deepInclude(yield* domain("a"), { name: "", organization_id: null })
    }).pipe(Effect.provide(scene()))
  )
})

describe("the domains that may be entered", () => {
  const many = Array.from({ length: 250 }, (_, index) => `domain-${index}`)
  const all = Effect.flatMap(Auki, ({ accessible }) => Stream.runCollect(accessible))

  it.effect("X-26 come page by page, with blank names and without an organisation", () =>
    Effect.gen(function* () {
      const { seen } = yield* FakeAuki
      assert.deepStrictEqual(
        [...(yield* all)].map(({ id }) => id),
        many
      )
      const pages = seen.filter(({ method }) => method === "GET").map(({ path }) => new URL(path).search)
      assert.deepStrictEqual(pages, ["?limit=100&offset=0", "?limit=100&offset=100", "?limit=100&offset=200"])
    }).pipe(Effect.provide(scene(alice, { domains: many })))
  )

  const first = many.slice(0, 100).map((id) => ({ id, name: "", organization_id: null }))
  const page = (change: object) => ({
    status: 200,
    body: { domains: first, limit: 100, offset: 0, total: 250, ...change }
  })
  const wrong = {
    "another offset": [page({ offset: 100 })],
    "another limit": [page({ limit: 50 })],
    "a domain twice in a page": [page({ domains: [...first.slice(1), first[1]] })],
    "a domain of the page before": [page({}), page({ offset: 100 })],
    "a total that changes": [page({}), page({ offset: 100, total: 251, domains: [{ id: "new", name: "" }] })],
    "more than its total": [page({ total: 99 })],
    "nothing where there is more": [page({ domains: [] })],
    "more than anybody has": [page({ total: 100_001 })],
    "no list": [{ status: 200, body: { domains: "many" } }]
  }
  for (const [what, pages] of Object.entries(wrong)) {
    it.effect(`X-26 ${what} is no list`, () =>
      Effect.gen(function* () {
        const { next } = yield* FakeAuki
        next("offset=0", pages[0] ?? page({}))
        if (pages[1] !== undefined) next("offset=100", pages[1])
        assert.deepInclude(yield* Effect.flip(all), { _tag: "AnswerRejected", reason: "Malformed" })
      }).pipe(Effect.provide(scene(alice, { domains: many })))
    )
  }

  it.effect("X-07 X-26 a discovery token that is refused on the way is renewed once", () =>
    Effect.gen(function* () {
      const { next, to } = yield* FakeAuki
      next("offset=100", { status: 401 })
      assert.lengthOf([...(yield* all)], 250)
      assert.lengthOf(to("/service/domains-access-token"), 2)
      next("offset=100", { status: 401 }, { status: 401 })
      assert.deepInclude(yield* Effect.flip(all), { _tag: "ProviderRefused", reason: "InvalidToken" })
    }).pipe(Effect.provide(scene(alice, { domains: many })))
  )
})

describe("who signs in", () => {
  it.effect("B-14 B-15 without credentials, new or restored: which one is missing is said, and nobody is asked", () =>
    Effect.gen(function* () {
      const { restore } = yield* Auki
      yield* minutes(2)
      for (const network_auth of [null, { token: "old", refresh_token: null, expires_at: 60_000 }]) {
        yield* restore(bodyOf({ network_auth, discovery_auth: null, domain_accesses: {} }))
        assert.include((yield* Effect.flip(domain("a"))).message, "password")
      }
      assert.deepInclude(yield* Effect.flip(domain("a")), { _tag: "ConfigurationInvalid", reason: "MissingValue" })
      assert.deepStrictEqual(yield* counts, [0, 0, 0, 0])
    }).pipe(Effect.provide(scene({ email: alice.email })))
  )

  it.effect("B-19 B-20 a wrong password is refused, once, and told without it", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(domain("a"))
      assert.deepInclude(failure, { _tag: "ProviderRefused", reason: "AccessDenied", endpoint: "login", status: 401 })
      assert.notInclude(String(failure) + JSON.stringify(failure), "canary")
      assert.deepStrictEqual(yield* counts, [1, 0, 0, 0])
    }).pipe(Effect.provide(scene({ ...alice, password: Redacted.make("wrong-canary") })))
  )

  it.effect("B-17 B-40 B.8#6 an app key asks nobody for its first level, has no end, and serves again and again", () =>
    Effect.gen(function* () {
      const { network } = yield* Auki
      const token = yield* network.token
      assert.strictEqual(Redacted.value(token.authorization), `Basic ${btoa("app:app-canary")}`)
      assert.isUndefined(token.expiresAt)
      yield* domain("a")
      yield* minutes(60 * 24 * 365 * 50)
      yield* domain("a")
      assert.deepStrictEqual(yield* counts, [0, 0, 2, 2])
    }).pipe(Effect.provide(scene(app)))
  )

  it.effect("B-18 B.8#6 an opaque token is used as it was given, for as long as it was said to last", () =>
    Effect.gen(function* () {
      const { network } = yield* Auki
      const token = yield* network.token
      assert.strictEqual(Redacted.value(token.authorization), "Bearer given-canary")
      assert.strictEqual(token.expiresAt?.epochMilliseconds, 600_000)
      yield* minutes(11)
      assert.deepInclude(yield* Effect.flip(network.token), { _tag: "LoginRequired", reason: "NotRenewable" })
    }).pipe(Effect.provide(scene({ method: "opaque", token: Redacted.make("given-canary"), expiry_ms: 600_000 })))
  )

  it.effect("B.8#9 a refresh token that was brought along is used until it ends, and not after", () => {
    const given = { method: "opaque", token: Redacted.make("given"), refresh_token: Redacted.make("brought") } as const
    return Effect.gen(function* () {
      const { next } = yield* FakeAuki
      yield* minutes(2)
      next("/user/refresh", { status: 200, body: { access_token: "opaque", expires_in: 60 } })
      const ask = Auki.use(({ network }) => network.token)
      const renewed = yield* nextProcess({ ...given, expiry_ms: 60_000 }, ask)
      assert.strictEqual(Redacted.value(renewed.value), "opaque")
      const late = { ...given, expiry_ms: 60_000, refresh_token_expiry_ms: 90_000 }
      const ended = yield* Effect.flip(nextProcess({ ...late, client_id: "another" }, ask))
      assert.deepInclude(ended, { _tag: "LoginRequired", reason: "NotRenewable" })
      assert.deepStrictEqual(yield* counts, [0, 1, 0, 0])
    }).pipe(Effect.provide(scene(given)))
  })

  it.effect(
    "B-39 B-41 R4 a program lets go of the password with its first session: the end of that is an error, not a login",
    () =>
      Effect.gen(function* () {
        yield* domain("a")
        const { endSessions } = yield* FakeAuki
        endSessions()
        yield* minutes(61)
        for (const _ of [1, 2]) {
          assert.deepInclude(yield* Effect.flip(domain("a")), { _tag: "LoginRequired", reason: "RefreshRefused" })
        }
        assert.deepStrictEqual(yield* counts, [1, 1, 1, 1])
      }).pipe(Effect.provide(scene()))
  )

  it.effect("B-37 signed in again it goes on", () =>
    Effect.gen(function* () {
      yield* domain("a")
      const { endSessions } = yield* FakeAuki
      endSessions()
      yield* minutes(61)
      yield* Effect.flip(domain("a"))
      yield* Auki.use(({ login }) => login(alice))
      assert.strictEqual((yield* domain("a")).id, "a")
    }).pipe(Effect.provide(scene()))
  )

  it.effect("B-38 B.8#9 R15 somebody else signs in: nothing at any level is left of the one before", () =>
    Effect.gen(function* () {
      const levels = Auki.use(({ discovery, domains, network }) =>
        Effect.all([network.token, discovery.token, domains.token("a")])
      )
      const before = yield* levels
      yield* Auki.use(({ logout }) => logout)
      assert.deepStrictEqual(yield* CredentialStore.use(({ list }) => list), [])
      const after = yield* nextProcess(bob, levels)
      const { to } = yield* FakeAuki
      assert.strictEqual(to("/user/login")[1]?.body, bodyOf({ email: bob.email, password: "bob-canary" }))
      for (const [level, token] of after.entries()) {
        assert.include(atob(Redacted.value(token.value).split(".")[1] ?? ""), bob.email)
        assert.notStrictEqual(Redacted.value(token.value), Redacted.value(before[level]?.value ?? assert.fail()))
      }
      assert.deepStrictEqual(yield* counts, [2, 0, 2, 2])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("B-30 who signs in anew leaves nothing of the session before, in the store and in a saved state", () =>
    Effect.gen(function* () {
      const { login, save } = yield* Auki
      yield* domain("a")
      yield* login()
      const [one, ...others] = yield* CredentialStore.use(({ list }) => list)
      assert.deepStrictEqual([one?.key.links, one?.generation, others], [undefined, 2, []])
      assert.lengthOf(JSON.parse(yield* save).session, 1)
      yield* domain("a")
      assert.deepStrictEqual(yield* counts, [2, 0, 2, 2])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("B.8#1 R11 an app that signs in leaves its secret in no store either", () =>
    Effect.gen(function* () {
      const { login, save } = yield* Auki
      yield* login()
      assert.deepStrictEqual(yield* CredentialStore.use(({ list }) => list), [])
      assert.notInclude(yield* save, btoa("app:app-canary"))
    }).pipe(Effect.provide(scene(app)))
  )

  const others: ReadonlyArray<readonly [string, Partial<Settings>]> = [
    ["as somebody else", bob],
    ["at another service", { ...bob, api_url: "https://api.elsewhere.test" }],
    ["as an app", app],
    [
      "with a session of another issuer",
      { method: "oidc", issuer: "https://id.example", oidc_client_id: "spaces", token: Redacted.make("canary") }
    ]
  ]
  it.effect.each(others)(
    "R6 R15 B.8#9 a login %s is not one of these settings: its tokens would go astray",
    ([, credentials]) =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(Auki.use(({ login }) => login(credentials)))
        assert.deepInclude(failure, { _tag: "ConfigurationInvalid", reason: "NotSupported" })
        assert.deepStrictEqual(yield* CredentialStore.use(({ list }) => list), [])
        assert.deepStrictEqual(yield* counts, [0, 0, 0, 0])
      }).pipe(Effect.provide(scene()))
  )

  it.effect("R15 settings for somebody else find nobody's session, nor one level of it", () =>
    Effect.gen(function* () {
      const before = yield* domain("a")
      const next = yield* nextProcess(bob, domain("a"))
      assert.notStrictEqual(tokenOf(next), tokenOf(before))
      assert.deepStrictEqual(yield* counts, [2, 0, 2, 2])
    }).pipe(Effect.provide(scene()))
  )

  it.effect(
    "R15 settings for another discovery service, or another API with one imported session, find no token of these",
    () => {
      const imported = {
        method: "oidc",
        issuer: "https://id.example",
        oidc_client_id: "spaces",
        token: Redacted.make("x"),
        expiry_ms: 9e12
      } as const
      return Effect.gen(function* () {
        const { next, seen } = yield* FakeAuki
        next(
          "/service/domains-access-token",
          ...[1, 2, 3].map((jti) => ({ status: 200, body: { access_token: jwt({ jti, exp: 9000 }) } }))
        )
        const ask = Auki.use(({ discovery }) => discovery.token)
        yield* ask
        yield* nextProcess({ ...imported, api_url: "https://api.dev.test" }, ask)
        yield* nextProcess({ ...imported, dds_url: "https://dds.dev.test" }, ask)
        assert.lengthOf(seen, 3)
      }).pipe(Effect.provide(scene(imported)))
    }
  )

  it.effect("B-09 B-30 a logout forgets all three levels", () =>
    Effect.gen(function* () {
      const auki = yield* Auki
      yield* domain("a")
      yield* auki.logout
      assert.deepInclude(yield* Effect.flip(domain("a")), { _tag: "LoginRequired" })
      assert.notInclude(yield* auki.save, "ey")
    }).pipe(Effect.provide(scene()))
  )

  it.effect.each(["services", "program"])(
    "attack: B-39 a session that was found, and that the %s it came from ended, signs nobody in unasked either",
    (who) =>
      Effect.gen(function* () {
        const { logout, network } = yield* Auki
        const { endSessions } = yield* FakeAuki
        yield* network.token
        const found = Effect.gen(function* () {
          const { network } = yield* Auki
          yield* network.token
          yield* who === "program" ? logout : Effect.sync(endSessions)
          yield* minutes(61)
          return yield* Effect.flip(network.token)
        })
        assert.deepInclude(yield* nextProcess(alice, found), { _tag: "LoginRequired" })
        assert.deepStrictEqual((yield* counts)[0], 1)
      }).pipe(Effect.provide(scene()))
  )

  const opaque = { method: "opaque", token: Redacted.make("given"), expiry_ms: 600_000 } as const
  it.effect.each([alice, opaque])(
    "attack: B-30 R15 a logout is the end of what signs in, though that had not been used here: only a login goes on",
    (settings) =>
      Effect.gen(function* () {
        yield* nextProcess(
          settings,
          Auki.use(({ network }) => network.token)
        )
        const before = yield* counts
        const { login, logout, network } = yield* Auki
        yield* network.token
        yield* logout
        assert.deepInclude(yield* Effect.flip(network.token), { _tag: "LoginRequired", reason: "NoCredential" })
        assert.deepStrictEqual(yield* counts, before)
        yield* login()
        yield* network.token
      }).pipe(Effect.provide(scene(settings)))
  )

  const ends: ReadonlyArray<readonly [string, Partial<Settings>, Effect.Effect<unknown, unknown, Auki | FakeAuki>]> = [
    [
      "a session that the service ended",
      alice,
      Effect.flatMap(FakeAuki, ({ endSessions }) => Effect.sync(endSessions))
    ],
    ["a logout", alice, Auki.use(({ logout }) => logout)],
    ["the end of a token that was brought along", opaque, Effect.void]
  ]
  it.effect.each(ends)("after %s, a plan says what asking does: nobody is signed in again by it", ([, settings, end]) =>
    Effect.gen(function* () {
      const { network, plan } = yield* Auki
      const step = Effect.map(plan(), (plan) => Explain.json(plan).nodes[0]?.step)
      assert.strictEqual(yield* step, "obtain")
      yield* network.token
      assert.strictEqual(yield* step, "nothing")
      yield* end
      yield* minutes(61)
      const before = yield* counts
      if ((yield* step) === "refresh") {
        yield* Effect.flip(network.token)
        assert.notDeepEqual(yield* counts, before)
      }
      const after = yield* counts
      assert.strictEqual(yield* step, "sign in")
      assert.deepInclude(yield* Effect.flip(network.token), { _tag: "LoginRequired" })
      assert.deepStrictEqual(yield* counts, after)
    }).pipe(Effect.provide(scene(settings)))
  )

  it.effect.each([{ email: alice.email }, { method: "app_key", app_key: "app" }, { method: "opaque" }] as const)(
    "a plan without the secret of %j says that somebody has to bring it",
    (settings) =>
      Effect.gen(function* () {
        const { network, plan } = yield* Auki
        assert.strictEqual(Explain.json(yield* plan()).nodes[0]?.step, "sign in")
        assert.deepInclude(yield* Effect.flip(network.token), { _tag: "ConfigurationInvalid", reason: "MissingValue" })
      }).pipe(Effect.provide(scene(settings)))
  )

  it.effect("B-13 X-23 B.8#11 no error, event or printed setting holds a secret or a body", () =>
    Effect.gen(function* () {
      const { next } = yield* FakeAuki
      const said: Array<string> = [JSON.stringify({ ...base, ...alice, ...app })]
      next("/user/login", { status: 400, body: { error: "canary" } }, { status: 200, body: "canary" })
      next("/user/login", { status: 200, body: { access_token: "no canary\n" } })
      for (const _ of [1, 2, 3]) said.push(String(yield* Effect.flip(domain("a"))))
      assert.lengthOf(said, 4)
      for (const text of said) assert.notInclude(text, "canary")
    }).pipe(Effect.provide(scene()))
  )
})

describe("how long a session lives", () => {
  it.effect("expires_in counts from when it was asked for, however long the answer takes", () =>
    Effect.gen(function* () {
      const slow = HttpClient.transformResponse(yield* HttpClient.HttpClient, Effect.delay("10 seconds"))
      const layer = Auki.layer({ ...base, ...alice }).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, slow)))
      const ask = Auki.use(({ network }) => network.token)
      const asking = yield* Effect.forkChild(Effect.provide(ask, layer))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(asking)).expiresAt?.epochMilliseconds, 3_600_000)
    }).pipe(Effect.provide(scene()))
  )
})

describe("a refresh that fails", () => {
  it.effect(
    "B-23 that was locked in as the end of all tokens at any status. Right is: a 401 ends the session, and says so",
    () =>
      Effect.gen(function* () {
        const { network } = yield* Auki
        yield* network.token
        const { endSessions } = yield* FakeAuki
        endSessions()
        yield* minutes(61)
        assert.deepInclude(yield* Effect.flip(network.token), { _tag: "LoginRequired", reason: "RefreshRefused" })
      }).pipe(Effect.provide(scene()))
  )

  it.effect.each([408, 429, 500, 502, 503])(
    "B-23 B.8#7 R4 X-13 a %s keeps the session: the next call has a token",
    (status) =>
      Effect.gen(function* () {
        const { network } = yield* Auki
        yield* network.token
        const { next } = yield* FakeAuki
        next("/user/refresh", ...Array.from({ length: 4 }, () => ({ status })))
        yield* minutes(61)
        const failing = yield* Effect.forkChild(Effect.flip(network.token))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* Fiber.join(failing))._tag, "ProviderUnavailable")
        next("/user/refresh")
        const found = yield* Effect.forkChild(Effect.retry(network.token, { times: 5 }))
        yield* TestClock.adjust("5 minutes")
        yield* Fiber.join(found)
        assert.strictEqual((yield* counts)[0], 1)
      }).pipe(Effect.provide(scene()))
  )

  it.effect("B.8#7 R1 X-16 an answer without a refresh token keeps the old one", () =>
    Effect.gen(function* () {
      const { network } = yield* Auki
      yield* network.token
      const { next, to } = yield* FakeAuki
      next("/user/refresh", { status: 200, body: { access_token: jwt({ exp: 10_000 }), expires_in: 3600 } })
      yield* minutes(61)
      yield* network.token
      yield* minutes(130)
      yield* network.token
      assert.deepStrictEqual(
        to("/user/refresh").map(({ headers }) => headers["authorization"]),
        ["Bearer refresh-1", "Bearer refresh-1"]
      )
    }).pipe(Effect.provide(scene()))
  )

  const malformed: ReadonlyArray<unknown> = [
    "canary",
    {},
    { access_token: 1 },
    { access_token: "" },
    { access_token: "opaque" },
    { access_token: "a b", expires_in: 60 },
    { access_token: "x", expires_in: 0 },
    { access_token: "x", expires_in: "soon" },
    { access_token: "x", expires_in: 60, refresh_token: "" }
  ]
  it.effect.each(malformed)("X-19 X-11 answer %j is nothing to go on, and takes nothing away", (body) =>
    Effect.gen(function* () {
      const { network } = yield* Auki
      yield* network.token
      const { next } = yield* FakeAuki
      next("/user/refresh", { status: 200, body })
      yield* minutes(61)
      const failure = yield* Effect.flip(network.token)
      assert.strictEqual(failure._tag, "AnswerRejected")
      assert.notInclude(String(failure), "canary")
    }).pipe(Effect.provide(scene()))
  )
})

describe("a refresh whose token is of no use", () => {
  const unusable: ReadonlyArray<object> = [
    { access_token: "opaque" },
    { access_token: 1, expires_in: 60 },
    { access_token: "a b", expires_in: 60 },
    { access_token: "x", expires_in: "soon" },
    {}
  ]
  it.effect.each(unusable)("X-19 R1 an answer %j does not lose the refresh token beside it", (body) =>
    Effect.gen(function* () {
      const { network } = yield* Auki
      const first = yield* network.token
      const { next, to } = yield* FakeAuki
      next(
        "/user/refresh",
        { status: 200, body: { ...body, refresh_token: "rotated" } },
        { status: 200, body: { access_token: "good", expires_in: 60 } }
      )
      yield* minutes(61)
      assert.deepInclude(yield* Effect.flip(network.token), { _tag: "AnswerRejected", reason: "Malformed" })
      const [kept] = yield* CredentialStore.use(({ list }) => list)
      assert.strictEqual(kept && Redacted.value(kept.token.value), Redacted.value(first.value))
      yield* network.renew
      assert.deepStrictEqual(
        to("/user/refresh").map(({ headers }) => headers["authorization"]),
        ["Bearer refresh-1", "Bearer rotated"]
      )
    }).pipe(Effect.provide(scene()))
  )

  it.effect("R12 one that no header can carry is not kept", () =>
    Effect.gen(function* () {
      const { network } = yield* Auki
      yield* network.token
      const { next } = yield* FakeAuki
      next("/user/refresh", { status: 200, body: { access_token: "opaque", refresh_token: "a\nb" } })
      yield* minutes(61)
      assert.strictEqual((yield* Effect.flip(network.token))._tag, "AnswerRejected")
      const [kept] = yield* CredentialStore.use(({ list }) => list)
      assert.strictEqual(kept?.refreshToken && Redacted.value(kept.refreshToken), "refresh-1")
    }).pipe(Effect.provide(scene()))
  )
})

describe("state", () => {
  it.effect(
    "B-07 B-31 B-43 a session that was saved goes on in the next process without another login: it has no password and no address",
    () =>
      Effect.gen(function* () {
        const auki = yield* Auki
        const before = yield* domain("a")
        const state = yield* auki.save
        for (const word of ["credentials", "email", "password", alice.email, "alice-canary"]) {
          assert.notInclude(state.toLowerCase(), word)
        }
        const again = Auki.use(({ domain, restore }) => Effect.andThen(restore(state), domain("a")))
        const fresh = Effect.provide(again, Auki.layer({ ...base, ...alice }))
        assert.strictEqual(tokenOf(yield* fresh), tokenOf(before))
        assert.deepStrictEqual(yield* counts, [1, 0, 1, 1])
      }).pipe(Effect.provide(scene()))
  )

  it.effect("B.8#1 R11 an app's secret is in no saved state and in no store", () =>
    Effect.gen(function* () {
      yield* domain("a")
      const state = yield* Auki.use(({ save }) => save)
      assert.notInclude(state, "app-canary")
      assert.notInclude(state, btoa("app:app-canary"))
    }).pipe(Effect.provide(scene(app)))
  )

  it.effect("R11 a state of another service, client or account, of another version, or of nothing, is refused", () =>
    Effect.gen(function* () {
      yield* domain("a")
      const { save } = yield* Auki
      const state = yield* save
      const refused = (settings: Partial<Settings>, text: string) =>
        Effect.flip(
          nextProcess(
            settings,
            Auki.use(({ restore }) => restore(text))
          )
        )
      const others = [
        { ...alice, client_id: "installation-2" },
        { ...alice, api_url: "https://api.else.test" },
        { ...alice, dds_url: "https://dds.else.test" },
        bob,
        { ...app, email: alice.email }
      ]
      for (const settings of others) {
        assert.include(yield* Effect.map(refused(settings, state), String), "another service, client or account")
      }
      for (const text of [state.replace('"version":1', '"version":2'), "no json", "[]", '{"version":1}']) {
        assert.deepInclude(yield* refused(alice, text), { _tag: "ConfigurationInvalid", reason: "InvalidValue" })
      }
    }).pipe(Effect.provide(scene()))
  )

  it.effect(
    "R11 B.8#1 the predecessor's state is taken up: its session, not what hangs on it, and no app's secret",
    () =>
      Effect.gen(function* () {
        const { next } = yield* FakeAuki
        const { network, restore } = yield* Auki
        const old = (token: string) =>
          bodyOf({
            network_auth: { token, refresh_token: "old-refresh", expires_at: 60_000 },
            discovery_auth: { token: "old-discovery", expires_at: 60_000 },
            domain_accesses: { a: {} }
          })
        yield* restore(old(`Basic ${btoa("app:secret")}`))
        assert.strictEqual((yield* network.current)._tag, "None")
        yield* restore(old("old-token"))
        assert.strictEqual(Redacted.value((yield* network.token).value), "old-token")
        yield* minutes(2)
        next("/user/refresh", { status: 200, body: { access_token: "new", expires_in: 60 } })
        assert.strictEqual(Redacted.value((yield* network.token).value), "new")
        assert.strictEqual((yield* FakeAuki).to("/user/refresh")[0]?.headers["authorization"], "Bearer old-refresh")
      }).pipe(Effect.provide(scene()))
  )

  it.effect(
    "R1 a state of before, of either library, does not take a renewed session back to a spent refresh token",
    () =>
      Effect.gen(function* () {
        const { network, restore, save } = yield* Auki
        yield* network.token
        const old = { token: "old-token", refresh_token: "old-refresh", expires_at: 60_000 }
        const states = [bodyOf({ network_auth: old }), yield* save]
        yield* minutes(61)
        const renewed = yield* network.token
        for (const state of states) {
          yield* restore(state)
          assert.strictEqual(Redacted.value((yield* network.token).value), Redacted.value(renewed.value))
        }
        yield* network.renew
        const { to } = yield* FakeAuki
        assert.deepStrictEqual(
          to("/user/refresh").map(({ headers }) => headers["authorization"]),
          ["Bearer refresh-1", "Bearer refresh-2"]
        )
      }).pipe(Effect.provide(scene()))
  )

  it.effect("R11 B.8#1 the predecessor's state of a person is nothing to an app: it stays itself", () =>
    Effect.gen(function* () {
      const { network, restore } = yield* Auki
      yield* restore(bodyOf({ network_auth: { token: "old-token", refresh_token: "old-refresh", expires_at: 60_000 } }))
      assert.deepStrictEqual(yield* CredentialStore.use(({ list }) => list), [])
      assert.strictEqual((yield* network.token).type, "Basic")
    }).pipe(Effect.provide(scene(app)))
  )

  it.effect(
    "B-32 B.8#8 that was locked in as the end of an expired session. Right is: its refresh token is good, and is used",
    () =>
      Effect.gen(function* () {
        yield* domain("a")
        const state = yield* Auki.use(({ save }) => save)
        yield* minutes(61)
        const again = Auki.use(({ domain, restore }) => Effect.andThen(restore(state), domain("a")))
        yield* Effect.provide(again, Auki.layer({ ...base, ...alice }))
        assert.deepStrictEqual(yield* counts, [1, 1, 2, 2])
      }).pipe(Effect.provide(scene()))
  )
})

describe("settings", () => {
  const unusable: ReadonlyArray<readonly [string, ConfigurationInvalid["reason"]]> = [
    ["http://api.example.com", "InsecureUrl"],
    ["https://user:canary@api.example.com", "InvalidValue"],
    ["https://api.example.com/path", "InvalidValue"],
    ["https://api.example.com?q", "InvalidValue"],
    ["https://api.example.com#f", "InvalidValue"],
    ["api.example.com", "InvalidValue"]
  ]
  it.effect.each(unusable)("B2: %s is no address of a service", ([url, reason]) =>
    Effect.gen(function* () {
      for (const name of ["api_url", "dds_url"]) {
        const failure = yield* Effect.flip(Effect.provide(Auki, scene({ ...alice, [name]: url })))
        assert.deepInclude(failure, { _tag: "ConfigurationInvalid", reason })
        assert.notInclude(failure.message, "canary")
      }
    })
  )

  it.effect.each(["https://:canary@h/r", "https://canary@h/r", "https://h/r?q", "https://h/r#f", "r"])(
    "B2: %s is nowhere to renew at",
    (refresh_url) =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(Effect.provide(Auki, scene({ ...alice, refresh_url })))
        assert.deepInclude(failure, { _tag: "ConfigurationInvalid", reason: "InvalidValue" })
        assert.notInclude(failure.message, "canary")
      })
  )

  const long = (bytes: number) => "canary".padEnd(bytes - 1, "x") + "é"
  const beyond: ReadonlyArray<readonly [string, Partial<Settings>]> = [
    ["a client id with a blank", { ...alice, client_id: "a b" }],
    ["one that is a header of its own", { ...alice, client_id: "a\r\nx: canary" }],
    ["one of 129 characters", { ...alice, client_id: "x".repeat(129) }],
    ["an address of 321 bytes", { ...alice, email: long(320) }],
    ["a password of 1025", { ...alice, password: Redacted.make(long(1024)) }],
    ["an app key with a colon, which is another app's", { ...app, app_key: "canary:b" }],
    ["one of 257 bytes", { ...app, app_key: long(256) }],
    ["one with a line break", { ...app, app_key: "canary\nhost=evil.example" }],
    ["an app secret with one", { ...app, app_secret: Redacted.make("canary\nhost=evil.example") }],
    ["one of 257", { ...app, app_secret: Redacted.make(long(256)) }],
    ["a token of 65537", { method: "opaque", token: Redacted.make("canary".padEnd(65_537, "x")) }],
    ["one that no header can hold", { method: "opaque", token: Redacted.make("canary€") }],
    ["one with a line break", { method: "opaque", token: Redacted.make("canary\nx: y") }],
    ["one with a blank before it", { method: "opaque", token: Redacted.make(" canary") }],
    ["none at all", { method: "opaque", token: Redacted.make("") }],
    [
      "an OpenID Connect client of 256 bytes",
      { method: "oidc", oidc_client_id: long(255), issuer: "https://id.example" }
    ]
  ]
  it.effect.each(beyond)("B2: %s is no setting of a program's either, and is not repeated", ([, settings]) =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(Effect.provide(Auki, scene(settings)))
      assert.deepInclude(failure, { _tag: "ConfigurationInvalid", reason: "InvalidValue" })
      assert.notInclude(String(failure), "canary")
    })
  )

  it.effect("B-12 settings go out and come back, in the words of config.toml", () =>
    Effect.gen(function* () {
      const table = { ...base, method: "opaque", token: "given", expiry_ms: 1, oidc_client_id: "spaces" } as const
      const decoded = yield* Schema.decodeUnknownEffect(Settings)(table)
      assert.notInclude(JSON.stringify(decoded), "given")
      assert.deepStrictEqual(yield* Schema.encodeEffect(Settings)(decoded), table)
    })
  )

  it.effect("R12 a slash at the end makes no difference", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* domain("a")).id, "a")
    }).pipe(Effect.provide(scene({ ...alice, api_url: `${apiUrl}/`, dds_url: `${ddsUrl}/` })))
  )
})
