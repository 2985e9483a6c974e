/** What both providers are asked, step by step. Every step is seen as {@link Seen}. */
import { Clock, Effect } from "effect"
import { Base64Url } from "effect/encoding"
import type { HttpClient, HttpClientError } from "effect/http"
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose"
import { createHash } from "node:crypto"
import { type ClientMetadata, clients } from "../../src/provider.ts"
import { basic, bearer, discover, type Form, get, post, postJson, type Reply } from "../Caller.ts"
import { Subject } from "./Subject.ts"

/** What counts of an answer. */
export interface Seen {
  readonly status: number
  readonly error?: unknown
  /** Names of the JSON members; what is merely an explanation is left out. */
  readonly members?: ReadonlyArray<string>
  readonly tokenType?: unknown
  readonly scope?: unknown
  readonly active?: unknown
  readonly expiresIn?: unknown
  /** Whom it is about, as far as it says. */
  readonly about?: ReadonlyArray<string>
  /** Header and claims of its ID token; values where they are the same each time. */
  readonly idToken?: ReadonlyArray<string>
  readonly contentType?: string
  /** Of what is given, whether it may not be kept. */
  readonly noStore?: boolean
  /** Schemes and error of the challenge, and whether it says what a proof may be signed with. */
  readonly challenge?: string
}

type Step = readonly [name: string, seen: Seen]
export type Scenario = Effect.Effect<
  ReadonlyArray<Step>,
  HttpClientError.HttpClientError,
  Subject | HttpClient.HttpClient
>

const cli = { client_id: clients.cli.client_id }
/** A public client as `cli` is, but for the algorithm of its ID tokens. */
const other = { client_id: "other" }
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
const redirect_uri = "http://127.0.0.1:50123/callback"
const secretClient = { client_id: "web", client_secret: "a web client's secret" }

const keys = Effect.cached(
  Effect.promise(async () => {
    const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true })
    return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid: "k", alg: "ES256", use: "sig" } }
  })
)
const key = Effect.runSync(keys)

/** Clients besides those every provider knows; the same for both. */
export const moreClients: Effect.Effect<ReadonlyArray<ClientMetadata>> = Effect.map(key, ({ jwk }) => [
  {
    ...secretClient,
    application_type: "web",
    token_endpoint_auth_method: "client_secret_basic",
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    redirect_uris: ["https://app.example/callback"],
    post_logout_redirect_uris: ["https://app.example/"]
  },
  {
    client_id: "by-key",
    token_endpoint_auth_method: "private_key_jwt",
    grant_types: ["client_credentials"],
    jwks: { keys: [jwk] }
  },
  { ...clients.cli, ...other, id_token_signed_response_alg: "ES256" },
  { ...clients.cli, client_id: "pushing", require_pushed_authorization_requests: true },
  {
    client_id: "bound",
    application_type: "native",
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    redirect_uris: ["http://127.0.0.1/callback"],
    dpop_bound_access_tokens: true
  }
])

const aboutThem = ["sub", "client_id", "name", "preferred_username", "email", "email_verified"]

const idTokenOf = ({ access_token, id_token }: Reply["json"]): ReadonlyArray<string> => {
  const { alg, ...header } = decodeProtectedHeader(String(id_token))
  const { at_hash, aud, exp = 0, iat = 0, nonce, sub, ...claims } = decodeJwt(String(id_token))
  const half = createHash("sha256").update(String(access_token)).digest().subarray(0, 16)
  // It may be left out here (OpenID Connect Core section 3.1.3.6), and oidc-provider does.
  const fits = at_hash === undefined || at_hash === Base64Url.encode(half)
  const said = { alg, aud, sub, nonce, fits, lifetime: exp - iat }
  return [
    ...Object.entries(said).map(([name, value]) => `${name}=${JSON.stringify(value)}`),
    ...Object.keys({ ...header, ...claims }).sort()
  ]
}

