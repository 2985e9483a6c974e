/**
 * One answer, two clients: what Keyfob and `oauth4webapi` make of 1,300 token answers, discovery documents and callbacks, good
 * ones and such as chance has spoiled. Where they differ, the difference is listed with its reason, and no other may be.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Base64Url } from "effect/encoding"
import { HttpClient, HttpClientResponse } from "effect/http"
import { CompactSign, exportJWK, generateKeyPair } from "jose"
import { AuthorizationCode, Login, OAuthClient } from "keyfob"
import * as oauth from "oauth4webapi"
import * as Chance from "../src/model/Chance.ts"

const issuer = "https://id.example"
const redirectUri = "https://rp.example/callback"
const clientId = "rp"
const metadata = {
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/jwks`,
  code_challenge_methods_supported: ["S256"],
  id_token_signing_alg_values_supported: ["ES256"]
}

/** What is wrong with an answer: each part replaces what stands there, `undefined` leaves it out. */
interface Spoilt {
  readonly name: string
  readonly members?: Readonly<Record<string, unknown>>
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  readonly status?: number
  readonly type?: string
  readonly body?: string
  readonly signature?: "broken" | "foreign" | "none"
}

const each = (
  part: "members" | "claims" | "header",
  name: string,
  values: ReadonlyArray<unknown>
): ReadonlyArray<Spoilt> =>
  values.map((value) => ({ name: `${name}: ${JSON.stringify(value) ?? "missing"}`, [part]: { [name]: value } }))

const anything: ReadonlyArray<Spoilt> = [
  { name: "status 201", status: 201 },
  { name: "status 302", status: 302 },
  { name: "status 404", status: 404 },
  { name: "content type text/html", type: "text/html" },
  { name: "content type of a JWK set", type: "application/jwk-set+json" },
  { name: "content type with a charset", type: "application/json; charset=utf-8" },
  { name: "body: no JSON", body: "{" },
  { name: "body: a list", body: "[]" },
  { name: "body: null", body: "null" },
  { name: "body: nothing", body: "" },
  ...each("members", "something_new", [{ a: [1] }])
]

const now = Math.floor(Date.now() / 1000)
const day = 86_400

const tokenAnswers: ReadonlyArray<Spoilt> = [
  ...anything,
  ...each("members", "access_token", [undefined, "", 7, null, "tökèn", "a b"]),
  ...each("members", "token_type", [undefined, "", 7, null, "bearer", "BEARER", "mac", "DPoP", "N_A"]),
  ...each("members", "expires_in", [undefined, null, 0, -1, 1.5, 1e20, "3600", "soon", "12 days", {}]),
  ...each("members", "scope", [undefined, null, "", 7, ["openid"], "openid", "openid more"]),
  ...each("members", "refresh_token", [undefined, null, "", 7, "r"]),
  ...each("members", "id_token", [undefined, null, "", 7, "a.b.c", "e30.e30.e30", "a.b.c.d.e"]),
  ...each("members", "error", ["invalid_grant", 7]),
  ...each("claims", "iss", [undefined, "https://attacker.example", `${issuer}/`, 7]),
  ...each("claims", "aud", [undefined, "another", [clientId], [clientId, "another"], [], 7]),
  ...each("claims", "azp", [clientId, "another", 7]),
  ...each("claims", "sub", [undefined, "", 7, null]),
  ...each("claims", "exp", [undefined, String(now + day), null, 1e15]),
  { name: "exp: a day ago", claims: { exp: now - day } },
  ...each("claims", "iat", [undefined, String(now), null]),
  { name: "iat: in a day", claims: { iat: now + day } },
  { name: "iat: a year ago", claims: { iat: now - 365 * day } },
  ...each("claims", "nbf", [String(now)]),
  { name: "nbf: a day ago", claims: { nbf: now - day } },
  { name: "nbf: in a day", claims: { nbf: now + day } },
  ...each("claims", "nonce", [undefined, "of another login", 7]),
  ...each("claims", "auth_time", [1, -1, "today"]),
  ...each("claims", "at_hash", ["AAAAAAAAAAAAAAAAAAAAAA"]),
  ...each("header", "kid", [undefined, "foreign"]),
  ...each("header", "typ", ["JWT", "at+jwt"]),
  { name: "crit", header: { crit: ["exp"], exp: 1 } },
  { name: "signature: none", signature: "none" },
  { name: "signature: broken", signature: "broken" },
  { name: "signature: another key's", signature: "foreign" }
]

