/**
 * The relying-party plans of OpenID's conformance suite, made anew against the simulated provider: what the suite's
 * server does in a module, it does here. A title is the module's name and how it ends for Keyfob; docs/conformance.md is
 * made of them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import type { HttpClient, HttpClientError } from "effect/http"
import { TestClock } from "effect/testing"
import { SignJWT } from "jose"
import {
  AuthorizationCode,
  ClientAuthentication,
  CredentialStore,
  Login,
  OAuthClient,
  TokenSource,
  Userinfo
} from "keyfob"
import { Fault, patiently, type ProviderOptions, SimulatedBrowser, SimulatedProvider } from "../src/provider.ts"
import { basic, get } from "./Caller.ts"

const issuer = "https://id.simulated.test"
const redirectUri = "https://rp.simulated.test/callback"
const secret = "the rp's s3cret, long enough for HS256"
const registered = {
  client_id: "rp",
  client_secret: secret,
  token_endpoint_auth_method: "client_secret_basic",
  grant_types: ["authorization_code", "refresh_token"],
  redirect_uris: [redirectUri]
} as const

const client = {
  issuer,
  clientId: registered.client_id,
  authentication: ClientAuthentication.secretBasic(Redacted.make(secret))
}

type Mode = "query" | "form_post"
type World = SimulatedProvider | HttpClient.HttpClient
type Asked = Omit<AuthorizationCode.AuthorizationCodeOptions, "issuer" | "clientId">

/** A person signs in at one relying party, and it asks about them: with the `sub` that it knows, as it has to. */
const signIn = Effect.fnUntraced(function* (
  rp: OAuthClient.OAuthClient,
  asked: Asked,
  meanwhile: Effect.Effect<void> = Effect.void
) {
  const flow = AuthorizationCode.make({ ...client, scopes: ["openid", "profile", "email"], ...asked })
  const { pending, url } = yield* flow.begin(rp, redirectUri)
  assert.strictEqual(
    new URL(Redacted.value(url)).searchParams.get("response_mode") ?? "query",
    asked.responseMode ?? "query"
  )
  const person = asked.prompt?.includes("none") === true ? undefined : { person: "alice", decision: "approve" as const }
  const back = yield* Effect.orDie(SimulatedBrowser.visit(Redacted.value(url), person))
  yield* meanwhile
  const answer = asked.responseMode === "form_post" ? back.searchParams.toString() : back.href
  const credential = yield* Login.obtain({ key: flow.key, obtain: (rp) => flow.complete(rp, pending, answer) }, rp)
  return yield* Userinfo.request(rp, credential.token, credential.account?.sub)
})

/** In one word. */
const end = <A, E extends { readonly _tag: string; readonly reason: string }, R>(program: Effect.Effect<A, E, R>) =>
  Effect.match(program, { onSuccess: () => "signed in", onFailure: (error) => `${error._tag}.${error.reason}` })

/** What a title promises. */
const promised = (title: string) => title.slice(title.indexOf(": ") + 2)

const world = (options?: ProviderOptions) =>
  Effect.provide(SimulatedProvider.layer({ clients: [registered], ...options }))
const rs256 = { algorithms: ["RS256"] } as const

const faults = (...given: ReadonlyArray<Fault.Fault>) => SimulatedProvider.use((idp) => idp.faults(...given))
const onToken = (lie: Parameters<typeof Fault.idToken>[0]) =>
  faults(Fault.onRequest({ endpoint: "token" }, Fault.idToken(lie)))

/** The keys as they are published, but changed. */
const onKeys = (change: (keys: ReadonlyArray<object>) => ReadonlyArray<object>) =>
  Effect.gen(function* () {
    const { keys } = (yield* get(`${issuer}/jwks`)).json as { readonly keys: ReadonlyArray<object> } // its own tests say so
    yield* faults(Fault.onRequest({ endpoint: "jwks", times: 9 }, Fault.altered({ keys: change(keys) })))
  })
const nameless = (count: number) =>
  Effect.andThen(
    onKeys((keys) => {
      assert.strictEqual(keys.length, count)
      // The one that signs last.
      return keys.map((key) => ({ ...key, kid: undefined })).reverse()
    }),
    onToken({ header: { kid: undefined } })
  )

const requestsTo = (endpoint: "token" | "userinfo" | "jwks" | "discovery") =>
  Effect.gen(function* () {
    return (yield* (yield* SimulatedProvider).requests).filter((request) => request.endpoint === endpoint)
  })