const see = (reply: Reply): Seen => {
  const { json, status } = reply
  const names = Object.keys(json).filter((name) => name !== "error_description")
  const challenge = reply.headers["www-authenticate"]
  const about = aboutThem.filter((name) => name in json).map((name) => `${name}=${String(json[name])}`)
  const isGiven = "content-type" in reply.headers && names.length > 0 && status < 300
  return {
    status,
    ...("error" in json ? { error: json["error"] } : {}),
    ...(names.length > 0 ? { members: names.sort() } : {}),
    ...("token_type" in json ? { tokenType: json["token_type"] } : {}),
    ...("scope" in json ? { scope: json["scope"] } : {}),
    ...("active" in json ? { active: json["active"] } : {}),
    ...("expires_in" in json ? { expiresIn: json["expires_in"] } : {}),
    ...(about.length > 0 ? { about } : {}),
    ...("id_token" in json ? { idToken: idTokenOf(json) } : {}),
    ...(isGiven ? { noStore: /no-store/.test(reply.headers["cache-control"] ?? "") } : {}),
    ...(names.length > 0 ? { contentType: (reply.headers["content-type"] ?? "").replace(/ /g, "") } : {}),
    ...(challenge === undefined
      ? {}
      : { challenge: challenge.match(/\w+(?= realm=)|(?<=error=")\w+|algs(?==)/g)?.join(" ") ?? "" })
  }
}

/** A scenario that notes what it sees. */
const scenario = <E>(
  body: (
    step: (name: string, reply: Reply) => void,
    at: (name: string) => string,
    subject: Subject["Service"]
  ) => Effect.Effect<void, E, Subject | HttpClient.HttpClient>
) =>
  Effect.gen(function* () {
    const subject = yield* Subject
    const at = yield* discover(subject.issuer)
    const steps: Array<Step> = []
    yield* body((name, reply) => steps.push([name, see(reply)]), at, subject)
    return steps
  })

const device = Effect.fnUntraced(function* (scope: string) {
  const at = yield* discover((yield* Subject).issuer)
  const asked = yield* post(at("device_authorization_endpoint"), { ...cli, scope })
  const poll = (form: Form = {}) =>
    post(at("token_endpoint"), {
      ...cli,
      grant_type: deviceGrant,
      device_code: String(asked.json["device_code"]),
      ...form
    })
  return { asked, poll }
})

const signIn = Effect.fnUntraced(function* (scope = "openid offline_access profile email") {
  const { asked, poll } = yield* device(scope)
  yield* (yield* Subject).decideDevice(asked, "approve")
  return yield* poll()
})

const refresh = Effect.fnUntraced(function* (token: unknown, form: Form = {}, headers: Form = {}) {
  const at = yield* discover((yield* Subject).issuer)
  return yield* post(
    at("token_endpoint"),
    { ...cli, grant_type: "refresh_token", refresh_token: String(token), ...form },
    headers
  )
})

const hash = (text: string) =>
  Effect.promise(async () =>
    Base64Url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))))
  )
const verifier = "v".repeat(43)

const authorize = Effect.fnUntraced(function* (form: Form, decision: "approve" | "deny" = "approve") {
  const subject = yield* Subject
  const at = yield* discover(subject.issuer)
  const params = {
    client_id: cli.client_id,
    response_type: "code",
    redirect_uri,
    scope: "openid offline_access",
    prompt: "consent",
    state: "abc",
    code_challenge: yield* hash(verifier),
    code_challenge_method: "S256",
    ...form
  }
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== ""))
  const end = yield* subject.open(`${at("authorization_endpoint")}?${query}`, decision)
  return arrived(end)
})

/** Coming back to the client is seen like an answer: what it was told are the members. */
const arrived = (end: URL | number): Reply =>
  typeof end === "number" ? { status: end, headers: {}, json: {} } : { status: 303, headers: {}, json: backOf(end) }

const backOf = (url: URL) => Object.fromEntries([...url.searchParams, ...new URLSearchParams(url.hash.slice(1))])

