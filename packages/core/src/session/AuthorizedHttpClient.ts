import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { ConfigurationInvalid, printable } from "../AuthError.ts"
import { isSecure } from "../protocol/Discovery.ts"
import type { AccessToken } from "../Token.ts"
import type { TokenError, TokenSource } from "./TokenSource.ts"

export interface AuthorizedHttpClientOptions {
  /**
   * The origins that may see the token, for example `https://api.example.com`; http on loopback addresses alone. Requests
   * elsewhere go without it.
   */
  readonly origins: ReadonlyArray<string>
}

/**
 * An `HttpClient` that puts the source's token on requests to the allowed origins (RFC 6750 section 2.1). A 401 renews
 * the token and sends the request once more, unless its body is a stream that cannot be had twice; a 403 is the answer.
 */
export const make = Effect.fnUntraced(function* <E, R>(
  source: Effect.Effect<TokenSource, E, R>,
  options: AuthorizedHttpClientOptions
): Effect.fn.Return<
  HttpClient.HttpClient.With<HttpClientError.HttpClientError | TokenError>,
  E | ConfigurationInvalid,
  R | HttpClient.HttpClient
> {
  const tokens = yield* source
  const http = yield* HttpClient.HttpClient
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
  return HttpClient.transform(http, (unauthorized, request) => {
    const origin = URL.parse(request.url)?.origin
    if (origin === undefined || !origins.has(origin)) return unauthorized
    // Past the client's preprocessing, which this request has been through.
    const sendWith = (token: AccessToken) =>
      http.postprocess(Effect.succeed(HttpClientRequest.bearerToken(request, token.value)))
    return Effect.gen(function* () {
      const token = yield* tokens.token
      const response = yield* sendWith(token)
      if (response.status !== 401 || !isRepeatable(request.body)) return response
      return yield* sendWith(yield* tokens.renewedSince(token))
    })
  })
})

/** Whether a body can be sent twice: a stream cannot, be it Effect's or the platform's. */
const isRepeatable = (body: HttpBody.HttpBody) => {
  if (body._tag !== "Raw") return body._tag !== "Stream"
  return !Predicate.hasProperty(body.body, "getReader") && !Predicate.hasProperty(body.body, Symbol.asyncIterator)
}
