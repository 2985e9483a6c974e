/** The machine under arbitrary requests: whatever somebody sends, there is an answer, and always the same. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Equal, Schema } from "effect"
import { Base64, Base64Url } from "effect/encoding"
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose"
import type { Request, Response } from "../src/model/Http.ts"
import * as Machine from "../src/model/Machine.ts"
import { hashOf } from "../src/model/Pkce.ts"
import { settle } from "../src/model/Settings.ts"
import { initial, type State } from "../src/model/State.ts"
import { clients } from "../src/provider.ts"

// Signatures of ECDSA and new keys are not the same twice: EdDSA, and no rotation.
const settings = settle({
  algorithms: ["EdDSA"],
  accessTokens: "jwt",
  clients: [
    {
      client_id: "all",
      client_secret: "all",
      grant_types: [
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
      ]
    },
    { client_id: "by-key", token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [{ kty: "nonsense" }] } },
    { client_id: "by-certificate", token_endpoint_auth_method: "self_signed_tls_client_auth" }
  ]
})

const text = Schema.String
const oneOf = (...texts: ReadonlyArray<string>) => Schema.Literals(texts)

/** Parts that mean something, and others. */
const Word = Schema.Union([
  text,
  oneOf(
    "",
    "%",
    "%zz",
    "%0d%0a",
    "\u0000",
    "é",
    "\ud800",
    "__proto__",
    "constructor",
    "https://x.test/#f",
    "a.b.c",
    "@id_token"
  )
])
/** What goes by a name, now and then something else; with `@`, what the provider has given out. */
const plausible = (...texts: ReadonlyArray<string>) =>
  Schema.optionalKey(Schema.Union([oneOf(...texts), oneOf(...texts), oneOf(...texts), Word]))
const grants = "urn:ietf:params:oauth:grant-type:"
const types = "urn:ietf:params:oauth:token-type:"
const Form = Schema.Struct({
  client_id: plausible("keyfob-cli", "keyfob-cli", "all", "by-key", "by-certificate"),
  client_secret: plausible("all"),
  client_assertion: plausible("eyJhbGciOiJub25lIn0.eyJzdWIiOiJieS1rZXkifQ."),
  client_assertion_type: plausible("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
  grant_type: plausible(
    "authorization_code",
    "client_credentials",
    "refresh_token",
    "refresh_token",
    `${grants}device_code`,
    `${grants}jwt-bearer`,
    `${grants}token-exchange`
  ),
  refresh_token: plausible("@refresh_token"),
  device_code: plausible("@device_code"),
  code: plausible("@code"),
  code_verifier: plausible("v".repeat(43)),
  code_challenge: plausible("v".repeat(43)),
  code_challenge_method: plausible("S256", "plain"),
  redirect_uri: plausible("http://127.0.0.1:1/callback", "http://[::1]/callback"),
  response_type: plausible("code", "code", "token"),
  response_mode: plausible("query", "fragment", "form_post"),
  prompt: plausible("consent", "none"),
  scope: plausible("openid offline_access", "api:read"),
  state: Schema.optionalKey(Word),
  assertion: Schema.optionalKey(Word),
  subject_token: plausible("@access_token", "@id_token"),
  subject_token_type: plausible(`${types}access_token`, `${types}id_token`),
  token: plausible("@access_token", "@refresh_token"),
  id_token_hint: plausible("@id_token"),
  post_logout_redirect_uri: plausible("http://127.0.0.1/callback"),
  user_code: plausible("@user_code"),
  person: plausible("alice", "bob"),
  decision: plausible("approve", "deny")
})
const Fields = Schema.Array(Schema.Tuple([text, Word])).check(Schema.isMaxLength(2))

const paths = oneOf(
  "/token",
  "/token",
  "/token",
  "/authorize",
  "/authorize",
  "/par",
  "/device_authorization",
  "/device",
  "/introspect",
  "/revoke",
  "/userinfo",
  "/end_session",
  "/register",
  "/jwks",
  "/api/me",
  "/interaction/@interaction"
)
const Path = Schema.Union([
  paths,
  paths,
  paths,
  Schema.TemplateLiteral([oneOf("", "/api/needs/", "/interaction/", "//", "/x/../", "http://elsewhere.test/"), text])
])

const Sent = Schema.Struct({
  method: Schema.Union([oneOf("GET", "POST", "POST"), oneOf("GET", "HEAD", "POST", "PUT", "OPTIONS", "get", "")]),
  path: Path,
  query: Schema.Union([Form, Schema.Struct({})]),
  form: Form,
  more: Fields,
  json: Schema.optionalKey(
    Schema.Record(oneOf("redirect_uris", "grant_types", "jwks", "client_name", "x"), Schema.Json)
  ),
  type: oneOf("application/x-www-form-urlencoded", "application/x-www-form-urlencoded", "application/json", ""),
  headers: Schema.Record(oneOf("client-cert", "cookie", "accept"), text),
  authorization: Schema.optionalKey(
    Schema.Union([
      Schema.Tuple([oneOf("Bearer", "bearer"), oneOf("@access_token"), text]),
      Schema.Tuple([oneOf("Basic", "Bearer", "DPoP", "x"), Word, Word])
    ])
  ),
  dpop: Schema.optionalKey(Schema.Record(oneOf("typ", "alg", "jwk", "htm", "iat"), Schema.Json)),
  later: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 }))
})

