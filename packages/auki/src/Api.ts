/** The requests of the three services, each with what its answers mean. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import {
  AccessToken,
  AnswerRejected,
  ConfigurationInvalid,
  type Endpoint,
  type Granted,
  HttpExchange,
  Jwt,
  OAuthAnswer,
  type ProviderError,
  ProviderRefused,
  type Withheld
} from "keyfob"
import { DomainAccess, isServer } from "./DomainAccess.ts"

type Refusals = Readonly<Record<number, ProviderRefused["reason"]>>

/** A request, and what a status says that is no success. */
interface Asked<S> {
  readonly endpoint: Endpoint
  /** Default: `POST`. */
  readonly method?: "GET" | "POST"
  readonly authorization?: Redacted.Redacted
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
  readonly repeat: HttpExchange.Repeat
  readonly refusals: Refusals
  readonly answer: S
}

/** What came back, and when it was asked for. */
interface Answered {
  readonly answer: HttpExchange.Answer
  readonly began: number
}

/** What a success says, of which host, and when it was asked for. */
interface Told<A> {
  readonly success: A
  readonly host: string
  readonly began: number
}

const send = Effect.fnUntraced(function* (
  http: HttpClient.HttpClient,
  url: string,
  { authorization, body, endpoint, headers = {}, method = "POST", refusals, repeat }: Omit<Asked<unknown>, "answer">
): Effect.fn.Return<Answered, ProviderError> {
  const began = yield* Clock.currentTimeMillis
  const request = HttpClientRequest.make(method)(url).pipe(
    HttpClientRequest.setHeaders({
      ...(method === "GET" ? {} : { "content-type": "application/json" }),
      ...headers,
      ...(authorization === undefined ? {} : { authorization: Redacted.value(authorization) })
    }),
    body === undefined ? (same) => same : HttpClientRequest.bodyJsonUnsafe(body)
  )
  const answer = yield* HttpExchange.send(http, endpoint, request, repeat)
  const { host, status } = answer
  const reason = refusals[status]
  if (reason !== undefined) return yield* new ProviderRefused({ reason, endpoint, host, status })
  return { answer, began }
})

export const ask = Effect.fnUntraced(function* <S extends Schema.ConstraintDecoder<unknown>>(
  http: HttpClient.HttpClient,
  url: string,
  { answer: schema, ...asked }: Asked<S>
): Effect.fn.Return<Told<S["Type"]>, ProviderError> {
  const { answer, began } = yield* send(http, url, asked)
  return { success: yield* OAuthAnswer.accept(answer, schema), host: answer.host, began }
})

const Text = Schema.String.check(Schema.isPattern(/^[\x21-\x7e]+$/))
const Session = Schema.Struct({
  access_token: Text,
  refresh_token: Schema.optionalKey(Text),
  expires_in: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0)))
})

/** The session an answer brings. A token without any end is refused: nobody could tell when to renew it. */
const session = Effect.fnUntraced(function* (
  { answer, began }: Answered,
  schema: Schema.ConstraintDecoder<typeof Session.Type> = Session
): Effect.fn.Return<Granted, ProviderError> {
  const { access_token, expires_in, refresh_token } = yield* OAuthAnswer.accept(answer, schema)
  const end = expires_in === undefined ? Jwt.expiryOf(access_token) : began + expires_in * 1000
  if (end === undefined) {
    const { endpoint, host } = answer
    return yield* new AnswerRejected({ reason: "Malformed", endpoint, host, detail: "the token names no end" })
  }
  return {
    issuedAt: DateTime.makeUnsafe(began),
    token: AccessToken.bearer(Redacted.make(access_token), end),
    ...(refresh_token === undefined ? {} : { refreshToken: Redacted.make(refresh_token) })
  }
})

export const login = (http: HttpClient.HttpClient, apiUrl: string, email: string, password: Redacted.Redacted) =>
  send(http, `${apiUrl}/user/login`, {
    endpoint: "login",
    body: { email, password: Redacted.value(password) },
    repeat: "spending",
    refusals: { 400: "AccessDenied", 401: "AccessDenied", 403: "AccessDenied" }
  }).pipe(
    Effect.flatMap((answered) => session(answered)),
    Effect.withSpan("keyfob.auki.login")
  )

