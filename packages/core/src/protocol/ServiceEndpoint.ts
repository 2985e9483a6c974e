/** Endpoints that are in no RFC: a service's own, which take JSON. The caller says what a status means there. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { type Endpoint, type ProviderError, ProviderRefused } from "../AuthError.ts"
import { AccessToken } from "../Token.ts"
import { type Answer, type Repeat, send } from "./HttpExchange.ts"
import { expiryOf } from "./Jwt.ts"
import { accept } from "./OAuthAnswer.ts"
import { type Granted, orWithheld, Seconds, type Withheld } from "./TokenEndpoint.ts"

export interface Request {
  readonly endpoint: Endpoint
  /** Default: `POST`. */
  readonly method?: "GET" | "POST"
  readonly authorization?: Redacted.Redacted
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
  readonly repeat: Repeat
  /** What a status says that is no success. Any other means what it does at an OAuth endpoint. */
  readonly refusals: Readonly<Record<number, ProviderRefused["reason"]>>
}

/** What came back, and when it was asked for, in milliseconds since 1970: lifetimes are counted from there. */
export interface Answered extends Answer {
  readonly began: number
}

/** Asks, and fails with what `refusals` says of the status. Any other answer is for its reader to judge: {@link session}, {@link renewal}. */
export const ask = Effect.fnUntraced(function* (
  http: HttpClient.HttpClient,
  url: string | URL,
  { authorization, body, endpoint, headers = {}, method = "POST", refusals, repeat }: Request
): Effect.fn.Return<Answered, ProviderError> {
  const began = yield* Clock.currentTimeMillis
  const request = HttpClientRequest.make(method)(url).pipe(
    body === undefined ? (same) => same : HttpClientRequest.bodyJsonUnsafe(body),
    HttpClientRequest.setHeaders({
      ...headers,
      ...(authorization === undefined ? {} : { authorization: Redacted.value(authorization) })
    })
  )
  const answer = yield* send(http, endpoint, request, repeat)
  const { host, status } = answer
  const reason = refusals[status]
  if (reason !== undefined) return yield* new ProviderRefused({ reason, endpoint, host, status })
  return { ...answer, began }
})

/** What a header can carry (RFC 6750 section 2.1, and what else is visible). */
const Token = Schema.String.check(Schema.isPattern(/^[\x21-\x7e]+$/))

const Session = Schema.Struct({
  access_token: Token,
  refresh_token: Schema.optionalKey(Token),
  expires_in: Schema.optionalKey(Seconds.check(Schema.isGreaterThan(0)))
})

/** The session that an answer brings in the words of RFC 6749 section 5.1. A token that is a JWT may name its own end. */
export const session = Effect.fnUntraced(function* (answer: Answered): Effect.fn.Return<Granted, ProviderError> {
  const { access_token, expires_in, refresh_token } = yield* accept(answer, Session)
  const end = expires_in === undefined ? expiryOf(access_token) : answer.began + expires_in * 1000
  return {
    issuedAt: DateTime.makeUnsafe(answer.began),
    token: AccessToken.bearer(Redacted.make(access_token), end),
    ...(refresh_token === undefined ? {} : { refreshToken: Redacted.make(refresh_token) })
  }
})

/**
 * What the answer to a refresh brings or, where its access token must not be used, the refresh token beside that: it may be
 * the one that counts from now on.
 *
 * @param granted the session, where it has to be more than {@link session} asks for
 */
export const renewal = (
  answer: Answered,
  granted: Effect.Effect<Granted, ProviderError> = session(answer)
): Effect.Effect<Granted | Withheld, ProviderError> => orWithheld(granted, answer, answer.began)
