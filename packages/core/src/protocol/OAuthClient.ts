import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { AccessToken, DpopKey } from "../Token.ts"
import { firstSuccess } from "./FirstSuccess.ts"
import {
  type AnswerRejected,
  ConfigurationInvalid,
  type Endpoint,
  ProviderRefused,
  type ProviderUnavailable
} from "../AuthError.ts"
import * as ClientAuthentication from "./ClientAuthentication.ts"
import * as ClientCertificate from "./ClientCertificate.ts"
import * as Deviation from "./Deviation.ts"
import * as Discovery from "./Discovery.ts"
import * as Dpop from "./Dpop.ts"
import { type Answer, certificateAlertOf, hostOf, type Repeat, send } from "./HttpExchange.ts"
import * as Jwks from "./Jwks.ts"
import * as ProviderClock from "./ProviderClock.ts"
import * as ProviderProfile from "./ProviderProfile.ts"

/** Which server it is, and how to find its endpoints. */
export interface ServerOptions {
  /** The provider's issuer URL. */
  readonly issuer: string
  /**
   * For a server without a discovery document: its endpoints, by their names in the metadata (`token_endpoint`, …). No
   * document is asked for then, and what is not named is not there. ID tokens need `jwks_uri`.
   */
  readonly endpoints?: Readonly<Record<string, string>>
  /** In what it differs from the RFCs, or from the profile that its address tells. */
  readonly profile?: Partial<ProviderProfile.ProviderProfile>
}

/** A client as it is registered at a provider. */
export interface ClientOptions extends ServerOptions {
  readonly clientId: string
  /** Default: none, a public client. */
  readonly authentication?: ClientAuthentication.ClientAuthentication
  /**
   * Whether tokens are bound to a key (RFC 9449), so that who steals one cannot use it. A provider that answers with a
   * token that is not bound is refused. Default: false.
   */
  readonly dpop?: boolean
  /**
   * Presented at the provider's endpoints, and nowhere else (RFC 8705): by it the client may authenticate, and to it the
   * provider may bind tokens. `AuthorizedHttpClient` presents it to an API.
   */
  readonly certificate?: ClientCertificate.CertificateSource
  /**
   * Whether tokens are bound to the certificate (RFC 8705 section 3), so that who steals one cannot use it. A token that is
   * not, or of which nobody can tell (opaque, at a provider that does not introspect it for us), is refused. Default: false.
   */
  readonly certificateBoundAccessTokens?: boolean
}

/** A request's form: a list repeats the parameter, `undefined` leaves it out. */
export type Form = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** What the metadata can fail with, and so everything that needs it. */
export type MetadataError = ConfigurationInvalid | ProviderUnavailable | AnswerRejected

/** A client at work: knows the provider's metadata and keys, and authenticates its requests. */
export interface OAuthClient {
  readonly clientId: string
  readonly http: HttpClient.HttpClient
  /** For requests to others than the provider: no certificate is presented, and their answers say nothing of its clock. */
  readonly network: HttpClient.HttpClient
  readonly profile: ProviderProfile.ProviderProfile
  /** What time it is at the provider, as far as it has said so. */
  readonly clock: ProviderClock.ProviderClock
  /** Read from the provider at the first use, then kept; or what was configured in its place. */
  readonly metadata: Effect.Effect<Discovery.ProviderMetadata, MetadataError>
  /** The provider's signing keys. */
  readonly jwks: Effect.Effect<Jwks.Jwks, MetadataError>
  /** The URL of an endpoint; fails where the provider has none. */
  readonly endpoint: (name: EndpointName) => Effect.Effect<string, MetadataError>
  /** The key that new tokens are bound to: made at the first use, then kept. Absent where none are. */
  readonly dpopKey?: Effect.Effect<DpopKey, MetadataError>
  /** Presented at the provider's endpoints. */
  readonly certificate?: ClientCertificate.ClientCertificate
  /** Whether its tokens have to be bound to that. */
  readonly certificateBoundAccessTokens: boolean
  /** Posts a form to an endpoint as this client; with a key, it is proven that we hold it (RFC 9449 section 5). */
  readonly post: (
    endpoint: EndpointName & Endpoint,
    form: Form,
    repeat: Repeat,
    dpopKey?: DpopKey
  ) => Effect.Effect<Answer, MetadataError | ProviderRefused>
  /** A GET with an access token (RFC 6750 section 2.1), and the proof of its key where it has one (RFC 9449 section 7.1). */
  readonly getWithToken: (
    endpoint: EndpointName & Endpoint,
    token: AccessToken
  ) => Effect.Effect<Answer, MetadataError | ProviderRefused>
}