const redeem = Effect.fnUntraced(function* (back: Reply, form: Form = {}, headers: Form = {}) {
  const at = yield* discover((yield* Subject).issuer)
  return yield* post(
    at("token_endpoint"),
    {
      ...cli,
      grant_type: "authorization_code",
      code: String(back.json["code"]),
      redirect_uri,
      code_verifier: verifier,
      ...form
    },
    headers
  )
})

const signed = Effect.fnUntraced(function* (claims: JWTPayload, header: object = {}) {
  const { privateKey } = yield* key
  const iat = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  return yield* Effect.promise(() =>
    new SignJWT({ iat, exp: iat + 60, ...claims })
      .setProtectedHeader({ alg: "ES256", kid: "k", ...header })
      .sign(privateKey)
  )
})

export const scenarios: Readonly<Record<string, Scenario>> = {
  "discovery and keys": scenario(
    Effect.fnUntraced(function* (step, at, { issuer }) {
      step("metadata", yield* get(`${issuer}/.well-known/openid-configuration`))
      step("RFC 8414 metadata", yield* get(`${issuer}/.well-known/oauth-authorization-server`))
      step("keys", yield* get(at("jwks_uri")))
      step("no such path", yield* get(`${issuer}/no-such-path`))
    })
  ),

  "device login": scenario(
    Effect.fnUntraced(function* (step, at, { decideDevice }) {
      const { asked, poll } = yield* device("openid offline_access profile")
      step("authorization", asked)
      step("pending", yield* poll())
      step("another client", yield* poll(other))
      yield* decideDevice(asked, "approve")
      const tokens = yield* poll()
      step("approved", tokens)
      step("userinfo", yield* get(at("userinfo_endpoint"), bearer(tokens.json["access_token"])))
      step("code again", yield* poll())
      step("tokens of a code used twice", yield* get(at("userinfo_endpoint"), bearer(tokens.json["access_token"])))
      step("unknown code", yield* poll({ device_code: "unknown" }))
      step("no code", yield* poll({ device_code: "" }))
      const denied = yield* device("openid")
      yield* decideDevice(denied.asked, "deny")
      step("denied", yield* denied.poll())
      step("denied, asked again", yield* denied.poll())
      const unknown = yield* post(at("device_authorization_endpoint"), { client_id: "nobody" })
      step("unknown client", unknown)
      const machine = yield* post(at("device_authorization_endpoint"), {}, basic(clients.billing))
      step("client without this grant", machine)
    })
  ),

  "refresh with rotation and reuse": scenario(
    Effect.fnUntraced(function* (step, at) {
      const first = yield* signIn()
      const second = yield* refresh(first.json["refresh_token"])
      step("first refresh", second)
      step("wider scope", yield* refresh(second.json["refresh_token"], { scope: "openid api:write" }))
      const third = yield* refresh(second.json["refresh_token"], { scope: "openid" })
      step("narrower scope", third)
      step("back to all", yield* refresh(third.json["refresh_token"]))
      step("spent token", yield* refresh(first.json["refresh_token"]))
      step("the family's access token", yield* get(at("userinfo_endpoint"), bearer(third.json["access_token"])))
      step("unknown token", yield* refresh("unknown"))
      step("no token", yield* refresh(""))
      const mine = yield* signIn()
      step("another client", yield* refresh(mine.json["refresh_token"], other))
      step("its own client then", yield* refresh(mine.json["refresh_token"]))
      step("client without this grant", yield* refresh("unknown", { client_id: "" }, basic(clients.billing)))
    })
  ),

  "a sign-in without offline access": scenario(
    Effect.fnUntraced(function* (step, at) {
      const tokens = yield* signIn("openid email")
      step("tokens", tokens)
      step("userinfo", yield* get(at("userinfo_endpoint"), bearer(tokens.json["access_token"])))
    })
  ),

  "client authentication": scenario(
    Effect.fnUntraced(function* (step, at) {
      const token = at("token_endpoint")
      const form = { grant_type: "client_credentials", scope: "api:read" }
      const { client_id, client_secret } = clients.billingPost
      step("basic", yield* post(token, form, basic(clients.billing)))
      step("post", yield* post(token, { ...form, client_id, client_secret }))
      step("registered for post, uses basic", yield* post(token, form, basic(clients.billingPost)))
      step("wrong secret, basic", yield* post(token, form, basic({ ...clients.billing, client_secret: "no" })))
      step("wrong secret, post", yield* post(token, { ...form, client_id, client_secret: "no" }))
      step("no secret", yield* post(token, { ...form, client_id }))
      step("unknown client", yield* post(token, { ...form, client_id: "nobody", client_secret: "no" }))
      step("public client with a secret", yield* post(token, { ...form, ...cli, client_secret: "no" }))
      step("nobody", yield* post(token, form))
      step("two mechanisms", yield* post(token, { ...form, client_id, client_secret }, basic(clients.billing)))
      step("not base64", yield* post(token, form, { authorization: "Basic ???" }))
      step("other scheme", yield* post(token, form, { authorization: "Bearer abc" }))
      step("two client ids", yield* post(token, { ...form, client_id }, basic(clients.billing)))
      step("no grant type", yield* post(token, {}, basic(clients.billing)))
      step("unknown grant type", yield* post(token, { grant_type: "unheard-of" }, basic(clients.billing)))
      step("client without this grant", yield* post(token, { ...form, ...cli }))
      step("a parameter twice", yield* post(token, [...Object.entries(form), ["scope", "x"]], basic(clients.billing)))
      step("unknown scope", yield* post(token, { ...form, scope: "api:read unheard-of" }, basic(clients.billing)))
      step(
        "scopes of a person",
        yield* post(token, { ...form, scope: "openid offline_access" }, basic(clients.billing))
      )
      step("GET", yield* get(token))
      step("JSON", yield* postJson(token, form))
    })
  ),

  "client authentication by a signed JWT": scenario(
    Effect.fnUntraced(function* (step, at, { issuer }) {
      const ask = Effect.fnUntraced(function* (client_assertion: string, form: Form = {}) {
        return yield* post(at("token_endpoint"), {
          grant_type: "client_credentials",
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion,
          ...form
        })
      })
      const claims = { iss: "by-key", sub: "by-key", aud: issuer }
      const good = yield* signed({ ...claims, jti: crypto.randomUUID() })
      step("good", yield* ask(good))
      step("again", yield* ask(good))
      step("other audience", yield* ask(yield* signed({ ...claims, aud: "https://else.example", jti: "a" })))
      step("no id", yield* ask(yield* signed(claims)))
      step("expired", yield* ask(yield* signed({ ...claims, jti: "b", exp: 1 })))
      step("other signature", yield* ask(`${yield* signed({ ...claims, jti: "c" })}x`))
      step("no type", yield* ask(yield* signed({ ...claims, jti: "d" }), { client_assertion_type: "" }))
      const { privateKey } = yield* key
      const endless = yield* Effect.promise(() =>
        new SignJWT({ ...claims, jti: "i" }).setProtectedHeader({ alg: "ES256", kid: "k" }).sign(privateKey)
      )
      step("no end", yield* ask(endless))
      step("not a JWT", yield* ask("abc"))
      step("for the token endpoint", yield* ask(yield* signed({ ...claims, aud: at("token_endpoint"), jti: "e" })))
      step("from another", yield* ask(yield* signed({ ...claims, iss: "web", jti: "f" })))
      step("about another", yield* ask(yield* signed({ ...claims, sub: "web", jti: "g" })))
      step("another id beside it", yield* ask(yield* signed({ ...claims, jti: "h" }), { client_id: "web" }))
    })
  ),

  userinfo: scenario(
    Effect.fnUntraced(function* (step, at) {
      const url = at("userinfo_endpoint")
      const { json } = yield* signIn()
      step("good", yield* get(url, bearer(json["access_token"])))
      step("good, by POST", yield* post(url, {}, bearer(json["access_token"])))
      step("no token", yield* get(url))
      step("bad token", yield* get(url, bearer("bad")))
      step("nothing behind the scheme", yield* get(url, { authorization: "Bearer" }))
      step("another scheme", yield* get(url, basic(clients.billing)))
      const narrow = yield* refresh(json["refresh_token"], { scope: "offline_access" })
      step("without openid", yield* get(url, bearer(narrow.json["access_token"])))
    })
  ),

  introspection: scenario(
    Effect.fnUntraced(function* (step, at) {
      const { json } = yield* signIn()
      const ask = (token: unknown, form: Form = cli, headers: Form = {}) =>
        post(at("introspection_endpoint"), { ...form, token: String(token) }, headers)
      step("access token", yield* ask(json["access_token"]))
      step("refresh token", yield* ask(json["refresh_token"]))
      step("by a confidential client", yield* ask(json["access_token"], {}, basic(clients.billing)))
      step("by another public client", yield* ask(json["access_token"], other))
      step("refresh token, by that one", yield* ask(json["refresh_token"], other))
      step("unknown", yield* ask("unknown"))
      step("none", yield* ask(""))
      yield* refresh(json["refresh_token"])
      step("spent refresh token", yield* ask(json["refresh_token"]))
      yield* post(at("revocation_endpoint"), { ...cli, token: String(json["access_token"]) })
      step("revoked access token", yield* ask(json["access_token"]))
    })
  ),

  revocation: scenario(
    Effect.fnUntraced(function* (step, at) {
      const revoke = (token: unknown, form: Form = cli) =>
        post(at("revocation_endpoint"), { ...form, token: String(token) })
      const userinfo = (token: unknown) => get(at("userinfo_endpoint"), bearer(token))
      const first = yield* signIn()
      step("another client's token", yield* revoke(first.json["access_token"], other))
      step("still good", yield* userinfo(first.json["access_token"]))
      step("refresh token", yield* revoke(first.json["refresh_token"]))
      step("its access token", yield* userinfo(first.json["access_token"]))
      step("its use", yield* refresh(first.json["refresh_token"]))
      const second = yield* signIn()
      step("access token", yield* revoke(second.json["access_token"]))
      step("its refresh token", yield* refresh(second.json["refresh_token"]))
      step("unknown", yield* revoke("unknown"))
      step("none", yield* revoke(""))
      step("unknown client", yield* revoke("unknown", { client_id: "nobody" }))
    })
  ),

  "authorization code": scenario(
    Effect.fnUntraced(function* (step, at) {
      const back = yield* authorize({})
      step("approved", back)
      step("wrong verifier", yield* redeem(back, { code_verifier: "w".repeat(43) }))
      step("no verifier", yield* redeem(back, { code_verifier: "" }))
      step("short verifier", yield* redeem(back, { code_verifier: "short" }))
      step("no redirect URI", yield* redeem(back, { redirect_uri: "" }))
      step("other redirect URI", yield* redeem(back, { redirect_uri: "http://127.0.0.1/callback" }))
      step("another client", yield* redeem(back, other))
      const tokens = yield* redeem(back)
      step("tokens", tokens)
      step("code again", yield* redeem(back))
      step("its refresh token then", yield* refresh(tokens.json["refresh_token"]))
      step("its access token then", yield* get(at("userinfo_endpoint"), bearer(tokens.json["access_token"])))
      step("unknown code", yield* redeem({ ...back, json: { code: "unknown" } }))
      step("denied", yield* authorize({}, "deny"))
      step("in the fragment", yield* authorize({ response_mode: "fragment" }))
      step("denied in the fragment", yield* authorize({ response_mode: "fragment" }, "deny"))
      step("with what was asked for", yield* redeem(yield* authorize({ nonce: "n-1", max_age: "600" })))
      const again = yield* redeem(yield* authorize({ nonce: "n-2" }))
      step("nonce in a renewed ID token", yield* refresh(again.json["refresh_token"]))
      step("for another algorithm", yield* redeem(yield* authorize(other), other))
      const unasked = yield* authorize({ prompt: "" })
      step("offline access without consent", yield* redeem(unasked))
      const web = {
        client_id: "web",
        redirect_uri: "https://app.example/callback",
        code_challenge: "",
        code_challenge_method: ""
      }
      const confidential = yield* authorize(web)
      step("confidential client without PKCE", confidential)
      const { redirect_uri } = web
      const secret = basic(secretClient)
      const answer = yield* redeem(confidential, { client_id: "web", redirect_uri, code_verifier: "" }, secret)
      step("its tokens", answer)
      const unproven = yield* authorize(web)
      step("a verifier nobody announced", yield* redeem(unproven, { client_id: "web", redirect_uri }, secret))
      step("unknown scope", yield* redeem(yield* authorize({ scope: "openid unheard-of" })))
    })
  ),

  "authorization requests that are wrong": scenario(
    Effect.fnUntraced(function* (step) {
      step("response type", yield* authorize({ response_type: "token" }))
      step("no response type", yield* authorize({ response_type: "" }))
      step("unknown response mode", yield* authorize({ response_mode: "smoke" }))
      step("wrong in the fragment", yield* authorize({ response_mode: "fragment", code_challenge: "short" }))
      step("no PKCE", yield* authorize({ code_challenge: "", code_challenge_method: "" }))
      step("plain PKCE", yield* authorize({ code_challenge_method: "plain" }))
      step("short challenge", yield* authorize({ code_challenge: "short" }))
      step("prompt none", yield* authorize({ prompt: "none" }))
      step("prompt none and another", yield* authorize({ prompt: "none login" }))
      step("unknown prompt", yield* authorize({ prompt: "consnet" }))
      step("scope that is none", yield* authorize({ scope: 'openid "email"' }))
      step("request object", yield* authorize({ request: "e30.e30." }))
      step("max_age is no number", yield* authorize({ max_age: "soon" }))
      step("unknown client", yield* authorize({ client_id: "nobody" }))
      step("no client", yield* authorize({ client_id: "" }))
      step("unregistered redirect URI", yield* authorize({ redirect_uri: "https://evil.example/" }))
      step(
        "more than the registered redirect URI",
        yield* authorize({ redirect_uri: "http://127.0.0.1/callback/more" })
      )
      step("a query behind it", yield* authorize({ redirect_uri: `${redirect_uri}?more` }))
      step("another name of this machine", yield* authorize({ redirect_uri: "http://127.0.0.2/callback" }))
      const web = { client_id: "web", redirect_uri: "https://app.example:8443/callback" }
      step("another port, no native client", yield* authorize(web))
      step("no redirect URI", yield* authorize({ redirect_uri: "" }))
      step("unknown request_uri", yield* authorize({ request_uri: "urn:ietf:params:oauth:request_uri:unknown" }))
    })
  ),

  "pushed authorization": scenario(
    Effect.fnUntraced(function* (step, at, { open }) {
      const url = at("pushed_authorization_request_endpoint")
      const form = {
        ...cli,
        response_type: "code",
        redirect_uri,
        scope: "openid",
        code_challenge: yield* hash(verifier),
        code_challenge_method: "S256"
      }
      const pushed = yield* post(url, form)
      step("pushed", pushed)
      const request_uri = String(pushed.json["request_uri"])
      const query = new URLSearchParams({ ...cli, request_uri })
      const end = yield* open(`${at("authorization_endpoint")}?${query}`, "approve")
      step("tokens", yield* redeem(arrived(end)))
      step("twice", arrived(yield* open(`${at("authorization_endpoint")}?${query}`, "approve")))
      const mine = yield* post(url, form)
      const stolen = new URLSearchParams({ ...other, request_uri: String(mine.json["request_uri"]) })
      step("by another client", arrived(yield* open(`${at("authorization_endpoint")}?${stolen}`, "approve")))
      step("not pushed where it must be", yield* authorize({ client_id: "pushing" }))
      const must = yield* post(url, { ...form, client_id: "pushing" })
      step("pushed where it must be", must)
      step("pushed by reference", yield* post(url, { ...form, request_uri }))
      step("unregistered redirect URI", yield* post(url, { ...form, redirect_uri: "https://evil.example/" }))
      step("no PKCE", yield* post(url, { ...form, code_challenge: "", code_challenge_method: "" }))
      step("response type", yield* post(url, { ...form, response_type: "token" }))
      step("unknown client", yield* post(url, { ...form, client_id: "nobody" }))
      const { client_id: _, ...nameless } = { ...form, redirect_uri: "https://app.example/callback" }
      const silent = yield* post(url, { ...form, prompt: "none" })
      step("prompt none is pushed", silent)
      const reference = new URLSearchParams({ ...cli, request_uri: String(silent.json["request_uri"]) })
      const refused = yield* open(`${at("authorization_endpoint")}?${reference}`, "approve")
      step("and refused", { status: 303, headers: {}, json: refused instanceof URL ? backOf(refused) : {} })
      step("its client is in the header alone", yield* post(url, nameless, basic(secretClient)))
    })
  ),

  DPoP: scenario(
    Effect.fnUntraced(function* (step, at, { open }) {
      const { jwk, privateKey } = yield* key
      const { crv, kty, x, y } = jwk
      const header = { typ: "dpop+jwt", jwk: { crv, kty, x, y } }
      const prove = (htm: string, htu: string, claims: JWTPayload = {}) =>
        signed({ htm, htu, jti: crypto.randomUUID(), ...claims }, header)
      const token = at("token_endpoint")
      const bound = { client_id: "bound" }
      const back = yield* authorize(bound)
      step("no proof", yield* redeem(back, bound))
      step("other method", yield* redeem(back, bound, { dpop: yield* prove("GET", token) }))
      step("other address", yield* redeem(back, bound, { dpop: yield* prove("POST", `${token}/else`) }))
      step("broken", yield* redeem(back, bound, { dpop: "abc" }))
      step("old", yield* redeem(back, bound, { dpop: yield* prove("POST", token, { iat: 1 }) }))
      step("no id", yield* redeem(back, bound, { dpop: yield* signed({ htm: "POST", htu: token }, header) }))
      const proof = { htm: "POST", htu: token, jti: "j" }
      const untyped = yield* signed(proof, { jwk: header.jwk })
      step("no proof by its type", yield* redeem(back, bound, { dpop: untyped }))
      const d = yield* Effect.promise(async () => (await exportJWK(privateKey)).d)
      const careless = yield* signed(proof, { ...header, jwk: { ...header.jwk, d } })
      step("with its private key", yield* redeem(back, bound, { dpop: careless }))
      const proven = { dpop: yield* prove("POST", token) }
      const tokens = yield* redeem(back, bound, proven)
      step("tokens", tokens)
      step("the same proof again", yield* redeem(yield* authorize(bound), bound, proven))
      const access = String(tokens.json["access_token"])
      const userinfo = at("userinfo_endpoint")
      const pushing = at("pushed_authorization_request_endpoint")
      const pushed = yield* post(
        pushing,
        {
          ...bound,
          response_type: "code",
          redirect_uri,
          scope: "openid",
          code_challenge: yield* hash(verifier),
          code_challenge_method: "S256"
        },
        { dpop: yield* prove("POST", pushing) }
      )
      step("pushed with a proof", pushed)
      const reference = new URLSearchParams({ ...bound, request_uri: String(pushed.json["request_uri"]) })
      const end = yield* open(`${at("authorization_endpoint")}?${reference}`, "approve")
      const stolen = arrived(end)
      const elsewhere = yield* Effect.promise(() => generateKeyPair("ES256", { extractable: true }))
      const thief = (htm: string, htu: string, claims: JWTPayload = {}) =>
        Effect.promise(async () =>
          new SignJWT({ htm, htu, jti: crypto.randomUUID(), ...claims })
            .setIssuedAt()
            .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk: await exportJWK(elsewhere.publicKey) })
            .sign(elsewhere.privateKey)
        )
      step("its code with another key", yield* redeem(stolen, bound, { dpop: yield* thief("POST", token) }))
      step("as bearer", yield* get(userinfo, bearer(access)))
      const call = Effect.fnUntraced(function* (claims: JWTPayload) {
        return yield* get(userinfo, {
          authorization: `DPoP ${access}`,
          dpop: yield* prove("GET", userinfo, claims)
        })
      })
      step("userinfo", yield* call({ ath: yield* hash(access) }))
      step("proof about another token", yield* call({ ath: yield* hash("other") }))
      step("userinfo without proof", yield* get(userinfo, { authorization: `DPoP ${access}` }))
      const foreign = yield* thief("GET", userinfo, { ath: yield* hash(access) })
      step("another key's proof", yield* get(userinfo, { authorization: `DPoP ${access}`, dpop: foreign }))
      const once = {
        authorization: `DPoP ${access}`,
        dpop: yield* prove("GET", userinfo, { ath: yield* hash(access) })
      }
      yield* get(userinfo, once)
      step("the same proof again at userinfo", yield* get(userinfo, once))
      step("introspection", yield* post(at("introspection_endpoint"), { ...bound, token: access }))
      const free = yield* signIn()
      const unbound = String(free.json["access_token"])
      const scheme = {
        authorization: `DPoP ${unbound}`,
        dpop: yield* prove("GET", userinfo, { ath: yield* hash(unbound) })
      }
      step("a bearer token by this scheme", yield* get(userinfo, scheme))
      step("a client that need not", yield* redeem(yield* authorize({}), {}, { dpop: yield* prove("POST", token) }))
      const spend = (headers: Form) => refresh(tokens.json["refresh_token"], bound, headers)
      step("refresh without proof", yield* spend({}))
      step("refresh with another key", yield* spend({ dpop: yield* thief("POST", token) }))
      step("refresh", yield* spend({ dpop: yield* prove("POST", token) }))
    })
  ),

  "tokens for an API": scenario(
    Effect.fnUntraced(function* (step, at, { issuer }) {
      const api = `${issuer}/api`
      const token = at("token_endpoint")
      const ask = (...resources: ReadonlyArray<string>) =>
        post(
          token,
          [
            ["grant_type", "client_credentials"],
            ...resources.map((one): readonly [string, string] => ["resource", one])
          ],
          basic(clients.billing)
        )
      step("one", yield* ask(api))
      step("two", yield* ask(api, `${api}/other`))
      step("no address", yield* ask("api"))
      step("with a fragment", yield* ask(`${api}#part`))
      const back = yield* authorize({ resource: api, scope: "openid offline_access api:read" })
      step("approved", back)
      const tokens = yield* redeem(back, { resource: api })
      step("tokens", tokens)
      step("userinfo", yield* get(at("userinfo_endpoint"), bearer(tokens.json["access_token"])))
      const renewed = yield* refresh(tokens.json["refresh_token"], { resource: api })
      step("refresh", renewed)
      step("another one for its refresh", yield* refresh(renewed.json["refresh_token"], { resource: `${api}/other` }))
      const again = yield* authorize({ resource: api })
      step("another one for its code", yield* redeem(again, { resource: `${api}/other` }))
    })
  ),

  "end of session": scenario(
    Effect.fnUntraced(function* (step, at) {
      const url = at("end_session_endpoint")
      const ask = (form: Form) => get(`${url}?${new URLSearchParams(form)}`)
      step("bad hint", yield* ask({ id_token_hint: "bad" }))
      step("unknown client", yield* ask({ client_id: "nobody" }))
      step("unregistered return", yield* ask({ ...cli, post_logout_redirect_uri: "https://evil.example/" }))
      const { json } = yield* signIn()
      const hint = { id_token_hint: String(json["id_token"]) }
      step("another client's hint", yield* ask({ ...hint, ...other }))
      step(
        "unregistered return, with a hint",
        yield* ask({ ...hint, post_logout_redirect_uri: "https://evil.example/" })
      )
    })
  )
}
