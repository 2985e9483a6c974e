import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Equal, Fiber, Layer, Redacted } from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { vi } from "vitest"
import { clients, Fault, patiently, type ProviderOptions, SimulatedProvider } from "../src/provider.ts"
import { basic, bearer, discover, get, post } from "./Caller.ts"

const cli = { client_id: clients.cli.client_id }
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
const everything = "openid offline_access profile email api:read"

const layerSocket = (options?: ProviderOptions) =>
  SimulatedProvider.layerServer(options).pipe(
    Layer.provide(
      NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "1 second" })
    ),
    Layer.provideMerge(NodeHttpClient.layerUndici)
  )

/** The same program with the provider in memory and behind a socket. */
const both = <A, E>(
  name: string,
  program: Effect.Effect<A, E, SimulatedProvider | HttpClient.HttpClient>,
  options?: ProviderOptions
) => {
  it.effect(`${name} (in memory)`, () => program.pipe(Effect.provide(SimulatedProvider.layer(options))))
  it.effect(`${name} (over a socket)`, () => program.pipe(Effect.provide(layerSocket(options))))
}

const at = Effect.flatMap(SimulatedProvider, ({ issuer }) => discover(issuer))

const signIn = Effect.fnUntraced(function* (scope = everything, person = "alice") {
  const idp = yield* SimulatedProvider
  yield* idp.approve(person)
  const url = yield* at
  const device = yield* post(url("device_authorization_endpoint"), { ...cli, scope })
  return yield* post(url("token_endpoint"), {
    ...cli,
    grant_type: deviceGrant,
    device_code: String(device.json["device_code"])
  })
})

const refresh = Effect.fnUntraced(function* (token: unknown, more: Readonly<Record<string, string>> = {}) {
  const url = yield* at
  const form = { ...cli, grant_type: "refresh_token", refresh_token: String(token), ...more }
  return yield* post(url("token_endpoint"), form)
})

describe("device login", () => {
  both(
    "pending, slow down, approval",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const url = yield* at
      const device = yield* post(url("device_authorization_endpoint"), { ...cli, scope: everything })
      assert.strictEqual(device.status, 200)
      const poll = post(url("token_endpoint"), {
        ...cli,
        grant_type: deviceGrant,
        device_code: String(device.json["device_code"])
      })
      assert.strictEqual((yield* poll).json["error"], "authorization_pending")
      assert.strictEqual((yield* poll).json["error"], "slow_down")
      yield* idp.enterCode(String(device.json["user_code"]).toLowerCase(), "bob", "approve")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* poll).json["error"], "slow_down", "the interval has grown by 5 seconds")
      yield* TestClock.adjust("15 seconds")
      const tokens = yield* poll
      assert.strictEqual(tokens.status, 200)
      const me = yield* get(url("userinfo_endpoint"), bearer(tokens.json["access_token"]))
      assert.deepStrictEqual(me.json, {
        sub: "bob",
        name: "Bob Example",
        preferred_username: "bob",
        email: "bob@example.com",
        email_verified: false
      })
      assert.strictEqual((yield* poll).json["error"], "invalid_grant", "a device code is good once")
    })
  )

  both(
    "denial, expiry, a person who takes their time",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const url = yield* at
      const begin = Effect.gen(function* () {
        const device = yield* post(url("device_authorization_endpoint"), { ...cli, scope: "openid" })
        return post(url("token_endpoint"), {
          ...cli,
          grant_type: deviceGrant,
          device_code: String(device.json["device_code"])
        })
      })
      yield* idp.deny("alice", { after: "20 seconds", wrongPasswords: 1 })
      const poll = yield* begin
      yield* TestClock.adjust("39 seconds")
      assert.strictEqual((yield* poll).json["error"], "authorization_pending")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* poll).json["error"], "access_denied")
      yield* idp.approve("alice", { afterPolls: 2, scopes: [] })
      const later = yield* begin
      assert.strictEqual((yield* later).json["error"], "authorization_pending")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* later).json["error"], "authorization_pending")
      yield* TestClock.adjust("5 seconds")
      assert.notProperty((yield* later).json, "scope", "she consented to nothing")
      yield* idp.ignore
      const never = yield* begin
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* never).json["error"], "expired_token")
    })
  )
})