const requestOf = (sent: typeof Sent.Type, known: (word: string) => string): Request => {
  const encode = (form: typeof Form.Type, more: typeof Fields.Type = []) =>
    new URLSearchParams([...Object.entries(form), ...more].map(([name, value]) => [name, known(value)])).toString()
  const path = sent.path.replace(/@interaction$/, () => known("@interaction"))
  const { authorization, dpop } = sent
  const [scheme = "", user = "", password = ""] = authorization ?? []
  const proof = (part: object) => Base64Url.encode(JSON.stringify(part))
  return {
    method: sent.method,
    url: Object.keys(sent.query).length === 0 ? path : `${path}?${encode(sent.query)}`,
    headers: {
      ...sent.headers,
      ...(sent.type === "" ? {} : { "content-type": sent.type }),
      ...(authorization === undefined
        ? {}
        : { authorization: `${scheme} ${/basic/i.test(scheme) ? Base64.encode(`${user}:${password}`) : known(user)}` }),
      ...(dpop === undefined ? {} : { dpop: `${proof(dpop)}.${proof(dpop)}.eA` })
    },
    body: sent.json === undefined ? encode(sent.form, sent.more) : JSON.stringify(sent.json)
  }
}

const Uri = oneOf("https://app.test/callback", "http://[::1]/callback", "com.app.test:/x", "com.app.test:x", "/", "x:")
const Uris = Schema.NonEmptyArray(Uri)
const Registration = Schema.Struct({
  application_type: Schema.optionalKey(oneOf("native", "native", "web")),
  token_endpoint_auth_method: oneOf("none", "client_secret_post"),
  redirect_uris: Uris,
  post_logout_redirect_uris: Schema.optionalKey(Uris),
  id_token_signed_response_alg: Schema.optionalKey(oneOf("EdDSA", "RS256"))
})

const script = { decision: "approve", person: "alice", since: 0, after: 0, polls: 0, wrongPasswords: 0 } as const

