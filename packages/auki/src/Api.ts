/** The requests of the three services, each with what its answers mean. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
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
  ProviderRefused
} from "keyfob"
import { DomainAccess } from "./DomainAccess.ts"

/** A request that has a JSON body, and what a status says that is no success. */
interface Asked<S> {
  readonly endpoint: Endpoint
  readonly url: string
  readonly authorization?: Redacted.Redacted
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly repeat: HttpExchange.Repeat
  readonly refusals: Readonly<Record<number, ProviderRefused["reason"]>>
  readonly answer: S
}

const post = Effect.fnUntraced(function* <S extends Schema.ConstraintDecoder<unknown>>(
  http: HttpClient.HttpClient,
  asked: Asked<S>
): Effect.fn.Return<{ readonly success: S["Type"]; readonly host: string; readonly began: number }, ProviderError> {
  const { authorization, body, endpoint, headers = {}, refusals, repeat, url } = asked
  const began = yield* Clock.currentTimeMillis
  const request = HttpClientRequest.post(url).pipe(
    HttpClientRequest.setHeaders({
      "content-type": "application/json",
      ...headers,
      ...(authorization === undefined ? {} : { authorization: Redacted.value(authorization) })
    }),
    body === undefined ? (same) => same : HttpClientRequest.bodyJsonUnsafe(body)
  )
  const answer = yield* HttpExchange.send(http, endpoint, request, repeat)
  const { host, status } = answer
  const reason = refusals[status]
  if (reason !== undefined) return yield* new ProviderRefused({ reason, endpoint, host, status })
  return { success: yield* OAuthAnswer.accept(answer, asked.answer), host, began }
})

const Text = Schema.String.check(Schema.isPattern(/^[\x21-\x7e]+$/))
const Session = Schema.Struct({
  access_token: Text,
  refresh_token: Schema.optionalKey(Text),
  expires_in: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0)))
})

/** Until when a token is good, by itself: nobody has verified it. */
export const expiryOf = (jwt: string): Effect.Effect<Option.Option<number>> =>
  Jwt.decode(jwt).pipe(
    Effect.map(({ claims }) => (Number.isInteger(claims["exp"]) ? Number(claims["exp"]) * 1000 : undefined)),
    Effect.map(Option.fromUndefinedOr),
    Effect.orElseSucceed(() => Option.none())
  )

const bearer = (value: string, expiresAt: number, details?: AccessToken["details"]) =>
  AccessToken.make({
    value: Redacted.make(value),
    type: "Bearer",
    scopes: [],
    expiresAt: DateTime.makeUnsafe(Math.min(expiresAt, 8.64e15)),
    ...(details === undefined ? {} : { details })
  })

/** The session an answer brings. A token without any end is refused: nobody could tell when to renew it. */
const sessionOf = Effect.fnUntraced(function* (
  { began, host, success }: Effect.Success<ReturnType<typeof post<typeof Session>>>,
  endpoint: Endpoint
): Effect.fn.Return<Granted, AnswerRejected> {
  const { access_token, expires_in, refresh_token } = success
  const end =
    expires_in === undefined
      ? Option.getOrUndefined(yield* expiryOf(access_token))
      : Math.min(began + expires_in * 1000, 8.64e15)
  if (end === undefined) {
    return yield* new AnswerRejected({ reason: "Malformed", endpoint, host, detail: "the token names no end" })
  }
  return {
    issuedAt: DateTime.makeUnsafe(began),
    token: bearer(access_token, end),
    ...(refresh_token === undefined ? {} : { refreshToken: Redacted.make(refresh_token) })
  }
})

export const login = Effect.fn("keyfob.auki.login")(function* (
  http: HttpClient.HttpClient,
  apiUrl: string,
  email: string,
  password: Redacted.Redacted
): Effect.fn.Return<Granted, ProviderError> {
  const answer = yield* post(http, {
    endpoint: "login",
    url: `${apiUrl}/user/login`,
    body: { email, password: Redacted.value(password) },
    repeat: "spending",
    refusals: { 400: "AccessDenied", 401: "AccessDenied", 403: "AccessDenied" },
    answer: Session
  })
  return yield* sessionOf(answer, "login")
})

export const refresh = Effect.fn("keyfob.auki.refresh")(function* (
  http: HttpClient.HttpClient,
  refreshUrl: string,
  refreshToken: Redacted.Redacted
): Effect.fn.Return<Granted, ProviderError> {
  const answer = yield* post(http, {
    endpoint: "token",
    url: refreshUrl,
    authorization: Redacted.make(`Bearer ${Redacted.value(refreshToken)}`),
    repeat: "spending",
    refusals: { 400: "InvalidGrant", 401: "InvalidGrant", 403: "InvalidGrant" },
    answer: Session
  })
  return yield* sessionOf(answer, "token")
})

/** What statuses say of a token that was brought. */
export const denied: Readonly<Record<number, ProviderRefused["reason"]>> = {
  401: "InvalidToken",
  402: "AccessDenied",
  403: "AccessDenied",
  404: "AccessDenied"
}

export const discovery = Effect.fn("keyfob.auki.discovery")(function* (
  http: HttpClient.HttpClient,
  apiUrl: string,
  network: AccessToken
): Effect.fn.Return<Granted, ProviderError> {
  const answer = yield* post(http, {
    endpoint: "token",
    url: `${apiUrl}/service/domains-access-token`,
    authorization: network.authorization,
    body: {},
    repeat: "idempotent",
    refusals: denied,
    answer: Schema.Struct({ access_token: Text })
  })
  const { began, host, success } = answer
  return yield* sessionOf({ began, host, success: { access_token: success.access_token } }, "token")
})

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
  const { began, host, success } = yield* post(http, {
    endpoint: "token",
    url: `${ddsUrl}/api/v1/domains/${encodeURIComponent(id)}/auth`,
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
  if (!audience.includes(success.domain_server.url)) return yield* reject("SubjectMismatch", "the grant's aud")
  const exp = claims["exp"]
  if (!Number.isInteger(exp)) return yield* reject("Malformed", "the grant's exp")
  const end = Math.min(success.expires_at, Number(exp) * 1000)
  if (end <= (yield* Clock.currentTimeMillis)) return yield* reject("Malformed", "the grant has ended")
  return {
    target: success.id,
    issuedAt: DateTime.makeUnsafe(began),
    token: bearer(access_token, end, details)
  }
})
