import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { Base64Url } from "effect/encoding"
import type { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose"
import {
  clients,
  Fault,
  patiently,
  type ProviderOptions,
  SimulatedBrowser,
  SimulatedProvider
} from "../src/provider.ts"
import { basic, bearer, discover, type Form, get, post, postJson, type Reply } from "./Caller.ts"

const issuer = "https://id.simulated.test"
const cli = clients.cli.client_id
const redirect_uri = "http://127.0.0.1:50123/callback"

const hash = (text: string) =>
  Effect.promise(async () =>
    Base64Url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))))
  )
const verifier = "v".repeat(43)

const request = (more: Form = {}) =>
  Effect.map(hash(verifier), (code_challenge) => ({
    client_id: cli,
    response_type: "code",
    redirect_uri,
    scope: "openid offline_access api:read",
    prompt: "consent",
    state: "abc",
    nonce: "n-1",
    code_challenge,
    code_challenge_method: "S256",
    ...more
  }))

const open = Effect.fnUntraced(function* (form: Form) {
  const at = yield* discover(issuer)
  return yield* SimulatedBrowser.visit(`${at("authorization_endpoint")}?${new URLSearchParams(form)}`)
})

const redeem = Effect.fnUntraced(function* (back: URL, more: Form = {}, headers: Form = {}) {
  const at = yield* discover(issuer)
  const code = back.searchParams.get("code") ?? ""
  const form = {
    client_id: cli,
    grant_type: "authorization_code",
    code,
    redirect_uri,
    code_verifier: verifier,
    ...more
  }
  return yield* post(at("token_endpoint"), form, headers)
})