/** A provider where alice has signed in, and what it gave out: tokens, and codes that nobody has used. */
const signedIn = Effect.gen(function* () {
  let state: State = { ...initial(settings), script }
  const ask = Effect.fnUntraced(function* (path: string, form: Readonly<Record<string, string>>) {
    const body = new URLSearchParams({ client_id: clients.cli.client_id, ...form }).toString()
    const headers = { "content-type": "application/x-www-form-urlencoded" }
    const [next, response] = yield* Machine.step(state, { method: "POST", url: path, headers, body }, 0)
    state = next
    return response
  })
  const json = (response: Response): Readonly<Record<string, string>> => JSON.parse(response.body)
  const device = json(yield* ask("/device_authorization", { scope: "openid offline_access api:read" }))
  const grant_type = "urn:ietf:params:oauth:grant-type:device_code"
  const tokens = json(yield* ask("/token", { grant_type, device_code: device["device_code"] ?? "" }))
  const request = {
    response_type: "code",
    redirect_uri: "http://127.0.0.1:1/callback",
    code_challenge: yield* hashOf("v".repeat(43)),
    code_challenge_method: "S256"
  }
  const location = ({ headers }: Response) => new URL(headers["location"] ?? "")
  const page = location(yield* ask("/authorize", request))
  const [next, back] = yield* Machine.step(state, { method: "GET", url: page.pathname, headers: {}, body: "" }, 0)
  state = next
  const given: Readonly<Record<string, string | null>> = {
    ...tokens,
    ...json(yield* ask("/device_authorization", { scope: "openid" })),
    code: location(back).searchParams.get("code"),
    interaction: location(yield* ask("/authorize", request)).pathname.replace(/^.*\//, "")
  }
  return { state, known: (word: string) => (word.startsWith("@") ? (given[word.slice(1)] ?? "") : word) }
})

const holds = ({ body, headers, status }: Response) => {
  assert.isTrue(status >= 200 && status < 500, `status ${status}`)
  for (const value of Object.values(headers)) assert.match(value, /^[\t\u0020-\u007e\u0080-\u00ff]*$/)
  if (/json/.test(headers["content-type"] ?? "")) JSON.parse(body)
}

describe("the machine, asked whatever there is", () => {
  it.effect.prop(
    "answers, never with a 5xx; the same state, request and instant give the same",
    [Schema.Array(Sent).check(Schema.isMaxLength(5))],
    ([requests]) =>
      Effect.gen(function* () {
        const { known, state: start } = yield* signedIn
        let state = start
        let now = 0
        for (const sent of requests) {
          const request = requestOf(sent, known)
          now += sent.later
          const first = yield* Machine.step(state, request, now)
          const second = yield* Machine.step(state, request, now)
          holds(first[1])
          assert.deepStrictEqual(first[1], second[1])
          assert.isTrue(Equal.equals(first[0], second[0]), "the next state is another")
          state = first[0]
        }
      }),
    { arbitrary: { runs: 200 } }
  )

  it.effect.prop(
    "whoever it lets register signs in and out, whatever they said of themselves",
    [Registration, oneOf("query", "fragment", "form_post")],
    ([metadata, response_mode]) =>
      Effect.gen(function* () {
        let state: State = { ...initial(settings), script }
        const ask = Effect.fnUntraced(function* (method: "GET" | "POST", url: string, body: string) {
          const headers = { "content-type": "application/x-www-form-urlencoded" }
          const [next, response] = yield* Machine.step(state, { method, url, headers, body }, 0)
          state = next
          holds(response)
          return response
        })
        const form = (fields: Readonly<Record<string, string>>) => String(new URLSearchParams(fields))
        const made = yield* ask("POST", "/register", JSON.stringify(metadata))
        if (made.status !== 201) return
        const { client_id, client_secret = "" } = JSON.parse(made.body)
        for (const redirect_uri of metadata.redirect_uris) {
          const code_challenge = yield* hashOf("v".repeat(43))
          const challenge = { code_challenge, code_challenge_method: "S256" }
          const request = {
            client_id,
            redirect_uri,
            response_mode,
            response_type: "code",
            scope: "openid",
            ...challenge
          }
          const page = yield* ask("GET", `/authorize?${form(request)}`, "")
          yield* ask("GET", (page.headers["location"] ?? "").replace(settings.issuer, ""), "")
          for (const [code] of state.codes) {
            const proof = { client_id, client_secret, code_verifier: "v".repeat(43) }
            yield* ask("POST", "/token", form({ grant_type: "authorization_code", code, redirect_uri, ...proof }))
          }
        }
        for (const post_logout_redirect_uri of metadata.post_logout_redirect_uris ?? []) {
          yield* ask("GET", `/end_session?${form({ client_id, post_logout_redirect_uri })}`, "")
        }
      }),
    { arbitrary: { runs: 200 } }
  )

  const status = (url: string) =>
    Effect.map(
      Machine.step(initial(settings), { method: "GET", url, headers: {}, body: "" }, 0),
      ([, response]) => response.status
    )

  it.effect("a path that names nothing is not found, however it is written", () =>
    Effect.gen(function* () {
      for (const url of [
        "/api/needs/%",
        "/api/needs/%zz",
        "/api/needs/%0d%0aset-cookie:x",
        "/api/needs/",
        "/%",
        "//[",
        "*",
        "",
        "http://["
      ]) {
        assert.strictEqual(yield* status(url), 404, url)
      }
      assert.strictEqual(yield* status("http://by-another-name.test/jwks"), 200, "RFC 9112 section 3.2.2")
      assert.strictEqual(yield* status("/api/needs/api%3Aread"), 401)
    })
  )

  const noon = Date.UTC(2030, 0, 1, 12)
  const proving = Effect.gen(function* () {
    const { privateKey, publicKey } = yield* Effect.promise(() => generateKeyPair("ES256"))
    const jwk = yield* Effect.promise(() => exportJWK(publicKey))
    return (more: JWTPayload) =>
      Effect.promise(() =>
        new SignJWT({ htm: "POST", htu: "https://id.simulated.test/token", jti: "one", ...more })
          .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk })
          .sign(privateKey)
      )
  })
  const askWith = (state: State, dpop: string, now: number) => {
    const headers = { "content-type": "application/x-www-form-urlencoded", dpop }
    const body = "grant_type=client_credentials&client_id=all&client_secret=all"
    return Machine.step(state, { method: "POST", url: "/token", headers, body }, now)
  }

  it.effect("a proof is taken once while its nonce is good, however old it says it is", () =>
    Effect.gen(function* () {
      const prove = yield* proving
      // Whatever may be forgotten is forgotten at once.
      const forgetful = (state: State) => ({ ...state, sweepAt: 0 })
      const nonces = forgetful(initial({ ...settings, dpopNonces: true }))
      const [begun, told] = yield* askWith(nonces, yield* prove({ iat: 1 }), noon)
      const dpop = yield* prove({ iat: 1, nonce: told.headers["dpop-nonce"] })
      const [used, first] = yield* askWith(forgetful(begun), dpop, noon)
      assert.strictEqual(first.status, 200)
      const [, again] = yield* askWith(forgetful(used), dpop, noon + settings.dpopNonceLifetime)
      assert.include(again.body, "DPoP proof was used before")
    })
  )

  it.effect.each([
    [-61, 400],
    [-60, 200],
    [60, 200],
    [61, 400]
  ] as const)("a proof without a nonce is of this minute, the one before or the next: %i s", ([seconds, status]) =>
    Effect.gen(function* () {
      const dpop = yield* (yield* proving)({ iat: noon / 1000 + seconds })
      const [, response] = yield* askWith(initial(settings), dpop, noon)
      assert.strictEqual(response.status, status)
    })
  )

  it.effect("keys nobody has had need of are not rotated: whoever signs nothing makes none", () =>
    Effect.gen(function* () {
      const state = { ...initial(settings), rotations: [1, 2] }
      const [after] = yield* Machine.step(state, { method: "GET", url: "/api/me", headers: {}, body: "" }, 3)
      assert.deepStrictEqual([after.keys, after.rotations], [[], []])
    })
  )

  it.effect("a key set may hold anything at all", () =>
    Effect.gen(function* () {
      const body = (x5c: unknown) =>
        JSON.stringify({
          token_endpoint_auth_method: "self_signed_tls_client_auth",
          grant_types: ["client_credentials"],
          jwks: { keys: [{ kty: "RSA", x5c }] }
        })
      for (const x5c of [[5], 7, [{}], ["%"], []]) {
        const request = {
          method: "POST",
          url: "/register",
          headers: { "content-type": "application/json" },
          body: body(x5c)
        }
        const [, response] = yield* Machine.step(initial(settings), request, 0)
        assert.strictEqual(response.status, 400, JSON.stringify(x5c))
      }
    })
  )
})
