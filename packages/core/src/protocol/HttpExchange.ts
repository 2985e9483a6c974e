import * as ByteSize from "effect/ByteSize"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { AnswerRejected, type Endpoint, printable, ProviderUnavailable } from "../AuthError.ts"

/** A served answer. `json` is absent where the body is not a JSON object; a success then only counts as {@link objectOf} says. */
export interface Answer {
  readonly endpoint: Endpoint
  readonly host: string
  readonly status: number
  readonly headers: Headers.Headers
  readonly json?: Readonly<Record<string, unknown>>
  /** Why `json` is absent. */
  readonly defect?: "NotJson" | "Truncated"
}

/**
 * How often a request may be sent.
 * - `idempotent`: again after any transient trouble.
 * - `spending`: carries a code or refresh token that one use may burn; again only when it certainly was not processed
 *   (no connection, 429, 503).
 * - `once`: the caller repeats on its own.
 */
export type Repeat = "idempotent" | "spending" | "once"

const bodyLimit = ByteSize.kibibytes(512)
const attemptTimeout = Duration.seconds(15)
const longestRetryAfter = Duration.seconds(30)
const pauses = [Duration.millis(500), Duration.seconds(1), Duration.seconds(2)]

/**
 * Sends a request to a provider and reads its answer: bounded in size and time, redirects refused, transient trouble
 * retried with backoff, jitter and `Retry-After` (RFC 9110 section 10.2.3).
 *
 * @param request as an effect it is made anew for each attempt: a proof in it is good for one
 */
export const send = Effect.fnUntraced(function* <E = never>(
  http: HttpClient.HttpClient,
  endpoint: Endpoint,
  request: HttpClientRequest.HttpClientRequest | Effect.Effect<HttpClientRequest.HttpClientRequest, E>,
  repeat: Repeat
): Effect.fn.Return<Answer, ProviderUnavailable | AnswerRejected | E> {
  for (let attempt = 0; ; attempt++) {
    const made = Effect.isEffect(request) ? yield* request : request
    const result = yield* Effect.result(sendOnce(http, endpoint, made))
    if (Result.isSuccess(result)) return result.success
    const failure = result.failure
    const pause = pauses[attempt]
    if (pause === undefined || !isRepeatable(failure, repeat)) return yield* failure
    const asked = failure.retryAfter ?? Duration.zero
    if (Duration.isGreaterThan(asked, longestRetryAfter)) return yield* failure
    const jittered = Duration.times(pause, 0.5 + 0.5 * (yield* Random.next))
    yield* Effect.sleep(Duration.max(jittered, asked))
  }
})

const isRepeatable = (
  failure: ProviderUnavailable | AnswerRejected,
  repeat: Repeat
): failure is ProviderUnavailable => {
  if (failure._tag !== "ProviderUnavailable" || repeat === "once" || certificateAlertOf(failure) !== undefined)
    return false
  // Our own limit has passed: who was silent for that long has had its chance, and the caller has waited enough.
  if (failure.reason === "TimedOut" && failure.status === undefined) return false
  return repeat === "idempotent" || wasNotProcessed(failure)
}

/** Whether the request certainly had no effect at the provider. */
export const wasNotProcessed = (failure: ProviderUnavailable) =>
  failure.reason === "Unreachable" || failure.reason === "RateLimited" || failure.status === 503

const sendOnce = Effect.fnUntraced(function* (
  http: HttpClient.HttpClient,
  endpoint: Endpoint,
  request: HttpClientRequest.HttpClientRequest
): Effect.fn.Return<Answer, ProviderUnavailable | AnswerRejected> {
  const host = hostOf(request.url)
  const exchange = Effect.gen(function* () {
    yield* Effect.annotateCurrentSpan("server.address", host)
    const response = yield* HttpClientRequest.acceptJson(request).pipe(
      http.execute,
      // Only the fetch client follows redirects unasked; what arrives is a 3xx, or status 0 in a browser.
      Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }),
      // The client's own span would end with its error and its answer, and both hold what was sent or granted.
      Effect.provideService(HttpClient.TracerDisabledWhen, () => true)
    )
    const { status, headers } = response
    yield* Effect.annotateCurrentSpan("http.response.status_code", status)
    if (status === 0 || (status >= 300 && status < 400)) {
      return yield* new AnswerRejected({ reason: "Redirected", endpoint, host })
    }
    if (status === 429 || status === 408 || status >= 500) {
      const retryAfter = yield* retryAfterOf(headers)
      return yield* new ProviderUnavailable({
        reason: status === 429 ? "RateLimited" : status === 408 ? "TimedOut" : "ServerError",
        endpoint,
        host,
        status,
        ...(retryAfter === undefined ? {} : { retryAfter })
      })
    }
    const tooLarge = () => new AnswerRejected({ reason: "TooLarge", endpoint, host })
    const body = parse(headers, yield* readText(response, bodyLimit, tooLarge))
    return { endpoint, host, status, headers, ...body }
  })
  return yield* exchange.pipe(
    Effect.timeout(attemptTimeout),
    Effect.catchTags({
      TimeoutError: () => Effect.fail(new ProviderUnavailable({ reason: "TimedOut", endpoint, host })),
      HttpClientError: (error) => Effect.fail(unavailable(error, endpoint, host))
    })
  )
})

