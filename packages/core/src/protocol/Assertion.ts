/** JWTs that somebody else has issued, for a client or for whom it acts for: by a platform, say, for a workload that runs on it. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { type AnswerRejected, ConfigurationInvalid, printable, type ProviderUnavailable } from "../AuthError.ts"
import { isSecure } from "./SecureUrl.ts"
import { malformed, objectOf, send } from "./HttpExchange.ts"

/**
 * Where such a JWT comes from (RFC 7521 section 3). Run for each request that needs one, so that the next one is used when
 * the platform rotates it; a source that wants to keep one does so itself. The HTTP client it gets is a plain one: without
 * the client certificate that the provider is shown, and its answers teach nothing about the provider's clock.
 */
export type AssertionSource = Effect.Effect<
  Redacted.Redacted,
  ConfigurationInvalid | ProviderUnavailable | AnswerRejected,
  HttpClient.HttpClient
>

export interface UrlOptions {
  /** https, or http on a loopback address. What its query says is shown nowhere. */
  readonly url: string
  /** Who may ask, as a bearer token (RFC 6750 section 2.1). */
  readonly bearer?: Redacted.Redacted
  /** The member of the answer, a JSON object, that is the JWT. Default: `value`. */
  readonly member?: string
}

/** Asks a URL for it, by GET: bounded in size and time, redirects refused. */
export const url = Effect.fnUntraced(function* ({
  bearer,
  member = "value",
  url
}: UrlOptions): Effect.fn.Return<
  Redacted.Redacted,
  ConfigurationInvalid | ProviderUnavailable | AnswerRejected,
  HttpClient.HttpClient
> {
  const parsed = URL.parse(url)
  if (parsed === null || !isSecure(parsed)) {
    const detail = `the client assertion's URL ${parsed === null ? "is none" : printable(parsed.origin + parsed.pathname)}`
    return yield* new ConfigurationInvalid({ reason: parsed === null ? "InvalidValue" : "InsecureUrl", detail })
  }
  const request = HttpClientRequest.get(parsed)
  const asking = bearer === undefined ? request : HttpClientRequest.bearerToken(request, bearer)
  const answer = yield* send(yield* HttpClient.HttpClient, "assertion", asking, "idempotent")
  if (answer.status !== 200) return yield* malformed(answer, `status ${answer.status}`)
  const found = (yield* objectOf(answer))[member]
  if (typeof found !== "string") return yield* malformed(answer, `${printable(member)} is missing or wrong`)
  return Redacted.make(found)
})

/**
 * What GitHub Actions says of the job that runs (`permissions: id-token: write`), from the variables it sets:
 * `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
 *
 * @param options.audience whom it is for; default: the URL of the repository's owner, as GitHub has it
 */
export const gitHubActions = (options: { readonly audience?: string | undefined } = {}): AssertionSource =>
  Effect.gen(function* () {
    const { bearer, where } = yield* Effect.mapError(
      Config.all({
        where: Config.String("ACTIONS_ID_TOKEN_REQUEST_URL"),
        bearer: Config.Redacted("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
      }),
      () =>
        new ConfigurationInvalid({
          reason: "MissingValue",
          detail: "ACTIONS_ID_TOKEN_REQUEST_URL or _TOKEN; does the job have the permission id-token: write?"
        })
    )
    const audience = options.audience === undefined ? "" : `&audience=${encodeURIComponent(options.audience)}`
    return yield* url({ url: `${where}${audience}`, bearer })
  })