const test = <A, E>(
  name: string,
  program: Effect.Effect<A, E, SimulatedProvider | HttpClient.HttpClient>,
  options?: ProviderOptions
) => it.effect(name, () => Effect.provide(program, SimulatedProvider.layer(options)))
describe("the authorization endpoint", () => {
  test(
    "a person approves, and the code is good once",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.approve("alice")
      const back = yield* open(yield* request())
      assert.strictEqual(back.origin + back.pathname, redirect_uri)
      assert.strictEqual(back.searchParams.get("state"), "abc")
      assert.strictEqual(back.searchParams.get("iss"), issuer)
      const wrong = yield* redeem(back, { code_verifier: "w".repeat(43) })
      assert.strictEqual(wrong.json["error"], "invalid_grant")
      const tokens = yield* redeem(back)
      assert.strictEqual(tokens.status, 200)
      assert.strictEqual(tokens.json["scope"], "openid offline_access api:read")
      assert.isTrue(yield* idp.accepts(String(tokens.json["access_token"])))
      assert.strictEqual((yield* redeem(back)).json["error"], "invalid_grant")
      assert.isFalse(
        yield* idp.accepts(String(tokens.json["access_token"])),
        "a second use takes back what the first gave"
      )
      const late = yield* open(yield* request())
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* redeem(late)).json["error"], "invalid_grant", "a minute later")
    })
  )

  test(
    "what came in one instant is in the order in which it came, whatever the clock is set to",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const scopes = Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? "openid" : "openid offline_access"))
      yield* idp.approve("alice")
      for (const [index, scope] of scopes.entries()) {
        if (index === 4) yield* idp.faults(Fault.clockBehind("1 hour"))
        yield* redeem(yield* open(yield* request({ scope })))
      }
      assert.deepStrictEqual(
        (yield* idp.families).map((family) => family.scopes.join(" ")),
        scopes
      )
      const { families } = yield* idp.snapshot
      assert.deepStrictEqual(
        families.map(({ scope }) => scope),
        scopes
      )
    })
  )

  test(
    "a slow person who mistypes her password, and one who says no",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.approve("alice", { after: "30 seconds", wrongPasswords: 2, scopes: ["openid"] })
      const back = yield* patiently(open(yield* request()))
      assert.strictEqual(yield* Clock.currentTimeMillis, 90_000)
      assert.strictEqual((yield* redeem(back)).json["scope"], "openid")
      yield* idp.deny()
      const denied = yield* open(yield* request())
      assert.strictEqual(denied.searchParams.get("error"), "access_denied")
      assert.isNull(denied.searchParams.get("code"))
      yield* idp.ignore
      assert.match((yield* Effect.flip(open(yield* request()))).message, /was anybody told to approve/)
      const address = `${issuer}/authorize?${new URLSearchParams(yield* request())}`
      const mistyped = SimulatedBrowser.visit(address, { person: "alcie", decision: "approve" })
      assert.match((yield* Effect.flip(mistyped)).message, /is alcie known there/)
    })
  )

  test(
    "what is wrong with a request is told the client, if it is one",
    Effect.gen(function* () {
      yield* (yield* SimulatedProvider).approve("alice")
      const errorOf = Effect.fnUntraced(function* (more: Form) {
        const back = yield* open(yield* request(more))
        return back.searchParams.get("error") ?? new URLSearchParams(back.hash.slice(1)).get("error")
      })
      assert.strictEqual(yield* errorOf({ response_type: "token" }), "unsupported_response_type")
      assert.strictEqual(yield* errorOf({ code_challenge_method: "plain" }), "invalid_request")
      assert.strictEqual(yield* errorOf({ code_challenge: "", code_challenge_method: "" }), "invalid_request")
      assert.strictEqual(yield* errorOf({ prompt: "none" }), "login_required")
      assert.strictEqual(yield* errorOf({ max_age: "soon" }), "invalid_request")
      assert.strictEqual(yield* errorOf({ request: "e30.e30." }), "request_not_supported")
      const nowhere = yield* Effect.flip(open(yield* request({ redirect_uri: "https://evil.example/" })))
      assert.deepInclude(nowhere, { _tag: "Stuck", status: 400 })
      const nobody = yield* Effect.flip(open(yield* request({ client_id: "nobody" })))
      assert.deepInclude(nobody, { _tag: "Stuck", status: 400 })
    })
  )

  test(
    "whoever asks how long ago somebody signed in is told when, and who asks for a way, which; on renewal too",
    Effect.gen(function* () {
      yield* (yield* SimulatedProvider).approve("alice", { after: "20 seconds" })
      const at = yield* discover(issuer)
      const signedIn = ({ json }: Reply) => {
        const { acr, auth_time } = decodeJwt(String(json["id_token"]))
        return [auth_time, acr]
      }
      const back = yield* patiently(open(yield* request({ max_age: "300", acr_values: "phr pwd" })))
      yield* TestClock.adjust("10 seconds")
      const tokens = yield* redeem(back)
      assert.deepStrictEqual(signedIn(tokens), [20, "phr"])
      yield* TestClock.adjust("1 hour")
      const form = { client_id: cli, grant_type: "refresh_token", refresh_token: String(tokens.json["refresh_token"]) }
      assert.deepStrictEqual(signedIn(yield* post(at("token_endpoint"), form)), [20, "phr"])
      const unasked = yield* redeem(yield* patiently(open(yield* request())))
      assert.deepStrictEqual(signedIn(unasked), [undefined, undefined])
    })
  )

  test(
    "a token for one API is refused by others, and a grant brings none for another (RFC 8707)",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.approve("alice")
      const at = yield* discover(issuer)
      const statuses = Effect.fnUntraced(function* (resource: string) {
        const { json } = yield* redeem(yield* open(yield* request({ resource })))
        const token = bearer(json["access_token"])
        const seen = [(yield* get(idp.apiUrl, token)).status, (yield* get(at("userinfo_endpoint"), token)).status]
        return { json, seen }
      })
      assert.deepStrictEqual((yield* statuses("")).seen, [200, 200])
      assert.deepStrictEqual((yield* statuses(idp.apiUrl)).seen, [200, 401])
      assert.deepStrictEqual((yield* statuses(`${issuer}/apiary`)).seen, [401, 401])
      const { json, seen } = yield* statuses("https://files.test/")
      assert.deepStrictEqual(seen, [401, 401])
      const refresh = (resource: string) => {
        const refresh_token = String(json["refresh_token"])
        return post(at("token_endpoint"), { client_id: cli, grant_type: "refresh_token", refresh_token, resource })
      }
      assert.strictEqual((yield* refresh("https://mail.test/")).json["error"], "invalid_target")
      assert.strictEqual((yield* refresh("https://files.test/")).status, 200)
      const back = yield* open(yield* request({ resource: "https://files.test/" }))
      assert.strictEqual((yield* redeem(back, { resource: "https://mail.test/" })).json["error"], "invalid_target")
      for (const resource of ["files", "https://files.test/#f"]) {
        const refused = yield* open(yield* request({ resource }))
        assert.strictEqual(refused.searchParams.get("error"), "invalid_target")
      }
    })
  )

  test(
    "a pushed request is good once, for a minute",
    Effect.gen(function* () {
      yield* (yield* SimulatedProvider).approve("alice")
      const at = yield* discover(issuer)
      const push = Effect.flatMap(request(), (form) => post(at("pushed_authorization_request_endpoint"), form))
      const pushed = yield* push
      assert.deepStrictEqual([pushed.status, pushed.json["expires_in"]], [201, 60])
      const reference = { client_id: cli, request_uri: String(pushed.json["request_uri"]) }
      assert.isNotNull((yield* open(reference)).searchParams.get("code"))
      assert.strictEqual((yield* Effect.flip(open(reference)))._tag, "Stuck")
      const old = { client_id: cli, request_uri: String((yield* push).json["request_uri"]) }
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.flip(open(old)))._tag, "Stuck")
      // The person is asked when the page is opened, and not when the request was pushed.
      yield* (yield* SimulatedProvider).approve("alice", { after: "20 seconds" })
      const late = { client_id: cli, request_uri: String((yield* push).json["request_uri"]) }
      yield* TestClock.adjust("30 seconds")
      const opened = yield* Clock.currentTimeMillis
      yield* patiently(open(late))
      assert.strictEqual((yield* Clock.currentTimeMillis) - opened, 20_000)
    })
  )

  test(
    "a code is good for a minute",
    Effect.gen(function* () {
      yield* (yield* SimulatedProvider).approve("alice")
      const [first, second] = [yield* open(yield* request()), yield* open(yield* request())]
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual((yield* redeem(first)).status, 200)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* redeem(second)).json["error"], "invalid_grant")
    })
  )

  test(
    "the port of the loopback is a native client's to choose, and no other's (RFC 8252 section 7.3)",
    Effect.gen(function* () {
      yield* (yield* SimulatedProvider).approve("alice")
      const back = yield* open(yield* request({ client_id: "site", redirect_uri: "http://127.0.0.1/callback" }))
      assert.isNotNull(back.searchParams.get("code"))
      assert.strictEqual((yield* Effect.flip(open(yield* request({ client_id: "site" }))))._tag, "Stuck")
    }),
    { clients: [{ ...clients.cli, client_id: "site", application_type: "web" }] }
  )

  test(
    "signing out at one client is not signing out at another",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.approve("alice")
      const signIn = Effect.fnUntraced(function* (client_id: string) {
        return (yield* redeem(yield* open(yield* request({ client_id, scope: "openid" })), { client_id })).json
      })
      const [here, there] = [yield* signIn(cli), yield* signIn("other")]
      const at = yield* discover(issuer)
      yield* get(`${at("end_session_endpoint")}?id_token_hint=${String(here["id_token"])}`)
      assert.isFalse(yield* idp.accepts(String(here["access_token"])))
      assert.isTrue(yield* idp.accepts(String(there["access_token"])))
    }),
    { clients: [{ ...clients.cli, client_id: "other" }] }
  )
})