describe("refresh tokens", () => {
  both(
    "rotate; a second use ends the family",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const first = yield* signIn()
      const second = yield* refresh(first.json["refresh_token"])
      assert.strictEqual(second.status, 200)
      assert.notStrictEqual(second.json["refresh_token"], first.json["refresh_token"])
      assert.strictEqual(yield* idp.liveRefreshTokens, 1)
      assert.strictEqual((yield* refresh(first.json["refresh_token"])).json["error"], "invalid_grant")
      assert.strictEqual((yield* refresh(second.json["refresh_token"])).json["error"], "invalid_grant")
      assert.isFalse(yield* idp.accepts(String(second.json["access_token"])))
      assert.deepStrictEqual(
        (yield* idp.families).map(({ ended }) => ended?.because),
        ["reuse"]
      )
    })
  )

  both(
    "within the grace interval a spent one is taken again",
    Effect.gen(function* () {
      const first = yield* signIn()
      yield* refresh(first.json["refresh_token"])
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual((yield* refresh(first.json["refresh_token"])).status, 200)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* refresh(first.json["refresh_token"])).json["error"], "invalid_grant")
    }),
    { graceInterval: "30 seconds" }
  )

  both(
    "live as long as they are used, and no longer than the sign-in",
    Effect.gen(function* () {
      let { json } = yield* signIn()
      for (let day = 2; day < 10; day += 2) {
        yield* TestClock.adjust("2 days")
        const next = yield* refresh(json["refresh_token"])
        assert.strictEqual(next.status, 200, `day ${day}`)
        json = next.json
      }
      yield* TestClock.adjust("2 days")
      assert.strictEqual((yield* refresh(json["refresh_token"])).json["error"], "invalid_grant")
      const idle = yield* signIn()
      yield* TestClock.adjust("3 days")
      assert.strictEqual((yield* refresh(idle.json["refresh_token"])).json["error"], "invalid_grant")
    }),
    { refreshTokenIdle: "3 days", refreshTokenLifetime: "10 days" }
  )

  both(
    "may narrow the scopes, not widen them",
    Effect.gen(function* () {
      const { json } = yield* signIn("openid offline_access api:read")
      const wide = yield* refresh(json["refresh_token"], { scope: "openid api:write" })
      assert.deepStrictEqual([wide.status, wide.json["error"]], [400, "invalid_scope"])
      const narrow = yield* refresh(json["refresh_token"], { scope: "api:read" })
      assert.strictEqual(narrow.json["scope"], "api:read")
      assert.notProperty(narrow.json, "id_token")
    }),
    { rotation: false }
  )
})

describe("clients", () => {
  both(
    "prove who they are by header or form; machines get a token of their own",
    Effect.gen(function* () {
      const url = yield* at
      const form = { grant_type: "client_credentials", scope: "api:read openid" }
      const token = url("token_endpoint")
      const byHeader = yield* post(token, form, basic(clients.billing))
      assert.strictEqual(byHeader.json["scope"], "api:read")
      assert.notProperty(byHeader.json, "refresh_token")
      const { client_id, client_secret } = clients.billingPost
      assert.strictEqual((yield* post(token, { ...form, client_id, client_secret })).status, 200)
      const wrong = yield* post(token, form, basic({ ...clients.billing, client_secret: "wrong" }))
      assert.deepStrictEqual([wrong.status, wrong.json["error"]], [401, "invalid_client"])
      assert.match(wrong.headers["www-authenticate"] ?? "", /^Basic /)
      const publicClient = yield* post(token, { ...form, ...cli })
      assert.deepStrictEqual([publicClient.status, publicClient.json["error"]], [400, "unauthorized_client"])
      const api = (yield* SimulatedProvider).apiUrl
      assert.strictEqual((yield* get(api, bearer(byHeader.json["access_token"]))).json["sub"], "billing")
    })
  )
})

