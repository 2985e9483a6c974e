import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Redacted, Result, Schema } from "effect"
import { TestClock } from "effect/testing"
import type { Repeat } from "../../src/protocol/HttpExchange.ts"
import { grant, type Granted } from "../../src/protocol/TokenEndpoint.ts"
import { ClientCertificate, type OAuthClient } from "keyfob"
import {
  answer,
  broken,
  hanging,
  json,
  metadata,
  named,
  openIdLocation,
  refused,
  type Reply,
  status
} from "../scripted.ts"
import { asClient } from "./client.ts"
import { sign } from "./signing.ts"

const good = { access_token: "at", token_type: "Bearer", expires_in: 3600 }

/** Refreshes at a provider whose token endpoint answers so. */
const refresh = (
  replies: Reply | ReadonlyArray<Reply>,
  repeat: Repeat = "spending",
  options: Partial<OAuthClient.ClientOptions> = {}
) => {
  const form = { grant_type: "refresh_token", refresh_token: "rt+ & =" }
  const ask = (client: OAuthClient.OAuthClient) => grant(client, form, { scopes: ["asked"], repeat })
  return asClient({ [metadata.token_endpoint]: replies }, ask, options)
}
const granted = (body: object) => refresh(json(body)).result
const reasonOf = (reply: Reply) => Effect.map(Effect.flip(refresh(reply).result), named)

const shown = ({ idToken, issuedAt, refreshToken, token }: Granted) => ({
  value: Redacted.value(token.value),
  type: token.type,
  scopes: token.scopes,
  issuedAt: DateTime.toEpochMillis(issuedAt),
  expiresAt: token.expiresAt === undefined ? undefined : DateTime.toEpochMillis(token.expiresAt),
  refreshToken: refreshToken === undefined ? undefined : Redacted.value(refreshToken),
  idToken: idToken === undefined ? undefined : Redacted.value(idToken)
})