const keyOf = Effect.fnUntraced(function* (alg: string) {
  const { privateKey, publicKey } = yield* Effect.promise(() => generateKeyPair(alg, { extractable: true }))
  const jwk = { ...(yield* Effect.promise(() => exportJWK(publicKey))), alg, kid: "k" }
  const sign = (claims: JWTPayload, header: object = {}) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.promise(() =>
        new SignJWT({ iat: Math.floor(now / 1000), ...claims })
          .setProtectedHeader({ alg, kid: "k", ...header })
          .sign(privateKey)
      )
    )
  return { jwk, sign }
})

describe("the page where a device's code is typed", () => {
  test(
    "tells nobody that they approved what is over, or decided",
    Effect.gen(function* () {
      const at = yield* discover(issuer)
      const ask = Effect.map(post(at("device_authorization_endpoint"), { client_id: cli }), ({ json }) => json)
      const type = (device: Reply["json"]) =>
        post(String(device["verification_uri"]), { user_code: String(device["user_code"]), person: "alice" })
      const decided = yield* ask
      assert.strictEqual((yield* type(decided)).status, 200)
      assert.strictEqual((yield* type(decided)).status, 400)
      const used = yield* ask
      yield* (yield* SimulatedProvider).approve("alice")
      const grant_type = "urn:ietf:params:oauth:grant-type:device_code"
      const form = { client_id: cli, grant_type, device_code: String(used["device_code"]) }
      assert.strictEqual((yield* post(at("token_endpoint"), form)).status, 200)
      assert.strictEqual((yield* type(used)).status, 400)
      const old = yield* ask
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* type(old)).status, 400)
    })
  )
})

