import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Logger, Redacted, References } from "effect"
import { HttpClientError } from "effect/http"
import {
  AccessToken,
  ClientAuthentication,
  EndSession,
  Introspection,
  Jwt,
  JwtBearer,
  OAuthClient,
  toJson,
  TokenExchange,
  Userinfo
} from "keyfob"
import { exportJWK, generateKeyPair } from "jose"
import { inspect } from "node:util"
import { tracing } from "../../testing/src/printed.ts"
import * as DeviceAuthorization from "../src/protocol/DeviceAuthorization.ts"
import { revoke } from "../src/protocol/Revocation.ts"
import { grant } from "../src/protocol/TokenEndpoint.ts"
import { jwksOf, sign } from "./protocol/signing.ts"
import {
  answer,
  hanging,
  inTime,
  issuer,
  json,
  metadata,
  openIdLocation,
  provider,
  type Reply,
  scripted,
  status
} from "./scripted.ts"

/** Each secret there is, recognisable in any of its spellings. */
const canaries = {
  secret: "canary-secret+/ %=",
  refreshToken: "canary-refresh+/ %=",
  code: "canary-code+/ %=",
  accessToken: "canary-access~0123456789",
  userCode: "CANARYUSERCODE"
}
const urlEncoded = (text: string) => new URLSearchParams({ v: text }).toString().slice(2)
const spellings = Object.values(canaries).flatMap((text) => [
  text,
  encodeURIComponent(text),
  urlEncoded(text),
  JSON.stringify(text).slice(1, -1),
  // in base64 at each of the three places it can start, without its rims
  ...["", "x", "xx"].map((rim) => btoa(rim + text).slice(4, -4)),
  ...["", "x", "xx"].map((rim) => btoa(rim + urlEncoded(text)).slice(4, -4))
])
const basic = btoa(`app:${urlEncoded(canaries.secret)}`)

/** Everything that is printed, logged and traced while something runs: where a secret might come to light. */
const observed = Effect.fnUntraced(function* <A, E>(effect: Effect.Effect<A, E>) {
  const logs: Array<unknown> = []
  const { spans, tracer } = tracing()
  const keep = (entry: unknown) => void logs.push(entry)
  const loggers = [
    Logger.map(Logger.formatLogFmt, keep),
    Logger.map(Logger.formatJson, keep),
    Logger.map(Logger.formatSimple, keep),
    Logger.map(Logger.formatStructured, keep)
  ]
  const exit = yield* effect.pipe(
    Effect.tapCause((cause) => Effect.logError("failed", cause)),
    Effect.withSpan("caller"),
    Effect.exit,
    Effect.provide(Logger.layer(loggers)),
    Effect.provideService(References.MinimumLogLevel, "All"),
    Effect.withTracer(tracer)
  )
  const traced = spans.map((span) => [span.name, [...span.attributes], span.events, span.links, span.status])
  return {
    exit,
    text: [shownInFull(logs), shownInFull(traced), shown(exit)].join("\n"),
    attributes: spans.map((span) => [span.name, Object.fromEntries(span.attributes)] as const)
  }
})

const shownInFull = (value: unknown) => {
  const seen = new WeakSet<object>()
  const json = JSON.stringify(value, (_, member: unknown) => {
    if (typeof member === "bigint") return String(member)
    if (typeof member !== "object" || member === null) return member
    if (seen.has(member)) return undefined
    seen.add(member)
    return member
  })
  return `${json}\n${inspect(value, { depth: Infinity, showHidden: true, getters: true })}`
}

const shown = <A, E>(exit: Exit.Exit<A, E>) => {
  if (Exit.isSuccess(exit)) return shownInFull(exit.value)
  const errors = exit.cause.reasons.flatMap((reason) => (Cause.isFailReason(reason) ? [reason.error] : []))
  return [
    Cause.pretty(exit.cause),
    shownInFull(exit.cause),
    ...errors.flatMap((error) => [
      String(error),
      error instanceof Error ? `${error.message}${error.stack}${shownInFull(error.cause)}` : "",
      shownInFull(error)
    ])
  ].join("\n")
}

const assertHidden = (text: string) => {
  for (const spelling of [...spellings, basic]) {
    const place = text.indexOf(spelling)
    assert.strictEqual(place, -1, `${spelling} in …${text.slice(Math.max(0, place - 200), place + 100)}`)
  }
}