describe("TokenEndpoint: what is granted", () => {
  it.effect("A-14 A-18 the whole answer, times counted from when it was asked", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000_000)
      const slowly: Reply = (request) =>
        Effect.delay(json({ ...good, refresh_token: "r2", id_token: "id", scope: "a b" })(request), "10 seconds")
      assert.deepStrictEqual(shown(yield* refresh(slowly).result), {
        value: "at",
        type: "Bearer",
        scopes: ["a", "b"],
        issuedAt: 1_000_000,
        expiresAt: 1_000_000 + 3_600_000,
        refreshToken: "r2",
        idToken: "id"
      })
    })
  )

  it.effect.each([
    [{ refresh_expires_in: 1800 }, 1_800_000],
    [{ refresh_token_expires_in: "1800" }, 1_800_000],
    [{ refresh_expires_in: 0 }, undefined],
    [{ refresh_expires_in: "soon", refresh_token_expires_in: 5 }, 5000],
    [{ refresh_expires_in: 5, refresh_token_expires_in: "soon" }, 5000],
    [{ refresh_token_expires_in: null }, undefined],
    [{}, undefined]
  ] as ReadonlyArray<[object, number | undefined]>)(
    "A-14 when a refresh token ends, where the server says so: %j",
    ([said, end]) =>
      Effect.gen(function* () {
        const { refreshExpiresAt } = yield* granted({ ...good, refresh_token: "r2", ...said })
        assert.strictEqual(refreshExpiresAt?.epochMilliseconds, end)
      })
  )

  it.effect("a slow discovery does not count against the token", () =>
    Effect.gen(function* () {
      const slowly: Reply = (request) => Effect.delay(json(metadata)(request), "10 seconds")
      const { result } = asClient(
        { "https://id.example/.well-known/openid-configuration": slowly, [metadata.token_endpoint]: json(good) },
        (client) => grant(client, { grant_type: "client_credentials" }, { scopes: [], repeat: "idempotent" })
      )
      assert.strictEqual(shown(yield* result).issuedAt, 10_000)
    })
  )

  it.effect("A-18 X-16 the form holds the grant, the given token and the client, and no scope", () =>
    Effect.gen(function* () {
      const { result, to } = refresh(json(good))
      yield* result
      const [request] = to(metadata.token_endpoint)
      assert.strictEqual(request?.method, "POST")
      assert.deepStrictEqual(request?.form, { grant_type: "refresh_token", refresh_token: "rt+ & =", client_id: "app" })
      assert.isUndefined(request?.headers["authorization"])
    })
  )

  for (const [changes, expected] of [
    [{ expires_in: "3600" }, 3_600_000],
    [{ expires_in: 0 }, 0],
    [{ expires_in: 1.5 }, 1500],
    [{ expires_in: null }, undefined],
    [{ expires_in: undefined }, undefined]
  ] as const) {
    it.effect(`X-19 tolerated: ${JSON.stringify(changes)}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(shown(yield* granted({ ...good, ...changes })).expiresAt, expected)
      })
    )
  }

  for (const expires_in of [1e10, 1e15, 1e300, Number.MAX_VALUE, "9999999999", 2 ** 63]) {
    it.effect(`X-19 a lifetime beyond all calendars is a long one, not a defect: ${expires_in}`, () =>
      Effect.gen(function* () {
        const end = shown(yield* granted({ ...good, expires_in })).expiresAt
        assert.isAbove(end ?? 0, 10 * 365 * 86_400_000)
        assert.isBelow(end ?? 0, 8.64e15)
      })
    )
  }

  it.effect("a JWT names its own end where the answer does not", () =>
    Effect.gen(function* () {
      const jwt = Redacted.value(yield* sign({ exp: 5000 }))
      assert.strictEqual(shown(yield* granted({ access_token: jwt })).expiresAt, 5_000_000)
      assert.strictEqual(shown(yield* granted({ access_token: jwt, expires_in: 60 })).expiresAt, 60_000)
      const endless = Redacted.value(yield* sign({ exp: 1e300 }))
      assert.strictEqual(shown(yield* granted({ access_token: endless })).expiresAt, 8.64e15)
      for (const exp of [-1, 0, "5000"]) {
        const odd = Redacted.value(yield* sign({ exp }))
        assert.isUndefined(shown(yield* granted({ access_token: odd })).expiresAt)
      }
    })
  )

  for (const token_type of ["bearer", "BEARER", "Bearer", "", null, undefined]) {
    it.effect(`token_type ${JSON.stringify(token_type)} is Bearer`, () =>
      Effect.gen(function* () {
        assert.strictEqual(shown(yield* granted({ ...good, token_type })).type, "Bearer")
      })
    )
  }

  for (const [scope, scopes] of [
    ["a b", ["a", "b"]],
    [" a  b ", ["a", "b"]],
    ["a\u001b[31m \u0007 b", ["a [31m", "b"]],
    ["", ["asked"]],
    [null, ["asked"]],
    [undefined, ["asked"]]
  ] as const) {
    it.effect(`scope ${JSON.stringify(scope)} means ${scopes.join(" ")}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(shown(yield* granted({ ...good, scope })).scopes, scopes)
      })
    )
  }

  it.effect("X-16 null and empty stand for no refresh token and no ID token", () =>
    Effect.gen(function* () {
      for (const nothing of [null, ""]) {
        const { idToken, refreshToken } = yield* granted({ ...good, refresh_token: nothing, id_token: nothing })
        assert.isUndefined(refreshToken ?? idToken)
      }
    })
  )
})