describe("clients that prove who they are by a JWT", () => {
  it.effect("with a key or with a secret, each JWT once", () =>
    Effect.gen(function* () {
      const key = yield* keyOf("EdDSA")
      const { alg: _, ...jwk } = key.jwk
      const secret = "a secret that is long enough for HS256"
      const layer = SimulatedProvider.layer({
        clients: [
          {
            client_id: "by-key",
            token_endpoint_auth_method: "private_key_jwt",
            grant_types: ["client_credentials"],
            jwks: { keys: [jwk] }
          },
          {
            client_id: "by-secret",
            client_secret: secret,
            token_endpoint_auth_method: "client_secret_jwt",
            grant_types: ["client_credentials"]
          }
        ]
      })
      const ask = Effect.fnUntraced(function* (client_assertion: string) {
        const at = yield* discover(issuer)
        return yield* post(at("token_endpoint"), {
          grant_type: "client_credentials",
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion
        })
      })
      yield* Effect.gen(function* () {
        const claims = { iss: "by-key", sub: "by-key", aud: issuer, exp: 60, jti: "1" }
        const assertion = yield* key.sign(claims)
        assert.strictEqual((yield* ask(assertion)).status, 200)
        assert.strictEqual((yield* ask(assertion)).json["error"], "invalid_client", "used twice")
        const misdirected = yield* ask(yield* key.sign({ ...claims, jti: "2", aud: "else" }))
        assert.deepStrictEqual(misdirected.json, {
          error: "invalid_client",
          error_description: "client assertion does not verify: unexpected 'aud' claim value"
        })
        const late = yield* key.sign({ ...claims, jti: "3" })
        const bySecret = (alg: string, jti: string) =>
          Effect.promise(() =>
            new SignJWT({ iss: "by-secret", sub: "by-secret", aud: issuer, exp: 60, jti })
              .setProtectedHeader({ alg })
              .sign(new TextEncoder().encode(secret))
          )
        assert.strictEqual((yield* ask(yield* bySecret("HS256", "1"))).status, 200)
        assert.strictEqual((yield* ask(yield* bySecret("HS512", "2"))).status, 401, "not among the advertised")
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* ask(late)).status, 401)
        const { requests } = yield* SimulatedProvider
        const named = (yield* requests).filter(({ endpoint }) => endpoint === "token").map(({ client }) => client)
        assert.deepStrictEqual(named, ["by-key", "by-key", "by-key", "by-secret", "by-secret", "by-key"])
      }).pipe(Effect.provide(layer))
    })
  )
})