const isText = Schema.is(Text)

/** An answer may replace the refresh token though it is good for nothing else. */
export const refresh = Effect.fn("keyfob.auki.refresh")(function* (
  http: HttpClient.HttpClient,
  refreshUrl: string,
  refreshToken: Redacted.Redacted
): Effect.fn.Return<Granted | Withheld, ProviderError> {
  const answered = yield* send(http, refreshUrl, {
    endpoint: "token",
    authorization: Redacted.make(`Bearer ${Redacted.value(refreshToken)}`),
    repeat: "spending",
    refusals: { 400: "InvalidGrant", 401: "InvalidGrant", 403: "InvalidGrant" }
  })
  return yield* Effect.catchTag(session(answered), "AnswerRejected", (reason) => {
    const next = answered.answer.json?.["refresh_token"]
    if (!isText(next)) return Effect.fail(reason)
    return Effect.succeed({ issuedAt: DateTime.makeUnsafe(answered.began), refreshToken: Redacted.make(next), reason })
  })
})

/** What statuses say of a token that was brought. */
export const denied: Refusals = { 401: "InvalidToken", 402: "AccessDenied", 403: "AccessDenied", 404: "AccessDenied" }

export const discovery = (http: HttpClient.HttpClient, apiUrl: string, network: AccessToken) =>
  send(http, `${apiUrl}/service/domains-access-token`, {
    endpoint: "token",
    authorization: network.authorization,
    body: {},
    repeat: "idempotent",
    refusals: denied
  }).pipe(
    Effect.flatMap((answered) => session(answered, Schema.Struct({ access_token: Text }))),
    Effect.withSpan("keyfob.auki.discovery")
  )

/** Access to a domain, held against what was asked: what it grants to somebody else, or elsewhere, is not taken. */
export const domain = Effect.fn("keyfob.auki.domain")(function* (
  http: HttpClient.HttpClient,
  { clientId, ddsUrl, id }: { readonly clientId: string; readonly ddsUrl: string; readonly id: string },
  discovery: AccessToken
): Effect.fn.Return<Granted & { readonly target: string }, ProviderError | ConfigurationInvalid> {
  // In a path these would be another one, or none.
  if (/^\.{0,2}$/.test(id) || /\p{Surrogate}/u.test(id)) {
    return yield* new ConfigurationInvalid({ reason: "InvalidValue", detail: "a domain's id" })
  }
  const { began, host, success } = yield* ask(http, `${ddsUrl}/api/v1/domains/${encodeURIComponent(id)}/auth`, {
    endpoint: "token",
    authorization: discovery.authorization,
    headers: { "posemesh-client-id": clientId },
    body: {},
    repeat: "idempotent",
    refusals: denied,
    answer: DomainAccess
  })
  const { access_token, ...details } = success
  const reject = (reason: AnswerRejected["reason"], detail: string) =>
    new AnswerRejected({ reason, endpoint: "token", host, detail })
  const { claims } = yield* Effect.mapError(Jwt.decode(access_token), () => reject("Malformed", "access_token"))
  if (claims["iss"] !== "dds") return yield* reject("IssuerMismatch", "the grant's iss")
  if (claims["domain_id"] !== id) return yield* reject("SubjectMismatch", "the grant's domain_id")
  const audience: ReadonlyArray<unknown> = [claims["aud"]].flat()
  if (!isServer(success.domain_server.url)) return yield* reject("InsecureEndpoint", "domain_server.url")
  if (!audience.includes(success.domain_server.url)) return yield* reject("SubjectMismatch", "the grant's aud")
  const exp = Jwt.expiryOf(access_token)
  if (exp === undefined) return yield* reject("Malformed", "the grant's exp")
  const end = Math.min(success.expires_at, exp)
  return {
    target: success.id,
    issuedAt: DateTime.makeUnsafe(began),
    token: AccessToken.bearer(Redacted.make(access_token), end, details)
  }
})