const documents: ReadonlyArray<Spoilt> = [
  ...anything,
  ...each("members", "issuer", [undefined, null, 7, "", "id.example", "https://attacker.example", `${issuer}/`]),
  ...each("members", "issuer", [`${issuer}?a=1`, `${issuer}#a`, "https://ID.example", `${issuer}:443`]),
  ...["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"].flatMap((name) =>
    each("members", name, [undefined, null, 7, "", "no address", "http://id.example/x", "https://localhost/x"])
  ),
  ...each("members", "authorization_endpoint", ["https://u:p@id.example/x", "javascript:alert(1)", `${issuer}/x#y`]),
  ...each("members", "code_challenge_methods_supported", [undefined, null, ["plain"], "S256", [7]]),
  ...each("members", "grant_types_supported", [[], ["implicit"], "authorization_code"]),
  ...each("members", "require_pushed_authorization_requests", ["true", 7, null]),
  ...each("members", "mtls_endpoint_aliases", [{}, null, 7, { token_endpoint: "http://id.example/x" }])
]

/** In place of the state that was sent, which each login draws anew. */
const STATE = "STATE"

/** A list is a parameter that comes more than once. */
const callbacks: ReadonlyArray<Spoilt> = [
  ...each("members", "code", [undefined, "", "a b", "c+/=", ["c", "c"], ["c", "d"]]),
  ...each("members", "state", [undefined, "", "another", `${STATE}x`, ` ${STATE}`, [STATE, STATE], [STATE, "another"]]),
  ...each("members", "iss", [undefined, "", `${issuer}/`, "https://attacker.example", "HTTPS://ID.EXAMPLE"]),
  ...each("members", "iss", [
    [issuer, issuer],
    [issuer, "https://attacker.example"]
  ]),
  ...each("members", "error", ["access_denied", "server_error", "Ünknown", "", ["access_denied", "server_error"]]),
  ...each("members", "error_description", ["why", ["why", "why"]]),
  ...each("members", "access_token", ["t", ""]),
  ...each("members", "id_token", ["t", "a.b.c", ""]),
  ...each("members", "response", ["a.b.c", ""]),
  ...each("members", "token_type", ["Bearer"]),
  ...each("members", "session_state", ["s", ["s", "s"]]),
  ...each("members", "scope", ["openid"]),
  ...each("members", "something_new", ["x", ["x", "y"]])
]

type Verdict = "accepted" | "refused"

const noJson = ["refused", /^content type text\/html$/, "not JSON by its own word"] as const

/** Where Keyfob says otherwise than `oauth4webapi`: what Keyfob says, to what, and why. */
const differences: Readonly<
  Record<"token" | "discovery" | "callback", ReadonlyArray<readonly [Verdict, RegExp, string]>>