export type EndpointName =
  | "authorization"
  | "pushed_authorization_request"
  | "token"
  | "device_authorization"
  | "userinfo"
  | "introspection"
  | "revocation"
  | "end_session"

/** Makes a client. Talks to nobody yet; fails when the issuer is not usable or a configured secret is missing. */
export const make = Effect.fnUntraced(function* (
  options: ClientOptions
): Effect.fn.Return<OAuthClient, ConfigurationInvalid, HttpClient.HttpClient> {
  yield* Discovery.parseIssuer(options.issuer)
  const network = yield* HttpClient.HttpClient
  const { clock, http } = yield* ProviderClock.observing(network, hostOf(options.issuer))
  const authentication = yield* ClientAuthentication.resolve(options.authentication ?? ClientAuthentication.none)
  const certificate = yield* ClientCertificate.resolve(options.certificate)
  const { certificateBoundAccessTokens = false } = options
  if (certificate === undefined && ClientAuthentication.isTls(authentication)) return yield* noCertificate
  const profile = { ...ProviderProfile.of(options.issuer), ...options.profile }
  const completed = Effect.fnUntraced(function* (document: Discovery.ProviderMetadata) {
    const whole = ProviderProfile.completed(profile, document)
    if (whole !== document) yield* Deviation.note("device_authorization_endpoint is missing")
    return whole
  })
  const metadata =
    options.endpoints === undefined
      ? yield* firstSuccess(Effect.flatMap(Discovery.discover(http, options.issuer), completed))
      : Effect.succeed(yield* Discovery.configured(options.issuer, options.endpoints))
  const lacks = lacking(options)
  const jwks = yield* firstSuccess(
    Effect.flatMap(metadata, ({ issuer, jwks_uri }) =>
      jwks_uri === undefined ? Effect.fail(lacks(issuer, "jwks_uri")) : Jwks.make(http, jwks_uri, clock)
    )
  )
  const endpoint: OAuthClient["endpoint"] = (name) =>
    Effect.flatMap(metadata, (document) => {
      const aliases: Readonly<Record<string, string>> =
        certificate === undefined ? {} : (document.mtls_endpoint_aliases ?? {})
      const url = aliases[`${name}_endpoint`] ?? document[`${name}_endpoint`]
      if (name === "token" && certificateBoundAccessTokens) {
        if (certificate === undefined) return Effect.fail(noCertificate)
        // `false` alone is a no: many that bind tokens do not say so. The token that comes is checked in any case.
        if (document.tls_client_certificate_bound_access_tokens === false) {
          return Effect.fail(lacks(document.issuer, "certificate-bound access tokens"))
        }
      }
      return url === undefined ? Effect.fail(lacks(document.issuer, `${name}_endpoint`)) : Effect.succeed(url)
    })
  const prover = Dpop.makeProver()
  const presenting = ClientCertificate.presenting(http, certificate)
  /**
   * Sends a request, with a DPoP proof where there is a key. Sends it a second time where the answer says what was missing:
   * the nonce that the proof must have, or the provider's time, by which proofs and client assertions are dated.
   */
  const exchange = Effect.fnUntraced(function* (
    name: Endpoint,
    request: Effect.Effect<HttpClientRequest.HttpClientRequest, MetadataError>,
    repeat: Repeat,
    proving?: Omit<Dpop.Proving, "clockOffset">
  ) {
    let url = ""
    const proven = Effect.gen(function* () {
      const unproven = yield* request
      url = unproven.url
      if (proving === undefined) return unproven
      return yield* prover.prove(unproven, { ...proving, clockOffset: yield* clock.offset })
    })
    const attempt = Effect.tap(send(presenting, name, proven, repeat), ({ headers }) =>
      Effect.sync(() => (proving === undefined ? undefined : prover.heed(url, headers)))
    ).pipe(Effect.catchTag("ProviderUnavailable", (failure) => Effect.fail(refusedCertificate(failure) ?? failure)))
    const before = (yield* clock.offset) ?? 0
    const answer = yield* attempt
    const error = answer.json?.["error"]
    const isDated =
      (error === "invalid_client" && ClientAuthentication.isDated(authentication)) ||
      (error === "invalid_dpop_proof" && proving !== undefined)
    const wasMisdated = isDated && ((yield* clock.offset) ?? 0) !== before
    const wantsNonce = proving !== undefined && Dpop.wantsNonce(answer.headers, error)
    return wasMisdated || wantsNonce ? yield* attempt : answer
  })
  let takesJson = profile.tokenRequest === "json"
  const post: OAuthClient["post"] = (name, form, repeat, key) => {
    let wasForm = false
    const request = Effect.gen(function* () {
      const url = yield* endpoint(name)
      const proof = yield* ClientAuthentication.prove(
        authentication,
        options.clientId,
        ClientAuthentication.at(name, yield* metadata),
        yield* clock.now,
        profile
      ).pipe(Effect.provideService(HttpClient.HttpClient, network))
      const parameters = { ...ProviderProfile.worded(profile, form), ...proof.form }
      const unwritten = HttpClientRequest.setHeaders(HttpClientRequest.post(url), proof.headers)
      wasForm = name !== "token" || !takesJson
      if (wasForm) return HttpClientRequest.bodyUrlParams(unwritten, pairs(parameters))
      yield* Deviation.note("token requests are JSON")
      return HttpClientRequest.bodyJsonUnsafe(unwritten, Object.fromEntries(given(parameters)))
    })
    const attempt = exchange(name, request, repeat, key && { key })
    return Effect.flatMap(attempt, (answer) => {
      if (answer.status !== 415 || name !== "token" || !wasForm) return Effect.succeed(answer)
      // A form was turned down unread, so nothing in it is spent.
      takesJson = true
      return attempt
    })
  }
  const getWithToken: OAuthClient["getWithToken"] = (name, token) => {
    const request = Effect.map(endpoint(name), (url) =>
      HttpClientRequest.get(url).pipe(HttpClientRequest.setHeader("authorization", Redacted.value(token.authorization)))
    )
    const key = token.dpopKey
    return exchange(name, request, "idempotent", key && { key, accessToken: token.value })
  }
  const dpopKey = yield* firstSuccess(
    Effect.flatMap(metadata, ({ dpop_signing_alg_values_supported: algorithms, issuer }) =>
      algorithms === undefined || algorithms.includes(Dpop.algorithm)
        ? Dpop.makeKey
        : Effect.fail(lacks(issuer, `DPoP with ${Dpop.algorithm}`))
    )
  )
  return {
    clientId: options.clientId,
    http,
    network,
    profile,
    clock,
    metadata,
    jwks,
    endpoint,
    ...(options.dpop === true ? { dpopKey } : {}),
    ...(certificate === undefined ? {} : { certificate }),
    certificateBoundAccessTokens,
    post,
    getWithToken
  }
})

const noCertificate = new ConfigurationInvalid({ reason: "MissingValue", detail: "client certificate" })

const lacking =
  ({ endpoints }: ServerOptions) =>
  (issuer: string, member: string) => {
    const where = endpoints === undefined ? "" : " among the endpoints that are configured for it"
    return new ConfigurationInvalid({ reason: "NotSupported", detail: `${issuer} has no ${member}${where}` })
  }

const refusedCertificate = (failure: ProviderUnavailable) => {
  const code = certificateAlertOf(failure)
  const { endpoint, host } = failure
  return code === undefined ? undefined : new ProviderRefused({ reason: "InvalidCertificate", endpoint, host, code })
}

const pairs = (form: Form): ReadonlyArray<readonly [string, string]> =>
  given(form).flatMap(([name, value]) =>
    typeof value === "string" ? [[name, value] as const] : value.map((one) => [name, one] as const)
  )

/** The parameters that are there: `undefined` and empty lists are left out. */
const given = (form: Form) =>
  Object.entries(form).flatMap(([name, value]) =>
    value === undefined || (typeof value !== "string" && value.length === 0) ? [] : [[name, value] as const]
  )