const gateway = {
  client_id: "gateway",
  client_secret: "gateway secret",
  grant_types: ["urn:ietf:params:oauth:grant-type:token-exchange", "client_credentials"]
}

describe("grants between machines", () => {
  it.effect("a JWT of a trusted issuer brings a token; one of anybody else does not", () =>
    Effect.gen(function* () {
      const key = yield* keyOf("ES256")
      const grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"
      const layer = SimulatedProvider.layer({
        trustedIssuers: [{ issuer: "https://partner.test", jwks: { keys: [key.jwk] } }],
        // Its own address ends with a slash: what is said of it does not have two.
        issuer: `${issuer}/`,
        accessTokens: "jwt",
        clients: [{ client_id: "robot", token_endpoint_auth_method: "none", grant_types: [grantType] }]
      })
      yield* Effect.gen(function* () {
        const at = yield* discover(issuer)
        const ask = (assertion: string, scope = "api:read") =>
          post(at("token_endpoint"), { client_id: "robot", grant_type: grantType, assertion, scope })
        const claims = { iss: "https://partner.test", sub: "carol", aud: at("issuer"), exp: 300 }
        const good = yield* ask(yield* key.sign(claims))
        assert.deepStrictEqual([good.status, good.json["scope"]], [200, "api:read"])
        const me = yield* get((yield* SimulatedProvider).apiUrl, bearer(good.json["access_token"]))
        assert.strictEqual(me.json["sub"], "carol")
        const token = String(good.json["access_token"])
        assert.strictEqual(decodeJwt(token).aud, `${issuer}/api`)
        const bare = yield* ask(yield* key.sign(claims), "")
        assert.notProperty(decodeJwt(String(bare.json["access_token"])), "scope") // RFC 6749 appendix A.4 has no empty one
        const known = yield* post(at("introspection_endpoint"), { client_id: "robot", token })
        assert.deepInclude(known.json, { active: true, sub: "carol", client_id: "robot" })
        const { exp: _exp, ...endless } = claims
        for (const wrong of [
          { ...claims, iss: "https://stranger.test" },
          { ...claims, aud: "https://else.test" },
          endless
        ]) {
          assert.strictEqual((yield* ask(yield* key.sign(wrong))).json["error"], "invalid_grant", JSON.stringify(wrong))
        }
        const named = yield* key.sign({ ...claims, jti: "once" })
        assert.strictEqual((yield* ask(named)).status, 200)
        assert.strictEqual((yield* ask(named)).json["error"], "invalid_grant", "used twice")
      }).pipe(Effect.provide(layer))
    })
  )

  test(
    "a token is exchanged for a narrower one, which ends with the sign-in",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.approve("alice")
      const { json } = yield* redeem(yield* open(yield* request()))
      const at = yield* discover(issuer)
      const exchange = (form: Form) =>
        post(
          at("token_endpoint"),
          {
            grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
            subject_token: String(json["access_token"]),
            subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
            ...form
          },
          basic(gateway)
        )
      const narrow = yield* exchange({ scope: "api:read", audience: "https://files.test" })
      assert.strictEqual(narrow.json["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token")
      assert.strictEqual(narrow.json["scope"], "api:read")
      const token = String(narrow.json["access_token"])
      const known = yield* post(at("introspection_endpoint"), { token }, basic(gateway))
      assert.strictEqual(known.json["aud"], "https://files.test")
      assert.strictEqual((yield* exchange({ scope: "api:write" })).json["error"], "invalid_scope")
      assert.strictEqual((yield* exchange({ subject_token: "nonsense" })).json["error"], "invalid_request")
      assert.isTrue(yield* idp.accepts(token))
      yield* post(at("revocation_endpoint"), { client_id: cli, token: String(json["refresh_token"]) })
      assert.isFalse(yield* idp.accepts(token))
    }),
    { clients: [gateway] }
  )

  test(
    "who acts for whom is in the token, at the API and in introspection; to give it back ends nobody's sign-in",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.approve("alice")
      const { json } = yield* redeem(yield* open(yield* request()))
      const at = yield* discover(issuer)
      const ask = (endpoint: string, form: Form) => post(at(endpoint), form, basic(gateway))
      const own = String((yield* ask("token_endpoint", { grant_type: "client_credentials" })).json["access_token"])
      const types = "urn:ietf:params:oauth:token-type"
      const exchange = (form: Form) =>
        ask("token_endpoint", {
          grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
          subject_token: String(json["access_token"]),
          subject_token_type: `${types}:access_token`,
          actor_token: own,
          requested_token_type: `${types}:jwt`,
          ...form
        })
      assert.strictEqual((yield* exchange({})).json["error"], "invalid_request", "an actor of no type")
      const exchanged = yield* exchange({ actor_token_type: `${types}:access_token` })
      const token = String(exchanged.json["access_token"])
      const told = { sub: "alice", act: { sub: "gateway" } }
      assert.deepInclude(decodeJwt<Record<string, unknown>>(token), told)
      assert.deepInclude((yield* ask("introspection_endpoint", { token })).json, told)
      assert.deepInclude((yield* get(idp.apiUrl, bearer(token))).json, { sub: "alice", actor: "gateway" })
      const machine = yield* ask("introspection_endpoint", { token: own })
      assert.notProperty(machine.json, "sub")
      assert.notProperty(machine.json, "scope")
      const hinted = yield* get(`${at("end_session_endpoint")}?id_token_hint=${token}`)
      assert.deepStrictEqual([hinted.status, hinted.json["error"]], [400, "invalid_client"], "no ID token")
      yield* ask("revocation_endpoint", { token })
      assert.isFalse(yield* idp.accepts(token))
      assert.isTrue(yield* idp.accepts(String(json["access_token"])))
    }),
    { clients: [gateway] }
  )

  test(
    "an ID token is exchanged for no more than its sign-in has, and not after its end; a JWT is one",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.approve("alice")
      const { json } = yield* redeem(yield* open(yield* request()))
      // Another sign-in of the same person at the same client changes nothing.
      yield* redeem(yield* open(yield* request({ scope: "openid api:read api:write" })))
      const at = yield* discover(issuer)
      const types = "urn:ietf:params:oauth:token-type"
      const exchange = (form: Form) =>
        post(
          at("token_endpoint"),
          { grant_type: "urn:ietf:params:oauth:grant-type:token-exchange", ...form },
          basic(gateway)
        )
      const byAccess = { subject_token: String(json["access_token"]), subject_token_type: `${types}:access_token` }
      const byId = { subject_token: String(json["id_token"]), subject_token_type: `${types}:id_token` }
      const made = yield* exchange(byId)
      assert.strictEqual(made.json["scope"], "api:read")
      assert.strictEqual((yield* exchange({ ...byId, scope: "api:write" })).json["error"], "invalid_scope")
      const jwt = yield* exchange({ ...byAccess, requested_token_type: `${types}:jwt` })
      assert.strictEqual(decodeJwt(String(jwt.json["access_token"])).sub, "alice")
      for (const wrong of [
        { ...byAccess, subject_token_type: `${types}:jwt` },
        { ...byAccess, actor_token_type: `${types}:access_token` }
      ]) {
        assert.strictEqual((yield* exchange(wrong)).json["error"], "invalid_request")
      }
      yield* idp.revokeAll
      assert.isFalse(yield* idp.accepts(String(made.json["access_token"])))
      assert.strictEqual((yield* exchange(byId)).json["error"], "invalid_request")
    }),
    { clients: [gateway] }
  )

  test(
    "who cannot prove who they are gets no token for themselves (RFC 6749 section 4.4)",
    Effect.gen(function* () {
      const at = yield* discover(issuer)
      const asked = yield* post(at("token_endpoint"), { client_id: "open", grant_type: "client_credentials" })
      assert.deepStrictEqual([asked.status, asked.json["error"]], [400, "unauthorized_client"])
    }),
    { clients: [{ client_id: "open", token_endpoint_auth_method: "none", grant_types: ["client_credentials"] }] }
  )

  test(
    "a client registers itself, and may then do what it registered for",
    Effect.gen(function* () {
      const at = yield* discover(issuer)
      const register = (body: object) => postJson(at("registration_endpoint"), body)
      const made = yield* register({ client_name: "new", grant_types: ["client_credentials"], redirect_uris: [] })
      assert.strictEqual(made.status, 201)
      // All that is registered, defaults too (RFC 7591 section 3.2.1).
      assert.deepInclude(made.json, { token_endpoint_auth_method: "client_secret_basic", response_types: [] })
      const web = yield* register({ redirect_uris: ["https://app.test/callback"] })
      assert.deepInclude(web.json, { grant_types: ["authorization_code"], response_types: ["code"] })
      const credentials = {
        client_id: String(made.json["client_id"]),
        client_secret: String(made.json["client_secret"])
      }
      const token = yield* post(at("token_endpoint"), { grant_type: "client_credentials" }, basic(credentials))
      assert.strictEqual(token.status, 200)
      assert.strictEqual((yield* register({ redirect_uris: ["#"] })).json["error"], "invalid_redirect_uri")
      const byKey = { token_endpoint_auth_method: "private_key_jwt", grant_types: ["client_credentials"] }
      for (const wrong of [{ grant_types: 7 }, byKey, { ...byKey, jwks_uri: "https://app.test/jwks" }]) {
        assert.strictEqual((yield* register(wrong)).json["error"], "invalid_client_metadata")
      }
    })
  )

  test(
    "nobody registers for what the provider cannot do, and it says which member that is",
    Effect.gen(function* () {
      const at = yield* discover(issuer)
      const redirect_uris = ["https://app.test/callback"]
      for (const [member, wrong] of [
        ["grant_types.0", { grant_types: ["implicit"] }],
        ["response_types.0", { response_types: ["token"] }],
        ["response_types", { response_types: ["code"], grant_types: ["client_credentials"] }],
        ["id_token_signed_response_alg", { id_token_signed_response_alg: "RS256" }],
        ["post_logout_redirect_uris", { post_logout_redirect_uris: ["/"] }],
        ["redirect_uris", { redirect_uris: "https://app.test/callback" }],
        ["redirect_uris", { redirect_uris: ["javascript:alert(1)"] }],
        ["redirect_uris", { redirect_uris: ["com.example.app:/callback"] }],
        ["redirect_uris", { application_type: "native", redirect_uris: ["http://app.test/callback"] }],
        ["redirect_uris", { application_type: "native", redirect_uris: ["app:/callback"] }]
      ] as const) {
        const { json, status } = yield* postJson(at("registration_endpoint"), { redirect_uris, ...wrong })
        assert.strictEqual(status, 400, JSON.stringify(wrong))
        assert.match(String(json["error_description"]), new RegExp(`^${member} `))
      }
      for (const uri of ["https://app.test/callback", "http://[::1]/callback", "com.example.app:/callback"]) {
        const body = { application_type: "native", redirect_uris: [uri] }
        assert.strictEqual((yield* postJson(at("registration_endpoint"), body)).status, 201, uri)
      }
    })
  )
})

