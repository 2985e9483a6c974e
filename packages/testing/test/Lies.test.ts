/** A provider that says what is not so, on purpose: what a client has to notice. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { Base64Url } from "effect/encoding"
import { TestClock } from "effect/testing"
import { HttpClient } from "effect/http"
import { compactVerify, createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet } from "jose"
import { CredentialStore, DeviceCode, Login } from "keyfob"
import { clients, Fault, patiently, SimulatedBrowser, SimulatedPerson, SimulatedProvider } from "../src/provider.ts"
import { bearer, discover, type Form, get, post } from "./Caller.ts"

const issuer = "https://id.simulated.test"
const client_id = clients.cli.client_id
const redirect_uri = "http://127.0.0.1:50123/callback?app=1"
const verifier = "v".repeat(43)

const options = {
  clients: [{ ...clients.cli, client_id: "app", application_type: "web", redirect_uris: [redirect_uri] }]
} as const

const request = (more: Form = {}) =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))),
    (hash) => ({
      client_id: "app",
      response_type: "code",
      redirect_uri,
      scope: "openid api:read",
      state: "abc",
      nonce: "n-1",
      code_challenge: Base64Url.encode(new Uint8Array(hash)),
      code_challenge_method: "S256",
      ...more
    })
  )

const open = Effect.fnUntraced(function* (more?: Form) {
  return yield* SimulatedBrowser.visit(`${issuer}/authorize?${new URLSearchParams(yield* request(more))}`)
})

/** What the client is told, but for the code, of which only is said whether it is the provider's. */
const told = (url: URL) => ({
  ...Object.fromEntries(url.searchParams),
  ...Object.fromEntries(new URLSearchParams(url.hash.slice(1)))
})

const tokens = Effect.fnUntraced(function* () {
  const code = (yield* open()).searchParams.get("code") ?? ""
  return yield* post(`${issuer}/token`, {
    client_id: "app",
    grant_type: "authorization_code",
    code,
    redirect_uri,
    code_verifier: verifier
  })
})

const lying = <A, E>(name: string, program: Effect.Effect<A, E, SimulatedProvider | HttpClient.HttpClient>) =>
  it.effect(name, () =>
    Effect.andThen(
      SimulatedProvider.use((idp) => idp.approve("alice")),
      program
    ).pipe(Effect.provide(SimulatedProvider.layer(options)))
  )

describe("an authorization response", () => {
  lying(
    "has its own parameters, whichever way it goes",
    Effect.gen(function* () {
      const byQuery = told(yield* open())
      assert.deepInclude(byQuery, { app: "1", state: "abc", iss: issuer })
      const byFragment = yield* open({ response_mode: "fragment" })
      assert.isNull(byFragment.searchParams.get("code"))
      assert.hasAllKeys(told(byFragment), Object.keys(byQuery))
      assert.hasAllKeys(told(yield* open({ response_mode: "form_post" })), Object.keys(byQuery))
      assert.strictEqual(told(yield* open({ response_mode: "smoke" })).error, "unsupported_response_mode")
    })
  )

  lying(
    "as a form is a page of its own, and holds no markup of anybody's",
    Effect.gen(function* () {
      const state = `"><script>alert(1)</script>`
      const asked = { response_mode: "form_post", state }
      const { headers } = yield* get(`${issuer}/authorize?${new URLSearchParams(yield* request(asked))}`)
      const page = yield* HttpClient.get(headers["location"] ?? "")
      assert.deepInclude(page, { status: 200 })
      assert.notInclude(yield* page.text, "<script>alert")
      const posted = yield* open(asked)
      assert.strictEqual(posted.searchParams.get("state"), state)
    })
  )

  lying(
    "has others where a fault says so: the nth request's, however long the person takes",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.approve("alice", { after: "1 minute", wrongPasswords: 1 })
      const lies = [
        { state: "wrong" },
        { state: undefined },
        { iss: "https://mix-up.test" },
        { code: "somebody else's" },
        { code: undefined, error: "server_error" }
      ]
      yield* idp.faults(
        ...lies.map((lie, index) => Fault.onRequest({ endpoint: "authorization", nth: index + 1 }, Fault.callback(lie)))
      )
      for (const lie of lies) {
        const all: Readonly<Record<string, string | undefined>> = told(yield* patiently(open()))
        for (const [name, value] of Object.entries(lie)) assert.strictEqual(all[name], value)
      }
      assert.deepInclude(told(yield* patiently(open({ response_mode: "form_post" }))), { state: "abc", iss: issuer })
    })
  )

  lying(
    "may be late and wrong in several ways: faults of different kinds go together",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const authorization = { endpoint: "authorization" } as const
      yield* idp.faults(
        Fault.onRequest(authorization, Fault.callback({ state: "wrong" })),
        Fault.onRequest(authorization, Fault.delay("1 minute")),
        Fault.onRequest({ endpoint: "token" }, Fault.idToken({ claims: { nonce: "wrong" } })),
        Fault.onRequest({ endpoint: "token" }, Fault.altered({ scope: undefined }))
      )
      const { json } = yield* patiently(tokens())
      assert.strictEqual(yield* Clock.currentTimeMillis, 60_000)
      assert.deepStrictEqual([decodeJwt(String(json["id_token"]))["nonce"], json["scope"]], ["wrong", undefined])
    })
  )

  lying(
    "of a pushed request, or a refusal, lies as well",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.faults(
        Fault.onRequest({ endpoint: "authorization", times: 2 }, Fault.callback({ iss: "https://mix-up.test" }))
      )
      const pushed = yield* post(`${issuer}/par`, yield* request())
      const reference = new URLSearchParams({ client_id: "app", request_uri: String(pushed.json["request_uri"]) })
      const back = yield* SimulatedBrowser.visit(`${issuer}/authorize?${reference}`)
      assert.deepInclude(told(back), { iss: "https://mix-up.test", state: "abc" })
      assert.deepInclude(told(yield* open({ prompt: "none" })), { iss: "https://mix-up.test", error: "login_required" })
    })
  )
})