/** What a provider, or the way there, can do with what it was sent. */
const echo = Object.values(canaries).join(" ")
const echoing: Record<string, Reply> = {
  "an error that echoes": json({ error: "invalid_grant", error_description: echo, error_uri: echo }, { status: 400 }),
  "a code that echoes": json({ error: canaries.refreshToken }, { status: 400 }),
  "a code that is the secret": json({ error: canaries.secret }, { status: 401, headers: { "www-authenticate": echo } }),
  "a page that echoes": answer(`<html>${echo}`, { headers: { "content-type": "text/html" } }),
  "a status that echoes": answer(echo, {
    status: 418,
    statusText: "canary-refresh",
    headers: { "content-type": "text/plain" }
  }),
  "broken JSON that echoes": answer(`{"access_token":"${echo}`, { headers: { "content-type": "application/json" } }),
  "wrong members that echo": json({
    access_token: [echo],
    device_code: [echo],
    sub: [echo],
    expires_in: echo,
    token_type: echo
  }),
  "a token that no header can hold": json({ access_token: `${canaries.accessToken}\n`, device_code: "", sub: "" }),
  "a page to open that echoes": json({
    device_code: canaries.code,
    user_code: "x",
    expires_in: 1,
    verification_uri: `http://id.example/?${echo}`,
    access_token: "",
    sub: ""
  }),
  "a redirect that echoes": status(302, { location: `https://evil.example/?${urlEncoded(echo)}` }),
  "trouble that echoes": answer(echo, { status: 500, headers: { "x-echo": urlEncoded(echo) } }),
  "a limit": status(429, { "retry-after": "3600" }),
  silence: hanging,
  "a transport that repeats the request": (request) =>
    new HttpClientError.HttpClientError({
      reason: new HttpClientError.TransportError({
        request,
        description: `could not send ${echo}`,
        cause: Object.assign(new TypeError(`Headers.append: "Basic ${basic}" ${echo} is an invalid header value.`), {
          code: "ERR_INVALID_CHAR",
          request: { headers: { authorization: `Basic ${basic}` }, body: echo }
        })
      })
    })
}

const token = AccessToken.make({ value: Redacted.make(canaries.accessToken), type: "Bearer", scopes: [] })
const uses: Record<string, (client: OAuthClient.OAuthClient) => Effect.Effect<unknown, unknown>> = {
  refresh: (client) =>
    grant(
      client,
      { grant_type: "refresh_token", refresh_token: canaries.refreshToken },
      { scopes: [], repeat: "spending" }
    ),
  "device code": (client) =>
    grant(
      client,
      { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: canaries.code },
      { scopes: [], repeat: "once" }
    ),
  "device authorization": (client) => DeviceAuthorization.request(client, { login_hint: canaries.userCode }),
  revocation: (client) => revoke(client, Redacted.make(canaries.refreshToken), "refresh_token"),
  userinfo: (client) => Userinfo.request(client, token, "alice"),
  "JWT bearer": (client) =>
    JwtBearer.make({ issuer, clientId: "app", assertion: Effect.succeed(Redacted.make(canaries.code)) }).obtain(client),
  "token exchange": (client) =>
    TokenExchange.make({
      issuer,
      clientId: "app",
      subject: { token: Effect.succeed(token.value) },
      actor: { token: Effect.succeed(Redacted.make(canaries.refreshToken)) }
    }).obtain(client),
  introspection: (client) => Introspection.introspect(client, token.value)
}

const endpoints = [
  metadata.token_endpoint,
  metadata.device_authorization_endpoint,
  metadata.revocation_endpoint,
  metadata.userinfo_endpoint,
  metadata.introspection_endpoint
]