/** The text of a body, read no further than the limit: one that is longer, be it without an end, is a failure. */
export const readText = <E>(
  response: HttpClientResponse.HttpClientResponse,
  limit: ByteSize.ByteSize,
  tooLarge: () => E
): Effect.Effect<string, HttpClientError.HttpClientError | E> =>
  Effect.suspend(() => {
    const decoder = new TextDecoder()
    const most = ByteSize.toNumberUnsafe(limit)
    let size = 0
    let text = ""
    return Stream.runForEach(response.stream, (bytes) => {
      size += bytes.length
      if (size > most) return Effect.fail(tooLarge())
      text += decoder.decode(bytes, { stream: true })
      return Effect.void
    }).pipe(
      // An answer without a body (revocation) is an empty text, not a failure.
      Effect.catchIf(
        (error) => HttpClientError.isHttpClientError(error) && error.reason._tag === "EmptyBodyError",
        () => Effect.void
      ),
      Effect.map(() => text + decoder.decode())
    )
  })

const parse = (headers: Headers.Headers, text: string): Pick<Answer, "json" | "defect"> => {
  const contentType = headers["content-type"]
  // A missing content type is a harmless deviation; a wrong one is somebody else's page.
  if (contentType !== undefined && !/^application\/([\w.!#$&^-]+\+)?json\s*(;|$)/i.test(contentType))
    return { defect: "NotJson" }
  try {
    const json: unknown = JSON.parse(text)
    return Predicate.isObject(json) && !Array.isArray(json)
      ? { json: json as Record<string, unknown> } // a JSON object: its members are still unknown
      : { defect: "NotJson" }
  } catch {
    return { defect: "Truncated" }
  }
}

/** The JSON object of an answer, or why there is none. */
export const objectOf = (answer: Answer): Effect.Effect<Readonly<Record<string, unknown>>, AnswerRejected> => {
  if (answer.json !== undefined) return Effect.succeed(answer.json)
  const contentType = answer.headers["content-type"]
  return Effect.fail(
    new AnswerRejected({
      reason: answer.defect ?? "NotJson",
      endpoint: answer.endpoint,
      host: answer.host,
      ...(answer.defect === "NotJson" && contentType !== undefined
        ? { detail: `content type ${printable(contentType)}` }
        : {})
    })
  )
}

export const malformed = (answer: Answer, detail: string) =>
  new AnswerRejected({ reason: "Malformed", endpoint: answer.endpoint, host: answer.host, detail })

const retryAfterOf = Effect.fnUntraced(function* (headers: Headers.Headers) {
  const header = headers["retry-after"]
  const parsed = header === undefined ? undefined : Result.getOrUndefined(Headers.parseRetryAfter(header))
  if (parsed === undefined) return undefined
  if (parsed._tag === "Duration") return parsed.duration
  // A date is by the provider's clock, and so is the answer's own.
  const answered = Date.parse(headers["date"] ?? "")
  const now = Number.isNaN(answered) ? yield* Clock.currentTimeMillis : answered
  return Duration.millis(Math.max(0, DateTime.toEpochMillis(parsed.dateTime) - now))
})

// What the operating system and undici report before a request has left the machine.
const neverSent = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT"
])

// The handshake failed. Trouble with a record comes later, perhaps in the middle of the answer.
const noHandshake = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_(SSL|TLS)_[\w/]*(HANDSHAKE|PROTOCOL|VERSION|UNRECOGNIZED_NAME)/

const isAlert = /^ERR_SSL_[\w/]+_ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA|ACCESS_DENIED)$/

/**
 * What the server said of the client's certificate, or of the lack of one, in the handshake (RFC 8446 section 6.2). In TLS
 * 1.3 a request is under way by then, which the server does not read.
 */
export const certificateAlertOf = ({ detail = "" }: ProviderUnavailable): string | undefined =>
  isAlert.exec(detail)?.[1]?.toLowerCase()

const unavailable = (error: HttpClientError.HttpClientError, endpoint: Endpoint, host: string) => {
  const code = causeCode(error.reason.cause)
  const unsent = code !== undefined && (neverSent.has(code) || noHandshake.test(code) || isAlert.test(code))
  return new ProviderUnavailable({
    reason: unsent ? "Unreachable" : "AnswerLost",
    endpoint,
    host,
    ...(code === undefined ? {} : { detail: code })
  })
}

/** The system's error code, however deep the HTTP client wrapped it. Codes are constants, so they are safe to show. */
const causeCode = (cause: unknown, depth = 0): string | undefined => {
  if (!Predicate.isObject(cause) || depth > 5) return undefined
  if ("code" in cause && typeof cause.code === "string" && /^[A-Z][A-Z0-9_/]{1,60}$/.test(cause.code)) return cause.code
  if ("errors" in cause && Array.isArray(cause.errors)) {
    for (const inner of cause.errors) {
      const code = causeCode(inner, depth + 1)
      if (code !== undefined) return code
    }
  }
  return "cause" in cause ? causeCode(cause.cause, depth + 1) : undefined
}

export const hostOf = (url: string) => {
  const parsed = URL.parse(url)
  return parsed === null ? "?" : parsed.host
}
