import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type * as HttpBody from "effect/http/HttpBody"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { ConfigurationInvalid, printable, type StepUpRequired } from "../AuthError.ts"
import * as ClientCertificate from "../protocol/ClientCertificate.ts"
import { isSecure } from "../protocol/SecureUrl.ts"
import * as Dpop from "../protocol/Dpop.ts"
import * as StepUp from "../protocol/StepUp.ts"
import type { AccessToken } from "../Token.ts"
import type { TokenError, TokenSource } from "./TokenSource.ts"

export interface AuthorizedHttpClientOptions {
  /**
   * The origins that may see the token, for example `https://api.example.com`; http on loopback addresses alone. Requests
   * elsewhere go without it.
   */
  readonly origins: ReadonlyArray<string>
  /** The statuses that renew the token. Default: 401 alone; some APIs say 403 to a token that has ended. */
  readonly refreshOn?: ReadonlyArray<401 | 403>
  /** Presented to the allowed origins, since tokens may be bound to it (RFC 8705 section 3). */
  readonly certificate?: ClientCertificate.CertificateSource
}

/** What a request can fail with beyond the client's own errors. */
export type AuthorizationError = TokenError | StepUpRequired

/**
 * An `HttpClient` that puts the source's token on requests to the allowed origins (RFC 6750 section 2.1), with a proof of
 * its key where it has one (RFC 9449 section 7). Redirects are handed back: `HttpClient.followRedirects` around this client
 * follows them with the token for each origin that may see it; the client that is given must not follow any.
 *
 * A 401 renews the token and sends the request once more; of many, the first renews for all. It does not where that cannot
 * help: the API wants more of the person than the token shows, which is a `StepUpRequired` (RFC 9470, RFC 6750 section 3.1),
 * or takes no such tokens, or the body is a stream that is not {@link replayable}: then the 401 is the answer. So it is to
 * a token that this very call renewed: a call has one renewal.
 */
export const make = Effect.fnUntraced(function* <E, R>(
  source: Effect.Effect<TokenSource, E, R>,
  options: AuthorizedHttpClientOptions
): Effect.fn.Return<
  HttpClient.HttpClient.With<HttpClientError.HttpClientError | AuthorizationError>,
  E | ConfigurationInvalid,
  R | HttpClient.HttpClient
> {
  const tokens = yield* source
  const http = yield* HttpClient.HttpClient
  const certificate = yield* ClientCertificate.resolve(options.certificate)
  const origins = yield* originsOf(options)
  const refreshOn: ReadonlyArray<number> = options.refreshOn ?? [401]
  const prover = Dpop.makeProver()
  return HttpClient.transform(http, (unauthorized, request) => {
    const origin = URL.parse(request.url)?.origin
    if (origin === undefined || !origins.has(origin)) return unauthorized
    // Past the client's preprocessing, which this request has been through.
    const send = (authorized: HttpClientRequest.HttpClientRequest) =>
      Effect.provideService(
        unfollowed(http.postprocess(Effect.succeed(authorized))),
        ClientCertificate.Presented,
        certificate
      )
    const isRepeatable = canRepeat(request.body)
    const sendWith = Effect.fnUntraced(function* (token: AccessToken) {
      if (token.type === "N_A") {
        return yield* new ConfigurationInvalid({
          reason: "NotSupported",
          detail: "requests with what is no access token"
        })
      }
      const bearing = HttpClientRequest.setHeader(request, "authorization", Redacted.value(token.authorization))
      const { clockOffset, dpopKey: key, value: accessToken } = token
      if (key === undefined) return yield* send(bearing)
      const proven = Effect.flatMap(prover.prove(bearing, { key, accessToken, clockOffset }), send)
      const attempt = Effect.tap(proven, ({ headers }) => Effect.sync(() => prover.heed(request.url, headers)))
      const response = yield* attempt
      return response.status === 401 && Dpop.wantsNonce(response.headers) && isRepeatable ? yield* attempt : response
    })
    const judged = (response: HttpClientResponse.HttpClientResponse) => {
      const needed = StepUp.neededFor(response, origin)
      return needed === undefined ? Effect.succeed(response) : Effect.fail(needed)
    }
    return Effect.gen(function* () {
      const { isNew, token } = yield* asked(tokens)
      const response = yield* Effect.flatMap(sendWith(token), judged)
      const helps = !isNew && refreshOn.includes(response.status) && StepUp.isAboutToken(response)
      if (!helps || !isRepeatable) return response
      return yield* Effect.flatMap(sendWith(yield* tokens.renewedSince(token)), judged)
    })
  })
})

/** The token, and whether this call has waited for the renewal that brought it. */
const asked = ({ observe, token }: TokenSource) =>
  Effect.gen(function* () {
    let isNew = false
    yield* observe(({ _tag }) => {
      if (_tag === "Renewed") isNew = true
    })
    return { token: yield* token, isNew }
  }).pipe(Effect.scoped)

/** Only the fetch client follows redirects unasked: the token would go along, and a proof is for one address. */
const unfollowed = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.provideService(effect, FetchHttpClient.RequestInit, {
      ...Context.getOrUndefined(context, FetchHttpClient.RequestInit),
      redirect: "manual"
    })
  )

const originsOf = Effect.fnUntraced(function* (options: AuthorizedHttpClientOptions) {
  const origins = new Set<string>()
  for (const origin of options.origins) {
    const url = URL.parse(origin)
    const detail = `origin ${printable(origin)}`
    // A star is a legal host name, and nobody's: who writes one means something that is not offered.
    if (url === null || url.origin === "null" || url.href !== `${url.origin}/` || url.hostname.includes("*")) {
      return yield* new ConfigurationInvalid({ reason: "InvalidValue", detail })
    }
    if (!isSecure(url)) return yield* new ConfigurationInvalid({ reason: "InsecureUrl", detail })
    origins.add(url.origin)
  }
  return origins
})

const replayables = new WeakSet<HttpBody.HttpBody>()

/**
 * Says of a body that its stream gives the same bytes each time it is run, so that a request with it may be sent again:
 * a stream is a description, but nobody sees whether a file, say, or a socket is behind it.
 */
export const replayable = (body: HttpBody.Stream): HttpBody.Stream => {
  replayables.add(body)
  return body
}

/** Whether a body can be sent twice: a stream cannot, be it Effect's or the platform's, unless somebody said so. */
const canRepeat = (body: HttpBody.HttpBody) => {
  if (replayables.has(body)) return true
  if (body._tag !== "Raw") return body._tag !== "Stream"
  return !Predicate.hasProperty(body.body, "getReader") && !Predicate.hasProperty(body.body, Symbol.asyncIterator)
}