> = {
  token: [
    noJson,
    ["accepted", /^status 201$/, "any 2xx is a success"],
    ["accepted", /^token_type: (missing|null|"")$/, "some servers leave it out, and only a bearer token was asked for"],
    ["accepted", /^((expires_in|scope|refresh_token): null|refresh_token: "")$/, "stands for none at some servers"],
    ["accepted", /^auth_time: (-1|"today")$/, "it is read where max_age asks for it"],
    ["refused", /^access_token: "tökèn"$/, "RFC 6749 appendix A.12: printable ASCII"],
    ["refused", /^token_type: "DPoP"$/, "no key was proven, so it can be bound to none of ours"],
    ["refused", /^expires_in: "12 days"$/, "digits that a string begins with are no number of seconds"],
    ["refused", /^error: "invalid_grant"$/, "an error with status 200 is one all the same"],
    ["refused", /^azp: ("another"|7)$/, "OpenID Connect Core section 3.1.3.7: where there is one, it is the client"],
    ["refused", /^sub: ""$/, "names nobody"],
    ["refused", /^iat: in a day$/, "no clock is that wrong"],
    ["refused", /^at_hash: /, "OpenID Connect Core section 3.1.3.8: where there is one, it has to fit"]
  ],
  discovery: [
    noJson,
    ["refused", /^issuer: "https:\/\/(ID\.example|id\.example:443)"$/, "RFC 8414 section 3.3: character for character"],
    ["refused", /_(endpoint|uri): (7|"[^]*")$/, "oauth4webapi judges an address when it uses it"],
    ["refused", /_supported: ("\w+"|\[7\])$/, "oauth4webapi does not read it"],
    ["refused", /^mtls_endpoint_aliases: (7|\{"token.*)$/, "oauth4webapi judges an address when it uses it"]
  ],
  callback: [
    [
      "refused",
      /^(error_description|session_state|something_new): \[/,
      "RFC 6749 section 3.1: no parameter comes twice"
    ],
    ["refused", /^(access_token: |response: "")/, "RFC 9700 section 2.1.2: it was not asked for"],
    ["refused", /^error: ""$/, "an error without a name is one"],
    ["refused", /^iss: ""$/, "RFC 9207 section 2.4: where there is one, it is the issuer"]
  ]
}

/** `count` answers: a tenth of them good, the others with one thing wrong with them, or two. */
const drawn = (seed: string, count: number, kinds: ReadonlyArray<Spoilt>): ReadonlyArray<ReadonlyArray<Spoilt>> => {
  let chance = Chance.seeded(seed)
  const draw = (below: number) => {
    const [value, after] = Chance.below(chance, below)
    chance = after
    return value
  }
  return Array.from({ length: count }, (_, index) => {
    // Everything comes once alone.
    const alone = kinds[index]
    if (alone !== undefined) return [alone]
    const wrong = [0, 1, 1, 1, 2, 2, 2, 2, 2, 2][draw(10)] ?? 0
    return Array.from({ length: wrong }, () => kinds[draw(kinds.length)]).filter((kind) => kind !== undefined)
  })
}

const merged = (base: object, spoilt: ReadonlyArray<Spoilt>, part: "members" | "claims" | "header") =>
  Object.assign({}, base, ...spoilt.map((one) => one[part] ?? {})) as Record<string, unknown> // what it is made of

const answerOf = (json: object, spoilt: ReadonlyArray<Spoilt>) => {
  const last = <A>(of: (one: Spoilt) => A | undefined) => spoilt.map(of).findLast((value) => value !== undefined)
  const body = last(({ body }) => body) ?? JSON.stringify(json)
  const init = {
    status: last(({ status }) => status) ?? 200,
    headers: { "content-type": last(({ type }) => type) ?? "application/json" }
  }
  return () => new Response(body, init)
}

/** A network on which every address answers by script. */
const network = (answers: Record<string, () => Response>) =>
  Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request, { href }) =>
      Effect.sync(() =>
        HttpClientResponse.fromWeb(request, (answers[href] ?? (() => new Response(null, { status: 404 })))())
      )
    )
  )

const verdictOf = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.match(program, { onSuccess: (): Verdict => "accepted", onFailure: (): Verdict => "refused" })
const theirs = (program: () => Promise<unknown>) => verdictOf(Effect.tryPromise(program))

interface Judged {
  readonly spoilt: ReadonlyArray<Spoilt>
  readonly ours: Verdict
  readonly theirs: Verdict
}

const checkDifferences = (kind: keyof typeof differences, judged: ReadonlyArray<Judged>) => {
  const listed = ({ spoilt }: Judged) =>
    differences[kind].filter(([, what]) => spoilt.some(({ name }) => what.test(name)))
  const isExplained = (one: Judged) => listed(one).some(([verdict]) => verdict === one.ours)
  const said = ({ ours, spoilt }: Judged) => `${ours}: ${spoilt.map(({ name }) => name).join(" and ")}`
  const differs = ({ ours, theirs }: Judged) => ours !== theirs
  const unlisted = judged.filter((one) => differs(one) && !isExplained(one))
  assert.deepStrictEqual(unlisted.map(said), [], "a difference that is not listed")
  // Alone, and with whichever provider.
  const alone = judged.filter((one) => one.spoilt.length === 1 && listed(one).length > 0)
  const idle = alone.filter((one) => !alone.some((other) => other.spoilt[0] === one.spoilt[0] && differs(other)))
  assert.deepStrictEqual(idle.map(said), [], "listed, and no difference")
  const accepted = judged.filter(({ ours }) => ours === "accepted").length
  assert.isTrue(
    accepted > judged.length / 10 && accepted < judged.length / 2,
    `${accepted} of ${judged.length} are good`
  )
}

describe("Keyfob and oauth4webapi", () => {
  it.live("say the same of 700 token answers, but for what is listed", () => {
    const answers: Record<string, () => Response> = {}
    return Effect.gen(function* () {
      const [ours, foreign] = yield* Effect.promise(() =>
        Promise.all([generateKeyPair("ES256"), generateKeyPair("ES256")])
      )
      const published = {
        ...(yield* Effect.promise(() => exportJWK(ours.publicKey))),
        kid: "k",
        use: "sig",
        alg: "ES256"
      }
      answers[`${issuer}/.well-known/openid-configuration`] = () => Response.json(metadata)
      answers[metadata.jwks_uri] = () => Response.json({ keys: [published] })

      const rp = yield* OAuthClient.make({ issuer, clientId })
      const flow = AuthorizationCode.make({ issuer, clientId, scopes: ["openid"] })
      const { pending } = yield* flow.begin(rp, redirectUri)
      const nonce = Redacted.value(pending.nonce ?? Redacted.make(""))
      const callback = `${redirectUri}?code=c&state=${Redacted.value(pending.state)}`

      const signed = async (spoilt: ReadonlyArray<Spoilt>) => {
        const good = { iss: issuer, aud: clientId, sub: "alice", exp: now + day, iat: now, nonce }
        const header = merged({ kid: "k" }, spoilt, "header")
        const claims = JSON.stringify(merged(good, spoilt, "claims"))
        const how = spoilt.find(({ signature }) => signature !== undefined)?.signature
        if (how === "none") return `${Base64Url.encode(JSON.stringify({ alg: "none" }))}.${Base64Url.encode(claims)}.`
        const jwt = await new CompactSign(new TextEncoder().encode(claims))
          .setProtectedHeader({ ...header, alg: "ES256" })
          .sign(how === "foreign" ? foreign.privateKey : ours.privateKey, { crit: { exp: true } })
        return how === "broken" ? jwt.replace(/[^.]+$/, "A".repeat(86)) : jwt
      }

      const judged = yield* Effect.forEach(drawn("token answers", 700, tokenAnswers), (spoilt) =>
        Effect.gen(function* () {
          const id_token = yield* Effect.promise(() => signed(spoilt))
          const good = { access_token: "at", token_type: "Bearer", expires_in: 3600, id_token }
          const answer = answerOf(merged(good, spoilt, "members"), spoilt)
          answers[metadata.token_endpoint] = answer
          const complete = { key: flow.key, obtain: () => flow.complete(rp, pending, callback) }
          return {
            spoilt,
            ours: yield* verdictOf(Login.obtain(complete, rp)),
            theirs: yield* theirs(async () => {
              const response = answer()
              await oauth.processAuthorizationCodeResponse(metadata, { client_id: clientId }, response, {
                expectedNonce: nonce,
                requireIdToken: true
              })
              await oauth.validateApplicationLevelSignature(metadata, response, {
                [oauth.customFetch]: async () => Response.json({ keys: [published] })
              })
            })
          }
        })
      )
      checkDifferences("token", judged)
    }).pipe(Effect.provide(network(answers)))
  })

  it.live("say the same of 300 callbacks, of a provider that promises iss and one that does not", () => {
    const answers: Record<string, () => Response> = {}
    return Effect.gen(function* () {
      const judged = yield* Effect.forEach(drawn("callbacks", 300, callbacks), (spoilt, index) =>
        Effect.gen(function* () {
          const server = { ...metadata, authorization_response_iss_parameter_supported: index % 2 === 0 }
          answers[`${issuer}/.well-known/openid-configuration`] = () => Response.json(server)
          // Whatever comes after the callback is good, and without an ID token, which is another matter.
          answers[metadata.token_endpoint] = () => Response.json({ access_token: "at", token_type: "Bearer" })
          const rp = yield* OAuthClient.make({ issuer, clientId })
          const flow = AuthorizationCode.make({ issuer, clientId, scopes: ["read"] })
          const { pending } = yield* flow.begin(rp, redirectUri)
          const state = Redacted.value(pending.state)
          const members = merged({ code: "c", state: STATE, iss: issuer }, spoilt, "members")
          const parameters = new URLSearchParams(
            Object.entries(members).flatMap(([name, value]) =>
              [value]
                .flat()
                .filter((one) => one !== undefined)
                .map((one) => [name, String(one).replace(STATE, state)])
            )
          )
          return {
            spoilt,
            ours: yield* verdictOf(flow.complete(rp, pending, `${redirectUri}?${parameters.toString()}`)),
            theirs: yield* theirs(() =>
              oauth.authorizationCodeGrantRequest(
                server,
                { client_id: clientId },
                oauth.None(),
                oauth.validateAuthResponse(server, { client_id: clientId }, parameters, state),
                redirectUri,
                "v".repeat(43),
                { [oauth.customFetch]: async () => Response.json({}) }
              )
            )
          }
        })
      )
      checkDifferences("callback", judged)
    }).pipe(Effect.provide(network(answers)))
  })

  it.live("say the same of 300 discovery documents, but for what is listed", () => {
    const answers: Record<string, () => Response> = {}
    return Effect.gen(function* () {
      const judged = yield* Effect.forEach(drawn("discovery documents", 300, documents), (spoilt) =>
        Effect.gen(function* () {
          const answer = answerOf(merged(metadata, spoilt, "members"), spoilt)
          answers[`${issuer}/.well-known/openid-configuration`] = answer
          return {
            spoilt,
            ours: yield* verdictOf(Effect.flatMap(OAuthClient.make({ issuer, clientId }), ({ metadata }) => metadata)),
            theirs: yield* theirs(() => oauth.processDiscoveryResponse(new URL(issuer), answer()))
          }
        })
      )
      checkDifferences("discovery", judged)
    }).pipe(Effect.provide(network(answers)))
  })
})