describe("a token's end", () => {
  both(
    "expiry, revocation and too narrow a scope, each with its challenge",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const url = yield* at
      const { json } = yield* signIn("openid api:read")
      const token = json["access_token"]
      const needs = (scope: string) => get(`${new URL(idp.apiUrl).origin}/api/needs/${scope}`, bearer(token))
      assert.strictEqual((yield* needs("api:read")).status, 200)
      const narrow = yield* needs("api:write")
      assert.strictEqual(narrow.status, 403)
      assert.match(narrow.headers["www-authenticate"] ?? "", /^Bearer .*error="insufficient_scope".*scope="api:write"/)
      const realm = `realm="${idp.issuer}"`
      assert.strictEqual(
        (yield* get(idp.apiUrl)).headers["www-authenticate"],
        `Bearer ${realm}, DPoP ${realm}, algs="ES256 ES384 RS256 PS256 EdDSA Ed25519"`
      )
      const introspect = post(url("introspection_endpoint"), { ...cli, token: String(token) })
      assert.isTrue((yield* introspect).json["active"])
      yield* post(url("revocation_endpoint"), { ...cli, token: String(token) })
      assert.deepStrictEqual((yield* introspect).json, { active: false })
      const revoked = yield* needs("api:read")
      assert.strictEqual(revoked.status, 401)
      assert.match(revoked.headers["www-authenticate"] ?? "", /error="invalid_token"/)
      const other = yield* signIn("openid api:read")
      assert.isTrue(yield* idp.accepts(String(other.json["access_token"])))
      yield* TestClock.adjust("1 hour")
      assert.isFalse(yield* idp.accepts(String(other.json["access_token"])))
    })
  )

  both(
    "signing out ends what was not meant to outlive the session",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const url = yield* at
      const short = yield* signIn("openid")
      const long = yield* signIn("openid offline_access")
      const query = new URLSearchParams({
        id_token_hint: String(short.json["id_token"]),
        post_logout_redirect_uri: "http://127.0.0.1/elsewhere"
      })
      const elsewhere = yield* get(`${url("end_session_endpoint")}?${query}`)
      assert.deepStrictEqual([elsewhere.status, elsewhere.json["error"]], [400, "invalid_request"])
      query.delete("post_logout_redirect_uri")
      assert.strictEqual((yield* get(`${url("end_session_endpoint")}?${query}`)).status, 200)
      assert.isFalse(yield* idp.accepts(String(short.json["access_token"])))
      assert.isTrue(yield* idp.accepts(String(long.json["access_token"])))
      query.set("post_logout_redirect_uri", "http://127.0.0.1/callback")
      query.set("state", "x")
      const back = yield* get(`${url("end_session_endpoint")}?${query}`)
      assert.deepStrictEqual([back.status, back.headers["location"]], [303, "http://127.0.0.1/callback?state=x"])
    })
  )
})