describe("R13 X-18 X-23 no secret comes to light", () => {
  for (const [method, authentication] of Object.entries({
    basic: ClientAuthentication.secretBasic(Redacted.make(canaries.secret)),
    post: ClientAuthentication.secretPost(Redacted.make(canaries.secret))
  })) {
    for (const [trouble, reply] of Object.entries(echoing)) {
      for (const [use, run] of Object.entries(uses)) {
        it.effect(`${use} (${method}), met by ${trouble}`, () => {
          const script = { ...provider, ...Object.fromEntries(endpoints.map((url) => [url, reply])) }
          return Effect.gen(function* () {
            const client = yield* OAuthClient.make({ issuer, clientId: "app", authentication })
            const { attributes, exit, text } = yield* inTime(observed(run(client)))
            if (use !== "revocation") assert.isTrue(Exit.isFailure(exit))
            assert.isAbove(attributes.length, 1)
            assertHidden(text)
          }).pipe(Effect.provide(scripted(script).layer))
        })
      }
    }
  }

  for (const trouble of ["an error that echoes", "a transport that repeats the request", "silence"]) {
    it.effect(`a key, a secret that signs, and what they have signed, met by ${trouble}`, () => {
      const { layer, to } = scripted({
        ...provider,
        [metadata.token_endpoint]: echoing[trouble] ?? hanging
      })
      return Effect.gen(function* () {
        const { privateKey } = yield* Effect.promise(() => generateKeyPair("ES256", { extractable: true }))
        const jwk = yield* Effect.promise(() => exportJWK(privateKey))
        const sent = () => to(metadata.token_endpoint).map(({ form }) => form["client_assertion"] ?? "missing")
        for (const authentication of [
          ClientAuthentication.privateKeyJwt(Redacted.make(JSON.stringify(jwk))),
          ClientAuthentication.secretJwt(Redacted.make(canaries.secret)),
          ClientAuthentication.clientAssertion(Effect.succeed(Redacted.make(`${canaries.userCode}.b.c`)))
        ]) {
          const client = yield* OAuthClient.make({ issuer, clientId: "app", authentication })
          const { exit, text } = yield* inTime(
            observed(grant(client, { grant_type: "client_credentials" }, { scopes: [], repeat: "once" }))
          )
          assert.isTrue(Exit.isFailure(exit))
          assertHidden(text)
          for (const hidden of [String(jwk.d), ...sent()]) assert.notInclude(text, hidden)
        }
        assert.lengthOf(new Set(sent()), 3)
      }).pipe(Effect.provide(layer))
    })
  }

  it.effect("what is granted is shown without its secrets", () =>
    Effect.gen(function* () {
      const client = yield* OAuthClient.make({ issuer, clientId: "app" })
      const asked = Effect.andThen(
        Effect.tap(grant(client, { grant_type: "x" }, { scopes: [], repeat: "once" }), (granted) =>
          Effect.logInfo("granted", granted)
        ),
        Effect.tap(DeviceAuthorization.request(client, {}), (device) => Effect.logInfo("device", device))
      )
      const { exit, text } = yield* inTime(observed(asked))
      assert.isTrue(Exit.isSuccess(exit))
      assertHidden(text)
    }).pipe(
      Effect.provide(
        scripted({
          ...provider,
          [metadata.token_endpoint]: json({
            access_token: canaries.accessToken,
            refresh_token: canaries.refreshToken,
            id_token: canaries.code
          }),
          [metadata.device_authorization_endpoint]: json({
            device_code: canaries.code,
            user_code: "ABCD",
            expires_in: 9,
            verification_uri: `${issuer}/x`
          })
        }).layer
      )
    )
  )

  it.effect("a span says whom it talked to and how that ended, and not an endpoint's query: it may hold a key", () =>
    Effect.gen(function* () {
      const client = yield* OAuthClient.make({ issuer, clientId: "app" })
      const asked = grant(client, { grant_type: "x" }, { scopes: [], repeat: "once" })
      const { attributes } = yield* inTime(observed(asked))
      assertHidden(shownInFull(attributes))
      assert.deepInclude(attributes, [
        "keyfob.token",
        {
          "oauth.grant_type": "x",
          "server.address": "id.example",
          "http.response.status_code": 404,
          "keyfob.deviation": "an error without JSON"
        }
      ])
    }).pipe(
      Effect.provide(
        scripted({
          [openIdLocation]: json({ ...metadata, token_endpoint: `${issuer}/token?key=${canaries.code}` })
        }).layer
      )
    )
  )

  it.effect("a logout URL and an ID token that is refused are shown without the token", () =>
    Effect.gen(function* () {
      const client = yield* OAuthClient.make({ issuer, clientId: "app" })
      const idToken = yield* sign({ iss: issuer, canary: true })
      const asked = Effect.andThen(
        Effect.tap(EndSession.url(client, { idTokenHint: idToken }), (url) => Effect.logInfo(url)),
        Jwt.verifyIdToken(idToken, { jwks: jwksOf([]), issuer, audience: "app", accessToken: token.value })
      )
      const { exit, text } = yield* inTime(observed(asked))
      assert.isTrue(Exit.isFailure(exit))
      assertHidden(text)
      for (const part of Redacted.value(idToken).split(".")) assert.notInclude(text, part)
    }).pipe(Effect.provide(scripted(provider).layer))
  )

  it.effect("the JSON a command prints holds none either", () =>
    Effect.gen(function* () {
      const client = yield* OAuthClient.make({ issuer, clientId: "app" })
      const asked = grant(client, { grant_type: "x" }, { scopes: [], repeat: "once" })
      assertHidden(JSON.stringify(toJson(yield* Effect.flip(asked))))
    }).pipe(
      Effect.provide(scripted({ ...provider, [metadata.token_endpoint]: echoing["an error that echoes"] ?? [] }).layer)
    )
  )

  it.effect("the nets are tight: a secret that is logged, traced or thrown is found", () =>
    Effect.gen(function* () {
      for (const leak of [
        Effect.logTrace(canaries.code),
        Effect.annotateCurrentSpan("x", encodeURIComponent(canaries.code)),
        Effect.logInfo({ deep: { deeper: [basic] } }),
        Effect.fail(new Error("x", { cause: { request: { body: canaries.refreshToken } } })),
        Effect.withSpan(Effect.void, "x", { attributes: { header: `Basic ${basic}` } })
      ]) {
        const { text } = yield* observed(leak)
        assert.throws(() => assertHidden(text))
      }
    })
  )
})