describe("TokenEndpoint: what is not", () => {
  for (const [name, body] of Object.entries({
    "no access_token": { token_type: "Bearer" },
    "empty access_token": { ...good, access_token: "" },
    "access_token null": { ...good, access_token: null },
    "access_token as object": { ...good, access_token: { value: "at" } },
    "access_token with a line break": { ...good, access_token: "canary\r\nx-evil: 1" },
    "access_token beyond ASCII": { ...good, access_token: "canäry" },
    "negative expires_in": { ...good, expires_in: -1 },
    "non-numeric expires_in": { ...good, expires_in: "soon" },
    "expires_in true": { ...good, expires_in: true },
    "refresh_token as number": { ...good, refresh_token: 1 },
    "id_token as object": { ...good, id_token: {} },
    "scope as list": { ...good, scope: ["a"] },
    "a token type nobody can use": { ...good, token_type: "mac" },
    "a token type with a line break": { ...good, token_type: "Bearer\r\nx-evil: 1" },
    "nothing at all": {}
  })) {
    it.effect(`A-16 A-19 X-19 malformed: ${name}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(refresh(json(body)).result)
        assert.strictEqual(named(error), "AnswerRejected.Malformed")
        assert.match(error.message, /: \w+ is missing or wrong$/)
        assert.notInclude(error.message, "can")
      })
    )
  }

  for (const [name, reply, expected] of [
    ["A-13 A-17 A-20 nobody there", broken("ECONNREFUSED"), "ProviderUnavailable.Unreachable"],
    ["A-20 the connection breaks", broken("ECONNRESET"), "ProviderUnavailable.AnswerLost"],
    ["A-20 no answer", hanging, "ProviderUnavailable.TimedOut"],
    ["A-20 trouble", status(500), "ProviderUnavailable.ServerError"],
    ["A-42 a wrong client secret", refused("invalid_client", 401), "ProviderRefused.InvalidClient"],
    ["A-17 401 without a word", status(401), "ProviderRefused.InvalidClient"],
    ["A-20 a dead refresh token", refused("invalid_grant"), "ProviderRefused.InvalidGrant"],
    ["X-18 an unknown error code", refused("no_moon_tonight"), "ProviderRefused.Other"],
    ["an error inside a 200", json({ error: "invalid_grant" }), "ProviderRefused.InvalidGrant"],
    ["HTML", answer("<html>", { headers: { "content-type": "text/html" } }), "AnswerRejected.NotJson"],
    [
      "X-15 a JSON body that says it is text",
      answer(JSON.stringify(good), { headers: { "content-type": "text/plain" } }),
      "AnswerRejected.NotJson"
    ],
    [
      "truncated JSON",
      answer(`{"access_token":"a`, { headers: { "content-type": "application/json" } }),
      "AnswerRejected.Truncated"
    ],
    ["X-14 a redirect", status(307, { location: "https://evil.example/" }), "AnswerRejected.Redirected"],
    ["no content", status(204), "AnswerRejected.Truncated"]
  ] as const) {
    it.effect(`${name}: ${expected}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* reasonOf(reply), expected)
      })
    )
  }

  for (const [name, reply, sent] of [
    ["503 is tried again", status(503), 2],
    ["429 is tried again", status(429), 2],
    ["502 is not", status(502), 1],
    ["a broken connection is not", broken("ECONNRESET"), 1],
    ["silence is not", hanging, 1]
  ] as const) {
    it.effect(`X-11 a refresh token is never spent blindly: ${name}`, () =>
      Effect.gen(function* () {
        const { result, to } = refresh([reply, json(good)])
        yield* Effect.exit(result)
        assert.lengthOf(to(metadata.token_endpoint), sent)
      })
    )
  }
})

describe("TokenEndpoint: any answer", () => {
  const maybe = Schema.optionalKey(Schema.Union([Schema.Literals(["x", 1, -1, "3600", 1e300]), Schema.Json]))
  const Likely = Schema.Struct({
    access_token: maybe,
    token_type: maybe,
    expires_in: maybe,
    refresh_token: maybe,
    id_token: maybe,
    scope: maybe
  })
  const Refused = Schema.Struct({ error: Schema.Json, error_description: Schema.optionalKey(Schema.Json) })

  it.effect.prop(
    "X-19 is a grant or a typed error",
    { body: Schema.Union([Likely, Refused, Schema.Json]), code: Schema.Literals([200, 201, 400, 401, 403, 418]) },
    ({ body, code }) =>
      Effect.gen(function* () {
        const result = yield* Effect.result(refresh(json(body, { status: code })).result)
        if (result._tag === "Success") assert.isAbove(Redacted.value(result.success.token.value).length, 0)
        else assert.include(["AnswerRejected", "ProviderRefused"], result.failure._tag)
      })
  )
})

describe("TokenEndpoint: tokens that are bound to a certificate", () => {
  const certificate = { certificate: "a PEM", key: Redacted.make("canary-key"), thumbprint: "ours" }
  const bound = { certificate, certificateBoundAccessTokens: true }
  const to = (thumbprint: string) => ({ cnf: { "x5t#S256": thumbprint } })

  /** What becomes of a token request that is answered with this token. */
  const outcomeOf = Effect.fnUntraced(
    function* (
      access_token: string,
      options: Partial<OAuthClient.ClientOptions>,
      script: Readonly<Record<string, Reply>> = {}
    ) {
      const presented: Array<string | undefined> = []
      const reply: Reply = (request) =>
        Effect.flatMap(ClientCertificate.Presented, (one) => {
          presented.push(one?.thumbprint)
          return json({ ...good, access_token })(request)
        })
      const { result } = asClient(
        { [metadata.token_endpoint]: reply, ...script },
        (client) => grant(client, { grant_type: "client_credentials" }, { scopes: [], repeat: "once" }),
        options
      )
      const outcome = yield* Effect.result(result)
      if (Result.isSuccess(outcome)) return { presented, outcome: "granted" }
      assert.notInclude(outcome.failure.message, "another's")
      return { presented, outcome: named(outcome.failure) }
    },
    Effect.provideService(ClientCertificate.IsPresentable, true)
  )
  const jwtOutcome = Effect.fnUntraced(function* (claims: object, options: Partial<OAuthClient.ClientOptions>) {
    return yield* outcomeOf(Redacted.value(yield* sign(claims)), options)
  })

  for (const [claims, whenAsked, otherwise] of [
    [to("ours"), "granted", "granted"],
    // It would serve somebody else alone (RFC 8705 section 3).
    [to("another's"), "AnswerRejected.CertificateMismatch", "AnswerRejected.CertificateMismatch"],
    [{ cnf: { jkt: "a key" } }, "AnswerRejected.CertificateMismatch", "granted"],
    [{ cnf: { "x5t#S256": null } }, "AnswerRejected.CertificateMismatch", "AnswerRejected.CertificateMismatch"],
    [{ cnf: "ours" }, "AnswerRejected.CertificateMismatch", "granted"],
    [{}, "AnswerRejected.CertificateMismatch", "granted"]
  ] as const) {
    it.effect(`attack: a JWT whose binding is ${JSON.stringify(claims)}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* jwtOutcome(claims, bound), { presented: ["ours"], outcome: whenAsked })
        assert.deepStrictEqual(yield* jwtOutcome(claims, { certificate }), { presented: ["ours"], outcome: otherwise })
      })
    )
  }

  it.effect("a provider that binds none, and says so, is asked for nothing", () =>
    Effect.gen(function* () {
      const says = json({ ...metadata, tls_client_certificate_bound_access_tokens: false })
      const { outcome, presented } = yield* outcomeOf("opaque", bound, { [openIdLocation]: says })
      assert.deepStrictEqual([outcome, presented], ["ConfigurationInvalid.NotSupported", []])
    })
  )

  it.effect("without a certificate nothing is asked for that could be bound to one", () =>
    Effect.gen(function* () {
      const { outcome, presented } = yield* outcomeOf("opaque", { certificateBoundAccessTokens: true })
      assert.deepStrictEqual([outcome, presented], ["ConfigurationInvalid.MissingValue", []])
    })
  )
})