for (const [plan, responseMode] of [
  ["oidcc-client-basic-certification-test-plan", "query"],
  ["oidcc-client-formpost-basic-certification-test-plan", "form_post"]
] as const satisfies ReadonlyArray<readonly [string, Mode]>) {
  describe(plan, () => {
    const module = (
      title: string,
      trouble: Effect.Effect<unknown, HttpClientError.HttpClientError, World>,
      options?: ProviderOptions
    ) =>
      it.effect(title, () =>
        Effect.gen(function* () {
          yield* trouble
          assert.strictEqual(yield* end(signIn(yield* OAuthClient.make(client), { responseMode })), promised(title))
          // Nothing more is asked with the tokens of a login that is refused.
          if (title.includes("TokenRejected")) assert.deepStrictEqual(yield* requestsTo("userinfo"), [])
        }).pipe(world(options))
      )

    module("oidcc-client-test: signed in", Effect.void)
    module("oidcc-client-test-invalid-iss: TokenRejected.Issuer", onToken({ claims: { iss: "https://attacker.test" } }))
    module("oidcc-client-test-missing-sub: TokenRejected.MissingClaim", onToken({ claims: { sub: undefined } }))
    module("oidcc-client-test-invalid-aud: TokenRejected.Audience", onToken({ claims: { aud: "another" } }))
    module("oidcc-client-test-missing-aud: TokenRejected.MissingClaim", onToken({ claims: { aud: undefined } }))
    module("oidcc-client-test-missing-iat: TokenRejected.MissingClaim", onToken({ claims: { iat: undefined } }))
    module("oidcc-client-test-kid-absent-single-jwks: signed in", nameless(1))
    module(
      "oidcc-client-test-kid-absent-multiple-jwks: signed in",
      Effect.gen(function* () {
        const { rotateKeys } = yield* SimulatedProvider
        yield* Effect.andThen(rotateKeys, rotateKeys)
        yield* nameless(2)
      }),
      rs256
    )
    module("oidcc-client-test-idtoken-sig-rs256: signed in", Effect.void, rs256)
    module("oidcc-client-test-idtoken-sig-none: TokenRejected.Algorithm", onToken({ signature: "none" }))
    module("oidcc-client-test-invalid-sig-rs256: TokenRejected.Signature", onToken({ signature: "broken" }), rs256)
    module("oidcc-client-test-invalid-sig-es256: TokenRejected.Signature", onToken({ signature: "broken" }))
    module(
      "oidcc-client-test-invalid-sig-hs256: TokenRejected.Algorithm",
      Effect.gen(function* () {
        const forged = yield* Effect.promise(() =>
          new SignJWT({ iss: issuer, aud: "rp", sub: "alice", iat: 0, exp: 3600 })
            .setProtectedHeader({ alg: "HS256" })
            .sign(new TextEncoder().encode("another secret, of any length there is"))
        )
        yield* faults(Fault.onRequest({ endpoint: "token" }, Fault.altered({ id_token: forged })))
      })
    )
    module(
      "oidcc-client-test-userinfo-invalid-sub: AnswerRejected.SubjectMismatch",
      faults(Fault.onRequest({ endpoint: "userinfo" }, Fault.altered({ sub: "mallory" })))
    )
    module("oidcc-client-test-nonce-invalid: TokenRejected.Nonce", onToken({ claims: { nonce: "of another login" } }))
    module(
      "oidcc-client-test-ignores-unparseable-key-in-jwks: signed in",
      onKeys((keys) => [
        { kty: "AKP", alg: "ML-DSA-1", kid: "1", use: "sig", pub: "AA" },
        { kty: "MADE-UP", kid: "2", use: "sig" },
        ...keys
      ])
    )

    it.effect("oidcc-client-test-scope-userinfo-claims: signed in", () =>
      Effect.gen(function* () {
        const rp = yield* OAuthClient.make(client)
        assert.deepInclude(yield* signIn(rp, { responseMode, scopes: ["openid", "email"] }), {
          sub: "alice",
          email: "alice@example.com"
        })
        assert.deepInclude(yield* signIn(rp, { responseMode, scopes: ["openid", "profile"] }), {
          sub: "alice",
          name: "Alice Example"
        })
      }).pipe(world())
    )

    it.effect("oidcc-client-test-client-secret-basic: signed in", () =>
      Effect.gen(function* () {
        yield* signIn(yield* OAuthClient.make(client), { responseMode })
        const [exchange] = yield* requestsTo("token")
        assert.deepStrictEqual(
          exchange?.authorization && Redacted.value(exchange.authorization),
          basic(registered).authorization
        )
        assert.notProperty(exchange?.params, "client_secret")
      }).pipe(world())
    )

    it.effect("oidcc-client-test-userinfo-bearer-header: signed in", () =>
      Effect.gen(function* () {
        yield* signIn(yield* OAuthClient.make(client), { responseMode })
        const [asked] = yield* requestsTo("userinfo")
        assert.match(asked?.authorization === undefined ? "" : Redacted.value(asked.authorization), /^Bearer ./)
        assert.deepStrictEqual(asked?.params, {}, "neither in the query nor in a form")
      }).pipe(world())
    )
  })
}