describe("an ID token", () => {
  const once = (lie: Parameters<typeof Fault.idToken>[0]) =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.faults(Fault.onRequest({ grant: "authorization_code" }, Fault.idToken(lie)))
      const jwt = String((yield* tokens()).json["id_token"])
      const keys = yield* get(`${issuer}/jwks`)
      const fits = yield* Effect.promise(() =>
        // What the key set is, its own tests say.
        compactVerify(jwt, createLocalJWKSet(keys.json as unknown as JSONWebKeySet)).then(
          () => true,
          () => false
        )
      )
      return { jwt, claims: decodeJwt(jwt), header: decodeProtectedHeader(jwt), fits }
    })

  lying(
    "has other claims",
    Effect.gen(function* () {
      assert.deepInclude((yield* once({})).claims, { nonce: "n-1", aud: "app", iss: issuer, sub: "alice" })
      const lies = [
        { nonce: "wrong" },
        { aud: "somebody" },
        { iss: "https://x.test" },
        { exp: 1 },
        { iat: 4_102_444_800 },
        { sub: 7 }
      ]
      for (const claims of lies) {
        const { claims: said, fits } = yield* once({ claims })
        assert.deepInclude<object>(said, claims)
        assert.isTrue(fits, "the provider stands by it")
      }
      for (const name of ["sub", "iat", "exp", "aud", "nonce", "iss"]) {
        assert.notProperty((yield* once({ claims: { [name]: undefined } })).claims, name)
      }
    })
  )

  lying(
    "is signed by nobody, badly, or by who knows which key",
    Effect.gen(function* () {
      const none = yield* once({ signature: "none" })
      assert.deepStrictEqual([none.header["alg"], none.jwt.endsWith("."), none.fits], ["none", true, false])
      assert.isFalse((yield* once({ signature: "broken" })).fits)
      const nameless = yield* once({ header: { kid: undefined } })
      assert.notProperty(nameless.header, "kid")
      assert.isTrue(nameless.fits)
      const foreign = yield* once({ header: { kid: "foreign" } })
      assert.deepStrictEqual([foreign.header["kid"], foreign.fits], ["foreign", false])
    })
  )
})

describe("any other answer", () => {
  lying(
    "has other members, and those that are not JSON are let be",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.faults(
        Fault.onRequest({ endpoint: "discovery" }, Fault.altered({ issuer: "https://x.test", jwks_uri: undefined })),
        Fault.onRequest({ endpoint: "userinfo" }, Fault.altered({ sub: "mallory" })),
        Fault.onRequest({ endpoint: "token" }, Fault.altered({ expires_in: "3600", scope: undefined })),
        Fault.onRequest({ endpoint: "device_page" }, Fault.altered({ x: 1 }))
      )
      const at = yield* discover(issuer)
      assert.deepStrictEqual([at("issuer"), at("jwks_uri")], ["https://x.test", "undefined"])
      const { json } = yield* tokens()
      assert.strictEqual(json["expires_in"], "3600")
      assert.notProperty(json, "scope")
      assert.isTrue(yield* idp.accepts(String(json["access_token"])), "the provider did its work")
      assert.strictEqual((yield* get(`${issuer}/userinfo`, bearer(json["access_token"]))).json["sub"], "mallory")
      assert.strictEqual((yield* get(`${issuer}/device`)).status, 200)
    })
  )
})

it.effect("Keyfob notices: an ID token with a broken signature signs nobody in", () =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    yield* idp.approve("alice")
    yield* idp.faults(
      Fault.onRequest({ grant: "urn:ietf:params:oauth:grant-type:device_code" }, Fault.idToken({ signature: "broken" }))
    )
    const login = Login.login(DeviceCode.make({ issuer, clientId: client_id, scopes: ["openid"] }))
    assert.strictEqual((yield* Effect.flip(patiently(login)))._tag, "TokenRejected")
    yield* TestClock.adjust("1 minute")
    assert.strictEqual((yield* patiently(login)).account?.sub, "alice")
  }).pipe(
    Effect.provide([SimulatedPerson.layer(), CredentialStore.layerMemory]),
    Effect.provide(SimulatedProvider.layer())
  )
)