const site = {
  ...clients.cli,
  client_id: "site",
  client_secret: "site secret",
  token_endpoint_auth_method: "client_secret_basic"
} as const

describe("DPoP", () => {
  test(
    "binds tokens to a key, with a nonce of the server's",
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.approve("alice")
      const at = yield* discover(issuer)
      const key = yield* keyOf("ES256")
      let proofs = 0
      const prove = Effect.fnUntraced(function* (htm: string, htu: string, claims: JWTPayload = {}) {
        const { alg: _, kid: __, ...jwk } = key.jwk
        return yield* key.sign({ htm, htu, jti: `p${proofs++}`, ...claims }, { typ: "dpop+jwt", jwk })
      })
      // RFC 9449 section 10.1: a pushed request with a proof is bound to its key as well.
      const par = at("pushed_authorization_request_endpoint")
      const push = Effect.fnUntraced(function* (more: Form) {
        const refused = yield* post(par, yield* request(more), { dpop: yield* prove("POST", par) })
        const nonce = refused.headers["dpop-nonce"] ?? ""
        return yield* post(par, yield* request(more), { dpop: yield* prove("POST", par, { nonce }) })
      })
      const pushed = { client_id: cli, request_uri: String((yield* push({})).json["request_uri"]) }
      assert.strictEqual((yield* redeem(yield* open(pushed))).json["error"], "invalid_grant")
      assert.strictEqual((yield* push({ dpop_jkt: "another" })).json["error"], "invalid_request")

      const back = yield* open(
        yield* request({ dpop_jkt: yield* Effect.promise(() => calculateJwkThumbprint(key.jwk)) })
      )
      const bare = yield* redeem(back, {}, { dpop: yield* prove("POST", at("token_endpoint")) })
      assert.deepStrictEqual([bare.status, bare.json["error"]], [400, "use_dpop_nonce"])
      const nonce = bare.headers["dpop-nonce"] ?? ""
      const proof = yield* prove("POST", at("token_endpoint"), { nonce })
      const tokens = yield* redeem(back, {}, { dpop: proof })
      assert.deepStrictEqual([tokens.status, tokens.json["token_type"]], [200, "DPoP"])
      const again = yield* redeem(back, {}, { dpop: proof })
      assert.strictEqual(again.json["error"], "invalid_dpop_proof", "each proof is good once")

      const token = String(tokens.json["access_token"])
      const asBearer = yield* get(idp.apiUrl, bearer(token))
      assert.strictEqual(asBearer.status, 401)
      const call = Effect.fnUntraced(function* (claims: JWTPayload) {
        const dpop = yield* prove("GET", idp.apiUrl, claims)
        return yield* get(idp.apiUrl, { authorization: `DPoP ${token}`, dpop })
      })
      const ath = yield* hash(token)
      assert.strictEqual((yield* call({ ath, nonce })).status, 200)
      assert.match((yield* call({ ath })).headers["www-authenticate"] ?? "", /^DPoP .*error="use_dpop_nonce"/)
      assert.strictEqual((yield* call({ ath: "other", nonce })).status, 401)
      assert.strictEqual((yield* call({ ath, nonce, jti: 7 as never })).status, 401) // a number, which the type forbids
      yield* TestClock.adjust("10 minutes")
      assert.match((yield* call({ ath, nonce })).headers["www-authenticate"] ?? "", /use_dpop_nonce/)

      const refresh = (headers: Form) =>
        post(
          at("token_endpoint"),
          { client_id: cli, grant_type: "refresh_token", refresh_token: String(tokens.json["refresh_token"]) },
          headers
        )
      assert.strictEqual(
        (yield* refresh({})).json["error"],
        "invalid_grant",
        "a public client's refresh token is bound"
      )
    }),
    { dpopNonces: true }
  )

  test(
    "a confidential client's refresh token is bound to the client alone (RFC 9449 section 5)",
    Effect.gen(function* () {
      yield* (yield* SimulatedProvider).approve("alice")
      const at = yield* discover(issuer)
      const key = yield* keyOf("ES256")
      const claims = { htm: "POST", htu: at("token_endpoint"), jti: "1" }
      const { alg: _, kid: __, ...jwk } = key.jwk
      const dpop = yield* key.sign(claims, { typ: "dpop+jwt", jwk })
      const back = yield* open(yield* request({ client_id: "site" }))
      const { json } = yield* redeem(back, { client_id: "site" }, { ...basic(site), dpop })
      assert.strictEqual(json["token_type"], "DPoP")
      const form = { grant_type: "refresh_token", refresh_token: String(json["refresh_token"]) }
      const bare = yield* post(at("token_endpoint"), form, basic(site))
      assert.deepStrictEqual([bare.status, bare.json["token_type"]], [200, "Bearer"])
    }),
    { clients: [site] }
  )
})