describe("oidcc-client-test-plan", () => {
  it.effect("oidcc-client-test-form-post-error: ProviderRefused.LoginRequired", () =>
    Effect.gen(function* () {
      const asked = { responseMode: "form_post", prompt: ["none"], maxAge: 0 } as const
      assert.strictEqual(yield* end(signIn(yield* OAuthClient.make(client), asked)), "ProviderRefused.LoginRequired")
      assert.deepStrictEqual(yield* requestsTo("token"), [])
    }).pipe(world())
  )
})

describe("oidcc-client-config-certification-test-plan", () => {
  it.effect("oidcc-client-test-discovery-openid-config: used", () =>
    Effect.gen(function* () {
      const moved = { authorization_endpoint: `${issuer}/authorize?moved=1` }
      yield* faults(Fault.onRequest({ endpoint: "discovery" }, Fault.altered(moved)))
      const rp = yield* OAuthClient.make(client)
      assert.strictEqual(yield* rp.endpoint("authorization"), moved.authorization_endpoint)
      const asked = yield* requestsTo("discovery")
      assert.deepStrictEqual(
        asked.map(({ path }) => path),
        ["/.well-known/openid-configuration"]
      )
    }).pipe(world())
  )

  it.effect("oidcc-client-test-discovery-jwks-uri-keys: used", () =>
    Effect.gen(function* () {
      const elsewhere = { jwks_uri: `${issuer}/jwks?elsewhere=1` }
      yield* faults(Fault.onRequest({ endpoint: "discovery" }, Fault.altered(elsewhere)))
      const jwks = yield* (yield* OAuthClient.make(client)).jwks
      const held = yield* jwks.keys
      const [asked] = yield* requestsTo("jwks")
      assert.hasAllKeys(asked?.params, ["elsewhere"])
      assert.deepStrictEqual<unknown>(held, (yield* get(`${issuer}/jwks`)).json)
    }).pipe(world())
  )

  it.effect("oidcc-client-test-discovery-issuer-mismatch: AnswerRejected.IssuerMismatch", () =>
    Effect.gen(function* () {
      yield* faults(Fault.onRequest({ endpoint: "discovery" }, Fault.altered({ issuer: "https://attacker.test" })))
      const rp = yield* OAuthClient.make(client)
      assert.strictEqual(yield* end(signIn(rp, {})), "AnswerRejected.IssuerMismatch")
      const { requests } = yield* SimulatedProvider
      assert.deepStrictEqual((yield* requests).length, 1, "it stops there")
    }).pipe(world())
  )

  it.effect("oidcc-client-test-signing-key-rotation-just-before-signing: signed in", () =>
    Effect.gen(function* () {
      const { rotateKeys } = yield* SimulatedProvider
      const rp = yield* OAuthClient.make(client)
      const old = yield* (yield* rp.jwks).keys
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* end(signIn(rp, {}, rotateKeys)), "signed in")
      assert.notDeepEqual(yield* (yield* rp.jwks).keys, old)
      assert.strictEqual((yield* requestsTo("jwks")).length, 2)
    }).pipe(world({ retiredKeysStay: 0 }))
  )

  it.effect("oidcc-client-test-signing-key-rotation: signed in", () =>
    Effect.gen(function* () {
      const rp = yield* OAuthClient.make(client)
      assert.strictEqual(yield* end(signIn(rp, {})), "signed in")
      yield* (yield* SimulatedProvider).rotateKeys
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* end(signIn(rp, {})), "signed in")
      assert.strictEqual((yield* requestsTo("jwks")).length, 2)
    }).pipe(world())
  )
})

describe("oidcc-client-refreshtoken-test-plan", () => {
  const module = (title: string, claims: Readonly<Record<string, unknown>>) =>
    it.effect(title, () =>
      Effect.gen(function* () {
        const flow = AuthorizationCode.make({ ...client, scopes: ["openid", "offline_access"] })
        const { pending, url } = yield* Login.begin(flow, { redirectUri })
        const alice = { person: "alice", decision: "approve" } as const
        const { href } = yield* Effect.orDie(SimulatedBrowser.visit(Redacted.value(url), alice))
        yield* Login.complete(flow, pending, href)
        const source = yield* TokenSource.make(flow)
        yield* TestClock.adjust("2 hours")
        yield* faults(Fault.onRequest({ grant: "refresh_token" }, Fault.idToken({ claims })))
        assert.strictEqual(yield* end(patiently(source.token)), promised(title))
        assert.strictEqual((yield* requestsTo("token")).length, 2)
      }).pipe(Effect.provide(CredentialStore.layerMemory), world())
    )

  module("oidcc-client-test-refresh-token: signed in", {})
  module("oidcc-client-test-refresh-token-invalid-issuer: TokenRejected.Issuer", { iss: "https://attacker.test" })
  module("oidcc-client-test-refresh-token-invalid-sub: AnswerRejected.SubjectMismatch", { sub: "mallory" })
  module("oidcc-client-test-refresh-token-invalid-aud: TokenRejected.Audience", { aud: "another" })
  module("oidcc-client-test-refresh-token-invalid-azp: TokenRejected.AuthorizedParty", { azp: "another" })
})
