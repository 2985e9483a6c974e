/** Whatever goes wrong at a provider goes wrong again in the replay, by the same name. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Base64Url } from "effect/encoding"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { CompactSign, decodeJwt, exportJWK, generateKeyPair } from "jose"
import { AuthorizationCode, ClientCredentials, CredentialStore, Login, Promised } from "keyfob"
import { clients, Fault, patiently, SimulatedBrowser, SimulatedProvider, Trace } from "../src/index.ts"
import { discover, post } from "./Caller.ts"

const issuer = "https://id.example"
const hour = 3600

const keys = Effect.promise(async () => {
  const [own, other] = await Promise.all([generateKeyPair("ES256"), generateKeyPair("ES256")])
  return { own, other, published: { ...(await exportJWK(own.publicKey)), kid: "k1", alg: "ES256", use: "sig" } }
})
type Keys = Effect.Success<typeof keys>

/** An ID token about alice, for the client, good for an hour; and what is to be wrong with it. */
const idToken = async (
  { other, own }: Keys,
  wrong: {
    readonly claims?: Readonly<Record<string, unknown>>
    readonly header?: { kid?: string; typ?: string }
    readonly forged?: boolean
  } = {}
) => {
  const claims = { iss: issuer, aud: "app", sub: "alice", iat: 0, exp: hour, ...wrong.claims }
  return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg: "ES256", kid: "k1", ...wrong.header })
    .sign(wrong.forged === true ? other.privateKey : own.privateKey)
}

type Answer = Effect.Effect<Response, string>
const json = (body: unknown, init?: ResponseInit): Answer => Effect.sync(() => Response.json(body, init))
const token = (more: object = {}) => ({ access_token: "s3cret-token", token_type: "Bearer", expires_in: 60, ...more })
const withIdToken =
  (wrong?: Parameters<typeof idToken>[1], more?: object) =>
  (keys: Keys): Answer =>
    Effect.flatMap(Promised.run(Effect.promise(() => idToken(keys, wrong))), (id_token) =>
      json(token({ id_token, ...more }))
    )

const atHash = (text: string) =>
  Promised.run(
    Effect.promise(async () => {
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))
      return Base64Url.encode(hash.subarray(0, 16))
    })
  )

/** What the token endpoint does, and what that is to a client. */
const troubles: Readonly<Record<string, readonly [ends: string, answer: Answer | ((keys: Keys) => Answer)]>> = {
  "nothing wrong": ["ok", withIdToken()],
  "a hash that fits": [
    "ok",
    (keys) => Effect.flatMap(atHash("s3cret-token"), (at_hash) => withIdToken({ claims: { at_hash } })(keys))
  ],
  "a hash that does not": ["TokenRejected.AccessTokenHash", withIdToken({ claims: { at_hash: "x" } })],
  "another's signature": ["TokenRejected.Signature", withIdToken({ forged: true })],
  "an unknown key": ["TokenRejected.UnknownKey", withIdToken({ header: { kid: "k2" }, forged: true })],
  "another audience": ["TokenRejected.Audience", withIdToken({ claims: { aud: "another" } })],
  "another issuer": ["TokenRejected.Issuer", withIdToken({ claims: { iss: "https://evil.example" } })],
  "an end in the past": ["TokenRejected.Expired", withIdToken({ claims: { exp: -hour } })],
  "a beginning in the future": ["TokenRejected.IssuedInFuture", withIdToken({ claims: { iat: hour } })],
  "no subject": ["TokenRejected.MissingClaim", withIdToken({ claims: { sub: "" } })],
  "an end that is no number": ["TokenRejected.MissingClaim", withIdToken({ claims: { exp: "soon" } })],
  "two audiences without a party": ["TokenRejected.AuthorizedParty", withIdToken({ claims: { aud: ["app", "b"] } })],
  "an ID token without signature": [
    "TokenRejected.Algorithm",
    json(token({ id_token: `${Base64Url.encode('{"alg":"none"}')}.${Base64Url.encode("{}")}.` }))
  ],
  "an ID token that is none": ["TokenRejected.Malformed", json(token({ id_token: "gibberish" }))],
  "no token": ["AnswerRejected.Malformed", json({ token_type: "Bearer" })],
  "a token no header can hold": ["AnswerRejected.Malformed", json(token({ access_token: "a\nb" }))],
  "a token of another type": ["AnswerRejected.Malformed", json(token({ token_type: "mac" }))],
  "a lifetime that is none": ["AnswerRejected.Malformed", json(token({ expires_in: "soon" }))],
  "no lifetime, no scope": ["ok", json({ access_token: "s3cret-token" })],
  "a refusal": ["ProviderRefused.InvalidScope", json({ error: "invalid_scope" }, { status: 400 })],
  "a refusal by another name": ["ProviderRefused.Other", json({ error: "moon_phase" }, { status: 403 })],
  "a refusal without a name": ["ProviderRefused.InvalidClient", json({}, { status: 401 })],
  "a page": [
    "AnswerRejected.NotJson",
    Effect.sync(() => new Response("<p>hello", { headers: { "content-type": "text/html" } }))
  ],
  "half of it": [
    "AnswerRejected.Truncated",
    Effect.sync(() => new Response('{"access_token":"s3c', { headers: { "content-type": "application/json" } }))
  ],
  "far too much": ["AnswerRejected.TooLarge", json(token({ more: "x".repeat(600_000) }))],
  "another place": [
    "AnswerRejected.Redirected",
    Effect.sync(() => new Response(null, { status: 302, headers: { location: "https://x.example/?code=1" } }))
  ],
  "a limit": [
    "ProviderUnavailable.RateLimited",
    Effect.sync(() => new Response(null, { status: 429, headers: { "retry-after": "20" } }))
  ],
  "a limit to a date": [
    "ProviderUnavailable.RateLimited",
    Effect.sync(() => new Response(null, { status: 429, headers: { "retry-after": new Date(25_000).toUTCString() } }))
  ],
  silence: ["ProviderUnavailable.TimedOut", Effect.never],
  "a broken connection": ["ProviderUnavailable.AnswerLost", Effect.fail("ECONNRESET")],
  "no connection": ["ProviderUnavailable.Unreachable", Effect.fail("ECONNREFUSED")]
}