describe("faults", () => {
  const ask = Effect.gen(function* () {
    const { issuer } = yield* SimulatedProvider
    return yield* get(`${issuer}/jwks`)
  })
  const failure = Effect.map(Effect.flip(ask), (error) => ("reason" in error ? error.reason._tag : error))

  both(
    "meet the nth request that matches, and are recorded",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.faults(
        Fault.onRequest(
          { endpoint: "jwks", nth: 2, times: 2 },
          Fault.answer({ status: 503, headers: { "retry-after": "7" } })
        ),
        Fault.onRequest({ endpoint: "jwks", nth: 4 }, Fault.resetBefore),
        Fault.onRequest({ endpoint: "jwks", nth: 5 }, Fault.resetAfter),
        Fault.onRequest({ endpoint: "jwks", nth: 6 }, Fault.half)
      )
      assert.strictEqual((yield* ask).status, 200)
      assert.strictEqual((yield* ask).headers["retry-after"], "7")
      assert.strictEqual((yield* ask).status, 503)
      assert.strictEqual(yield* failure, "TransportError")
      assert.strictEqual(yield* failure, "TransportError")
      assert.strictEqual(yield* failure, "DecodeError")
      assert.strictEqual((yield* ask).status, 200)
      yield* idp.expectRequests(
        [200, 503, 503, "reset before" as const, "reset after" as const, "half" as const, 200].map((outcome) => ({
          endpoint: "jwks" as const,
          outcome
        }))
      )
    })
  )

  it.effect("delays, hangs, quotas and outages, in virtual time", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.faults(
        Fault.onRequest({ nth: 1 }, Fault.delay("10 seconds")),
        Fault.onRequest({ nth: 2 }, Fault.hang),
        Fault.quota({ endpoint: "jwks", limit: 3, per: "1 minute" }),
        Fault.outage({ from: "1 hour", for: "1 hour" }),
        Fault.outage({ from: "3 hours", for: "1 hour", as: "unavailable" })
      )
      const slow = yield* Effect.forkChild(ask)
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(slow.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(slow)).status, 200)
      const hung = yield* Effect.forkChild(ask)
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(hung.pollUnsafe())
      yield* Fiber.interrupt(hung)
      assert.strictEqual((yield* ask).status, 200)
      const spent = yield* ask
      assert.deepStrictEqual([spent.status, spent.headers["retry-after"]], [429, "45"])
      yield* TestClock.adjust("45 seconds")
      assert.strictEqual((yield* ask).status, 200)
      yield* TestClock.setTime(3_599_999)
      assert.strictEqual((yield* ask).status, 200)
      yield* TestClock.adjust("1 milli")
      assert.strictEqual(yield* failure, "TransportError")
      yield* TestClock.setTime(7_199_999)
      assert.strictEqual(yield* failure, "TransportError")
      yield* TestClock.adjust("1 milli")
      assert.strictEqual((yield* ask).status, 200)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* ask).status, 503)
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  both(
    "who goes away is on record as gone, before the provider's work or after it",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.faults(Fault.onRequest({ endpoint: "jwks" }, Fault.delay("10 seconds")))
      const outcomes = Effect.map(idp.requests, (requests) => requests.map(({ outcome }) => outcome))
      const waiting = yield* Effect.forkChild(ask, { startImmediately: true })
      yield* Effect.repeat(Effect.yieldNow, {
        until: () => Effect.map(outcomes, ({ length }) => length > 0)
      })
      assert.deepStrictEqual(yield* outcomes, ["open"])
      yield* Fiber.interrupt(waiting)
      yield* Effect.repeat(Effect.yieldNow, {
        until: () => Effect.map(outcomes, ([first]) => first !== "open")
      })
      assert.deepStrictEqual(yield* outcomes, ["left before"])
    })
  )

  it.effect("who goes away while the provider is at work leaves after it", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const refreshing = yield* Effect.forkChild(refresh((yield* signIn()).json["refresh_token"]))
      yield* Effect.repeat(Effect.yieldNow, {
        until: () => Effect.map(idp.requests, (all) => all.at(-1)?.grant === "refresh_token")
      })
      yield* Fiber.interrupt(refreshing)
      yield* idp.expectRequests([{ outcome: "left after" }], { grant: "refresh_token" })
      assert.strictEqual((yield* idp.snapshot).families[0]?.refreshTokens.length, 2, "it did its work")
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.live("over a socket too there may be no answer, and the server closes all the same", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.faults(Fault.onRequest({}, Fault.hangAfter))
      const asking = yield* Effect.forkChild(ask)
      const outcomes = Effect.map(idp.requests, (requests) => requests.map(({ outcome }) => outcome))
      yield* Effect.repeat(Effect.andThen(Effect.sleep("5 millis"), outcomes), { until: ([first]) => first === "hang" })
      yield* Effect.sleep("50 millis")
      assert.isUndefined(asking.pollUnsafe())
      yield* Fiber.interrupt(asking)
      assert.deepStrictEqual(yield* outcomes, ["hang"])
    }).pipe(Effect.provide(layerSocket()))
  )

  it.effect("what is never answered may have been done, and stays on record as that", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const { json } = yield* signIn()
      yield* idp.faults(Fault.onRequest({ grant: "refresh_token" }, Fault.hangAfter))
      const refreshing = yield* Effect.forkChild(refresh(json["refresh_token"]))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(refreshing)
      yield* idp.expectRequests([{ outcome: "hang" }], { grant: "refresh_token" })
      assert.strictEqual((yield* idp.snapshot).families[0]?.refreshTokens.length, 2)
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect("meet a client's requests and no other's; of two lies about one thing the first is told", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const { client_id, client_secret } = clients.billingPost
      const match = { client: client_id }
      yield* idp.faults(
        Fault.onRequest(match, Fault.altered({ error: "first" })),
        Fault.onRequest(match, Fault.altered({ error: "second" }))
      )
      const url = (yield* at)("token_endpoint")
      const form = { grant_type: "client_credentials" }
      yield* post(url, form, basic(clients.billing))
      yield* post(url, { ...form, client_id, client_secret })
      yield* idp.expectRequests(
        [
          { client: "billing", outcome: 200 },
          { client: client_id, outcome: 200, error: "first" }
        ],
        {
          endpoint: "token"
        }
      )
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect("are gone once it has recovered, and so are those to come", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const { keys } = (yield* ask).json
      yield* idp.faults(Fault.outage({ for: "1 day" }), Fault.keyRotation("1 hour"))
      yield* idp.recover
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual((yield* ask).json["keys"], keys)
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect("what is revoked while a refresh is being answered stays revoked", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const { json } = yield* signIn()
      const refreshing = yield* Effect.forkChild(refresh(json["refresh_token"]), { startImmediately: true })
      // Once the request is there, it is being signed.
      yield* Effect.repeat(Effect.yieldNow, { until: () => Effect.map(idp.requests, ({ length }) => length > 3) })
      yield* idp.revokeAll
      yield* Fiber.join(refreshing)
      assert.strictEqual(yield* idp.liveRefreshTokens, 0)
      assert.strictEqual(yield* idp.liveAccessTokens, 0)
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect("a request delivered twice spends the token twice, and is on record twice", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const { json } = yield* signIn()
      yield* idp.faults(Fault.onRequest({ grant: "refresh_token" }, Fault.twice))
      const answer = yield* refresh(json["refresh_token"])
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(yield* idp.liveRefreshTokens, 0)
      yield* idp.expectRequests([{ outcome: 200 }, { outcome: 400, error: "invalid_grant" }], {
        grant: "refresh_token"
      })
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect("a clock that is wrong, and keys that change at an instant", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const before = (yield* ask).json["keys"]
      yield* idp.faults(Fault.keyRotation("1 day"), Fault.clockAhead("5 minutes"))
      yield* TestClock.adjust("1 day")
      const after = (yield* ask).json["keys"]
      assert.isTrue(Array.isArray(before) && before.length === 1 && Array.isArray(after) && after.length === 2)
      const { json } = yield* signIn()
      yield* TestClock.adjust("55 minutes")
      assert.isTrue(yield* idp.accepts(String(json["access_token"])), "both clocks are the provider's")
      assert.strictEqual((yield* idp.snapshot).now, "1970-01-02T01:00:00.000Z")
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect("an answer may be JSON that is none", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const broken = Fault.answer({ status: 502, headers: { "content-type": "application/json" }, body: '{"error' })
      yield* idp.faults(Fault.onRequest({ endpoint: "jwks" }, broken))
      assert.strictEqual((yield* HttpClient.get(`${idp.issuer}/jwks`)).status, 502)
      yield* idp.expectRequests([{ endpoint: "jwks", outcome: 502 }])
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect.each([
    ["a failure", Effect.fail("the test")],
    ["a test that took too long", Effect.interrupt]
  ] as const)("%s tells the seed of the plan, where a test's console would hide it", ([, end]) =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const spy = vi.spyOn(console, "log").mockImplementation((...line) => void lines.push(line.join(" ")))
      yield* SimulatedProvider.use((idp) => idp.chaos("seed 17", { over: "1 hour", count: 1 })).pipe(
        Effect.andThen(end),
        Effect.provide(SimulatedProvider.layer()),
        Effect.exit,
        Effect.ensuring(Effect.sync(() => spy.mockRestore()))
      )
      assert.include(lines.join("\n"), "the fault plan's seed was seed 17")
    })
  )

  it.effect("random plans are the same for the same seed", () =>
    Effect.sync(() => {
      const options = { over: "14 days", count: 20 } as const
      assert.deepStrictEqual(Fault.random("a", options), Fault.random("a", options))
      assert.notDeepEqual(Fault.random("a", options), Fault.random("b", options))
      const plan = Fault.random("a", { ...options, count: 100 })
      const begins = new Set(plan.map((fault) => (fault._tag === "Outage" ? fault.from : undefined)))
      const meets = new Set(plan.map((fault) => (fault._tag === "OnRequest" ? fault.nth : undefined)))
      assert.isAbove(begins.size, 5, "outages are spread over the time")
      assert.isAbove(meets.size, 20, "and faults over the requests")
    })
  )
})

describe("one provider behind both transports", () => {
  it.live("what is signed in, put into trouble and revoked in memory is so behind the socket", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const inMemory = yield* HttpClient.HttpClient
      const { json } = yield* signIn()
      const bySocket = get(idp.apiUrl, bearer(json["access_token"])).pipe(Effect.provide(NodeHttpClient.layerUndici))
      assert.notStrictEqual(inMemory, yield* HttpClient.HttpClient.pipe(Effect.provide(NodeHttpClient.layerUndici)))
      assert.strictEqual((yield* bySocket).json["sub"], "alice")
      yield* idp.faults(Fault.onRequest({ endpoint: "api", nth: 2 }, Fault.answer({ status: 503 })))
      assert.strictEqual((yield* get(idp.apiUrl)).status, 401)
      assert.strictEqual((yield* bySocket).status, 503, "both count")
      yield* post((yield* at)("revocation_endpoint"), { ...cli, token: String(json["refresh_token"]) })
      assert.strictEqual((yield* bySocket).status, 401)
      yield* idp.expectRequests([{ outcome: 200 }, { outcome: 401 }, { outcome: 503 }, { outcome: 401 }], {
        endpoint: "api"
      })
      const elsewhere = yield* Effect.flip(inMemory.get("https://elsewhere.test/"))
      assert.strictEqual(elsewhere.reason._tag, "TransportError")
    }).pipe(
      Effect.provide(
        SimulatedProvider.layerClient.pipe(
          Layer.provideMerge(SimulatedProvider.layerServer()),
          Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
        )
      )
    )
  )
})

it.live.each([undefined, "0.0.0.0"])("a server that listens on %s has an issuer on the loopback", (host) =>
  Effect.gen(function* () {
    const { issuer } = yield* SimulatedProvider
    assert.match(issuer, /^http:\/\/(127\.0\.0\.1|\[::1\]):\d+$/)
    assert.strictEqual((yield* discover(issuer))("issuer"), issuer)
  }).pipe(
    Effect.provide(
      SimulatedProvider.layerServer().pipe(
        Layer.provide(NodeHttpServer.layer(createServer, host === undefined ? { port: 0 } : { port: 0, host })),
        Layer.provideMerge(NodeHttpClient.layerUndici)
      )
    )
  )
)

describe("what is seen of a provider", () => {
  const layer = SimulatedProvider.layer()

  it.effect("holds no secret in anything that prints, and compares them inside", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const { json } = yield* signIn()
      yield* refresh(json["refresh_token"])
      yield* post((yield* at)("token_endpoint"), { grant_type: "client_credentials" }, basic(clients.billing))
      yield* get(
        `${(yield* at)("end_session_endpoint")}?${new URLSearchParams({ id_token_hint: String(json["id_token"]) })}`
      )
      yield* idp.expectRequests([{ path: "/end_session", params: { id_token_hint: String(json["id_token"]) } }], {
        endpoint: "end_session"
      })
      const printed = JSON.stringify([yield* idp.requests, yield* idp.snapshot], null, 1)
      const { access_token, id_token, refresh_token } = json
      for (const secret of [refresh_token, access_token, id_token, clients.billing.client_secret]) {
        assert.notInclude(printed, String(secret))
      }
      const spent = (yield* idp.requests).find(({ grant }) => grant === "refresh_token")
      assert.isTrue(Equal.equals(spent?.params["refresh_token"], Redacted.make(String(json["refresh_token"]))))
    }).pipe(Effect.provide(layer))
  )

  it.effect(
    "a secret that is expected may be given in clear, and is told by nobody but for that there was another",
    () =>
      Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        const { json } = yield* signIn()
        yield* refresh(json["refresh_token"])
        const spending = (refresh_token: string) =>
          idp.expectRequests([{ params: { refresh_token } }], { grant: "refresh_token" })
        yield* spending(String(json["refresh_token"]))
        const { message } = yield* Effect.flip(spending("canary"))
        assert.match(message, /^expected 1 request:\n {2}1. any request {2}refresh_token=<another refresh_token>\n/)
        assert.match(message, /→ 200 {2}refresh_token=<redacted:refresh_token>$/)
      }).pipe(Effect.provide(layer))
  )

  it.effect("requests that were not expected read well, and so does their difference in a failing test", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const { json } = yield* signIn()
      yield* TestClock.adjust("1 hour")
      yield* refresh(json["refresh_token"], { scope: "openid" })
      const error = yield* Effect.flip(
        idp.expectRequests(
          [
            { outcome: 200 },
            { grant: "refresh_token", outcome: 400, error: "invalid_grant", params: { scope: "email" } },
            { client: "another", params: { refresh_token: Redacted.make("other", { label: "refresh_token" }) } }
          ],
          { endpoint: "token" }
        )
      )
      const login = "1970-01-01T00:00:00.000Z  POST token urn:ietf:params:oauth:grant-type:device_code → 200"
      assert.strictEqual(
        error.message,
        [
          "expected 3 requests:",
          `  1. ${login}  client=keyfob-cli`,
          "  2. refresh_token → 400 invalid_grant  scope=email",
          "  3. any request  client=another  refresh_token=<redacted:refresh_token>",
          "there were 2 requests:",
          `  1. ${login}  client=keyfob-cli`,
          "  2. 1970-01-01T01:00:00.000Z  POST token refresh_token → 200  client=keyfob-cli  refresh_token=<redacted:refresh_token>  scope=openid"
        ].join("\n")
      )
      // vitest makes a diff of these two, and then texts of them, before it reads the message.
      const [wanted, there] = [error.expected, error.actual]
      assert.deepStrictEqual([wanted[0], wanted.length, there.length], [there[0], 3, 2])
      const message = error.message
      assert.strictEqual(Object.assign(error, { expected: "", actual: "" }).message, message)
      assert.strictEqual(
        (yield* Effect.flip(idp.expectRequests([], { endpoint: "token", outcome: 200, grant: "refresh_token" })))
          .message,
        "expected no requests\nthere was 1 request:\n  1. 1970-01-01T01:00:00.000Z  POST token refresh_token → 200"
      )
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect("a snapshot tells what was spent from what has ended, and which keys sign", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const states = Effect.map(idp.snapshot, ({ families }) => families[0]?.refreshTokens.map(({ state }) => state))
      yield* refresh((yield* signIn()).json["refresh_token"])
      assert.deepStrictEqual(yield* states, ["spent", "live"])
      yield* idp.revokeAll
      assert.deepStrictEqual(yield* states, ["spent", "ended"])
      yield* idp.rotateKeys
      assert.deepStrictEqual(
        (yield* idp.snapshot).keys.map(({ signs }) => signs),
        [true, false]
      )
    }).pipe(Effect.provide(layer))
  )

  it.effect("a snapshot is in the order of time", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const people = ["alice", "bob", "bob", "alice", "alice", "bob"]
      for (const person of people) {
        yield* TestClock.adjust("5 minutes")
        yield* signIn("offline_access", person)
      }
      const { accessTokens, families: found, now } = yield* idp.snapshot
      assert.deepStrictEqual(
        found.map(({ person }) => person),
        people
      )
      assert.deepStrictEqual(
        (yield* idp.families).map(({ id }) => id),
        found.map(({ id }) => id)
      )
      assert.strictEqual(now, "1970-01-01T00:30:00.000Z")
      const ends = accessTokens.map(({ expiresAt }) => expiresAt)
      assert.deepStrictEqual(ends, ends.toSorted())
      assert.match(accessTokens[0]?.token ?? "", /^#[0-9a-f]{8}$/)
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect("equal seeds give equal tokens", () =>
    Effect.gen(function* () {
      const run = Effect.provide(signIn("offline_access"), SimulatedProvider.layer({ seed: "7" }), { local: true })
      assert.deepStrictEqual((yield* run).json, (yield* run).json)
    })
  )

  it.effect("patiently gives up on what never ends", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(patiently(Effect.never, "1 minute"))
      assert.strictEqual(exit._tag, "Failure")
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )
})
