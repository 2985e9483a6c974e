import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { compactVerify, createLocalJWKSet, type JSONWebKeySet } from "jose"
import { accessTokenHash } from "./accessTokenHash.ts"
import { isObject, jsonOf, longestBody, type RawBody, type RawExchange, type RawOutcome, type Verdicts } from "./Raw.ts"
import { type Options, redact } from "./Redaction.ts"
import { standStill } from "./standStill.ts"
import type { Jwt, Trace } from "./Trace.ts"

/** What was recorded so far. */
export class Recorder extends Context.Service<
  Recorder,
  {
    /** The exchanges since the layer was built, without secrets. */
    readonly trace: Effect.Effect<Trace>
  }
>()("@keyfob/testing/Recorder") {}

/**
 * Records what goes through an `HttpClient`, which stays what it was for those who use it. Secrets are held in memory
 * until the trace is asked for, and are not in it.
 *
 * ```ts
 * const layer = Trace.record().pipe(Layer.provide(NodeHttpClient.layerUndici))
 * ```
 */
export const record = (
  options: Options = {}
): Layer.Layer<Recorder | HttpClient.HttpClient, never, HttpClient.HttpClient> =>
  Layer.effectContext(
    Effect.map(HttpClient.HttpClient, (client) => {
      const recorded: Array<RawExchange> = []
      const recording = HttpClient.transform(client, (sent, request) =>
        Effect.gen(function* () {
          const at = yield* Clock.currentTimeMillis
          const exchange = exchangeOf(request, at)
          const index = recorded.push(exchange) - 1
          const end = (outcomeOf: (after: number) => RawOutcome) =>
            Effect.map(Clock.currentTimeMillis, (now) => {
              recorded[index] = { ...exchange, outcome: outcomeOf(now - at) }
            })
          const broken = (error: HttpClientError) => {
            const code = systemCode(error.reason.cause)
            return end((after) => ({ _tag: "Broken", after, ...(code === undefined ? {} : { code }) }))
          }
          const response = yield* Effect.tapError(sent, broken)
          const { headers, status } = response
          const answered = (body: RawBody) => end((after) => ({ _tag: "Answered", after, status, headers, body }))
          if (!isReadable(response)) {
            yield* answered({})
            return response
          }
          const bytes = yield* Effect.tapError(bytesOf(response), broken)
          yield* answered(new TextDecoder().decode(bytes))
          return withBody(response, bytes)
        })
      )
      const trace = Effect.suspend(() => {
        const sofar = [...recorded]
        return Effect.map(
          standStill(() => verdictsOn(sofar)),
          (verdicts) => redact(sofar, verdicts, options)
        )
      })
      return Context.make(Recorder, { trace }).pipe(Context.add(HttpClient.HttpClient, recording))
    })
  )

const exchangeOf = (request: HttpClientRequest.HttpClientRequest, at: number): RawExchange => ({
  at,
  method: request.method,
  url: Option.match(HttpClientRequest.toUrl(request), { onNone: () => request.url, onSome: ({ href }) => href }),
  headers: {
    ...request.headers,
    ...("contentType" in request.body && request.body.contentType !== undefined
      ? { "content-type": request.body.contentType }
      : {})
  },
  body: bodyOf(request.body),
  outcome: { _tag: "Unanswered" }
})

const bodyOf = (body: HttpClientRequest.HttpClientRequest["body"]): RawBody => {
  if (body._tag === "Empty") return ""
  return body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : {}
}

/**
 * Whether the body is one that protocols speak in: downloads and event streams are none of a trace's business, nor is a
 * text whose end nobody has announced, such as a log that is being followed.
 */
const isReadable = ({ headers, status }: HttpClientResponse.HttpClientResponse) => {
  const type = headers["content-type"] ?? "application/json"
  const ends = !/\bplain\b/i.test(type) || headers["content-length"] !== undefined
  return (
    status >= 200 && status <= 599 && ends && /\b(?:json|jwt|html|plain)\b/i.test(type) && !/seq|stream/i.test(type)
  )
}

const readers: ReadonlySet<PropertyKey> = new Set<keyof HttpClientResponse.HttpClientResponse>([
  "arrayBuffer",
  "formData",
  "json",
  "stream",
  "text",
  "urlParamsBody"
])

/** The same response, whose body was read already. A new one would not have its cookies: of several, the headers make one text. */
const withBody = (response: HttpClientResponse.HttpClientResponse, bytes: Uint8Array<ArrayBuffer>) => {
  const { headers, request, status } = response
  const hasBody = ![101, 103, 204, 205, 304].includes(status)
  const read = HttpClientResponse.fromWeb(request, new Response(hasBody ? bytes : null, { status, headers }))
  return new Proxy(response, { get: (target, name) => Reflect.get(readers.has(name) ? read : target, name) })
}

const bytesOf = (response: HttpClientResponse.HttpClientResponse) =>
  response.stream.pipe(
    Stream.mkUint8Array,
    Effect.catchIf(
      (error) => error.reason._tag === "EmptyBodyError",
      () => Effect.succeed(new Uint8Array())
    )
  )

/** The system's error code, however deep the HTTP client wrapped it. */
const systemCode = (cause: unknown, depth = 0): string | undefined => {
  if (!Predicate.isObject(cause) || depth > 5) return undefined
  if (Predicate.hasProperty(cause, "code") && typeof cause.code === "string" && /^[A-Z][A-Z_]{2,40}$/.test(cause.code))
    return cause.code
  if (Predicate.hasProperty(cause, "errors") && Array.isArray(cause.errors)) {
    return cause.errors.map((inner) => systemCode(inner, depth + 1)).find((code) => code !== undefined)
  }
  return Predicate.hasProperty(cause, "cause") ? systemCode(cause.cause, depth + 1) : undefined
}

/** Holds every JWT against the keys that were published, so that a replay can sign those that fitted. */
const verdictsOn = async (recorded: ReadonlyArray<RawExchange>): Promise<Verdicts> => {
  const texts = recorded
    .flatMap(({ body, outcome }) => [body, outcome._tag === "Answered" ? outcome.body : ""])
    .filter((text) => typeof text === "string")
    .filter(({ length }) => length <= longestBody)
  const documents = texts.map(jsonOf).filter(isObject)
  const keys = documents.flatMap(({ keys }) => (Array.isArray(keys) ? keys.filter(isObject) : []))
  const signatures = new Map<string, Jwt["jwt"]["signature"]>()
  // From the start of a word only: anywhere else it would look at a long word once for each of its letters.
  for (const jwt of texts.flatMap((text) => text.match(/(?<![\w-])[\w-]+\.[\w-]+\.[\w-]*/g) ?? [])) {
    if (!signatures.has(jwt)) signatures.set(jwt, await verdictOn(jwt, keys))
  }
  const accessTokenHashes = new Set<string>()
  for (const { access_token } of documents) {
    if (typeof access_token !== "string") continue
    for (const size of [256, 384, 512]) accessTokenHashes.add(await accessTokenHash(access_token, `SHA-${size}`))
  }
  return { signatures, accessTokenHashes }
}

const verdictOn = async (jwt: string, keys: ReadonlyArray<object>): Promise<Jwt["jwt"]["signature"]> => {
  try {
    // jose checks each key's members when it takes the one it needs.
    await compactVerify(jwt, createLocalJWKSet({ keys: [...keys] } as JSONWebKeySet))
    return "good"
  } catch (error) {
    return Predicate.hasProperty(error, "code") && error.code === "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"
      ? "bad"
      : "unchecked"
  }
}