const flow = ClientCredentials.make({ issuer, clientId: "app" })
const end = Effect.match(patiently(Login.login(flow)), {
  onSuccess: () => "ok",
  onFailure: (error) => `${error._tag}.${error.reason}`
})

for (const [trouble, [ends, answer]] of Object.entries(troubles)) {
  it.effect(trouble, () =>
    Effect.gen(function* () {
      const made = yield* keys
      const pages: Readonly<Record<string, Answer>> = {
        "/.well-known/openid-configuration": json({
          issuer,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/jwks`
        }),
        "/jwks": json({ keys: [made.published] }),
        "/token": typeof answer === "function" ? answer(made) : answer
      }
      const provider = HttpClient.make((request, { pathname }) =>
        (pages[pathname] ?? json({}, { status: 404 })).pipe(
          Effect.map((response) => HttpClientResponse.fromWeb(request, response)),
          Effect.mapError((code) => {
            const cause = Object.assign(new Error(code), { code })
            return new HttpClientError.HttpClientError({
              reason: new HttpClientError.TransportError({ request, cause })
            })
          })
        )
      )
      // A replay of nothing brings the clock that waits for signatures.
      const layerClock = Trace.replay({ keyfobTrace: 1, exchanges: [] })
      const record = Trace.record().pipe(
        Layer.provide(Layer.succeed(HttpClient.HttpClient, provider)),
        Layer.provideMerge(layerClock),
        Layer.merge(CredentialStore.layerMemory)
      )
      const [first, trace] = yield* Effect.provide(
        Effect.all([end, Effect.flatMap(Trace.Recorder, ({ trace }) => trace)]),
        record
      )
      assert.strictEqual(first, ends)
      assert.notInclude(JSON.stringify(trace), "s3cret")
      const again = Layer.provideMerge(Trace.record(), Trace.replay(trace)).pipe(
        Layer.merge(CredentialStore.layerMemory)
      )
      const [second, retrace, left] = yield* Effect.provide(
        Effect.all([
          end,
          Effect.flatMap(Trace.Recorder, ({ trace }) => trace),
          Effect.flatMap(Trace.Replay, ({ left }) => left)
        ]),
        again
      )
      assert.strictEqual(second, ends)
      assert.deepStrictEqual(left, [])
      const shape = (one: Trace.Trace) => Trace.outline(one).map((line) => line.replace(/^\S+ +/, ""))
      assert.deepStrictEqual(shape(retrace), shape(trace))
    })
  )
}

/** Pushes a request, takes a code, and says what the ID token's nonce is. */
const pushed = Effect.fnUntraced(function* (nonce: string, code: (request: string) => Effect.Effect<string>) {
  const issuer = "https://id.simulated.test"
  const at = yield* discover(issuer)
  const verifier = "v".repeat(43)
  const hash = yield* Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)))
  const client = { client_id: clients.cli.client_id, redirect_uri: "http://127.0.0.1/callback" }
  const { json } = yield* post(at("pushed_authorization_request_endpoint"), {
    ...client,
    response_type: "code",
    scope: "openid",
    nonce,
    code_challenge: Base64Url.encode(new Uint8Array(hash)),
    code_challenge_method: "S256"
  })
  const query = new URLSearchParams({ client_id: client.client_id, request_uri: String(json["request_uri"]) })
  const answer = yield* post(at("token_endpoint"), {
    ...client,
    grant_type: "authorization_code",
    code: yield* code(`${at("authorization_endpoint")}?${query}`),
    code_verifier: verifier
  })
  return decodeJwt(String(answer.json["id_token"]))["nonce"]
})

for (const lie of [undefined, "another"]) {
  it.effect(`a nonce that is drawn anew ${lie === undefined ? "comes back" : "does not, where it did not"}`, () =>
    Effect.gen(function* () {
      const trace = yield* Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        yield* idp.approve("alice")
        if (lie !== undefined) {
          yield* idp.faults(Fault.onRequest({ endpoint: "token" }, Fault.idToken({ claims: { nonce: lie } })))
        }
        const browser = (url: string) =>
          SimulatedBrowser.visit(url).pipe(
            Effect.map(({ searchParams }) => searchParams.get("code") ?? ""),
            Effect.orDie,
            Effect.provideService(HttpClient.HttpClient, idp.client)
          )
        assert.strictEqual(yield* pushed("first", browser), lie ?? "first")
        return yield* (yield* Trace.Recorder).trace
      }).pipe(Effect.provide(Trace.record().pipe(Layer.provideMerge(SimulatedProvider.layer()))))
      const again = pushed("second", () => Effect.succeed("a code")).pipe(Effect.provide(Trace.replay(trace)))
      const replayed = yield* again
      if (lie === undefined) assert.strictEqual(replayed, "second")
      else assert.notInclude(["second", "another"], replayed)
    })
  )
}

/** A login whose browser is somebody else's business: the recorder sees the program's requests alone. */
const browserFlow = AuthorizationCode.make({
  issuer: "https://id.simulated.test",
  clientId: clients.cli.client_id,
  scopes: ["openid", "offline_access"]
})

const beginning = Login.begin(browserFlow, { redirectUri: "http://127.0.0.1:49152/callback" })

for (const end of ["alice", "TokenRejected", "LoginFailed"]) {
  it.effect(`a login in a browser ends as it did: ${end}`, () =>
    Effect.gen(function* () {
      const attempt = <E, R>(browser: (url: string) => Effect.Effect<URL, E, R>) =>
        Effect.gen(function* () {
          const { pending, url } = yield* beginning
          const { href } = yield* browser(Redacted.value(url))
          return yield* Effect.match(Login.complete(browserFlow, pending, href), {
            onFailure: ({ _tag }) => _tag,
            onSuccess: ({ account }) => account?.sub ?? "nobody"
          })
        }).pipe(Effect.provide(CredentialStore.layerMemory))
      const trace = yield* Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        yield* end === "LoginFailed" ? idp.deny() : idp.approve("alice")
        if (end === "TokenRejected") {
          yield* idp.faults(Fault.onRequest({ endpoint: "token" }, Fault.idToken({ claims: { iss: "a lie" } })))
        }
        const browser = (url: string) =>
          Effect.provideService(SimulatedBrowser.visit(url), HttpClient.HttpClient, idp.client)
        assert.strictEqual(yield* attempt(browser), end)
        return yield* (yield* Trace.Recorder).trace
      }).pipe(Effect.provide(Trace.record().pipe(Layer.provideMerge(SimulatedProvider.layer()))))
      yield* Effect.gen(function* () {
        const replay = yield* Trace.Replay
        const again = yield* attempt(replay.visit)
        // Who it was is a number.
        assert.match(again, end === "alice" ? /^~\d+$/ : new RegExp(end))
        assert.deepStrictEqual(yield* replay.left, [])
        const nowhere = yield* Effect.exit(replay.visit("https://id.simulated.test/authorize?client_id=keyfob-cli"))
        assert.match(String(nowhere), /no redirect_uri: there is nowhere to come back to/)
      }).pipe(Effect.provide(Trace.replay(trace)))
    })
  )
}

it.effect("two logins at once have each their own code and nonce, whichever comes back first", () =>
  Effect.gen(function* () {
    const both = <E, R>(browser: (url: string) => Effect.Effect<URL, E, R>) =>
      Effect.gen(function* () {
        const begun = [yield* beginning, yield* beginning]
        const opened = yield* Effect.forEach(begun, ({ pending, url }) =>
          Effect.map(browser(Redacted.value(url)), ({ href }) => ({ href, pending }))
        )
        return yield* Effect.forEach(opened.reverse(), ({ href, pending }) =>
          Effect.map(Login.complete(browserFlow, pending, href), ({ account }) => account?.sub)
        )
      }).pipe(Effect.provide(CredentialStore.layerMemory))
    const trace = yield* Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const people = ["alice", "bob"]
      const browser = (url: string) =>
        Effect.andThen(
          idp.approve(people.shift() ?? ""),
          Effect.provideService(SimulatedBrowser.visit(url), HttpClient.HttpClient, idp.client)
        )
      assert.deepStrictEqual(yield* both(browser), ["bob", "alice"])
      return yield* (yield* Trace.Recorder).trace
    }).pipe(Effect.provide(Trace.record().pipe(Layer.provideMerge(SimulatedProvider.layer()))))
    yield* Effect.gen(function* () {
      const replay = yield* Trace.Replay
      assert.lengthOf(new Set(yield* both(replay.visit)), 2)
      assert.deepStrictEqual(yield* replay.left, [])
    }).pipe(Effect.provide(Trace.replay(trace)))
  })
)
