import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { AnswerRejected, ConfigurationInvalid, printable, type ProviderUnavailable } from "../AuthError.ts"
import * as Deviation from "./Deviation.ts"
import { hostOf, malformed, objectOf, send } from "./HttpExchange.ts"
import { mayName } from "./Reach.ts"
import { configuredUrl, isSecure } from "./SecureUrl.ts"

const Strings = Schema.optionalKey(Schema.Array(Schema.String))
const Text = Schema.optionalKey(Schema.String)
// Whatever else stands there is no yes: a document is not lost over it.
const Flag = Schema.optionalKey(
  Schema.Unknown.pipe(
    Schema.decodeTo(
      Schema.Boolean,
      SchemaTransformation.transform({ decode: (flag) => flag === true || flag === "true", encode: (flag) => flag })
    )
  )
)

/** Those that a client itself sends its requests to. */
const direct = {
  pushed_authorization_request_endpoint: Text,
  token_endpoint: Text,
  device_authorization_endpoint: Text,
  userinfo_endpoint: Text,
  introspection_endpoint: Text,
  revocation_endpoint: Text
}
const endpoints = { ...direct, authorization_endpoint: Text, end_session_endpoint: Text, jwks_uri: Text }

/**
 * What a provider says of itself (OpenID Connect Discovery section 3, RFC 8414 section 2), in the wire's own names;
 * members Keyfob does not use are dropped.
 */
export const ProviderMetadata = Schema.Struct({
  issuer: Schema.String,
  ...endpoints,
  token_endpoint_auth_methods_supported: Strings,
  token_endpoint_auth_signing_alg_values_supported: Strings,
  introspection_endpoint_auth_methods_supported: Strings,
  introspection_endpoint_auth_signing_alg_values_supported: Strings,
  revocation_endpoint_auth_methods_supported: Strings,
  revocation_endpoint_auth_signing_alg_values_supported: Strings,
  grant_types_supported: Strings,
  code_challenge_methods_supported: Strings,
  require_pushed_authorization_requests: Flag,
  authorization_response_iss_parameter_supported: Flag,
  dpop_signing_alg_values_supported: Strings,
  tls_client_certificate_bound_access_tokens: Flag,
  /** Where requests with a client certificate go instead; a browser never does (RFC 8705 section 5). */
  mtls_endpoint_aliases: Schema.optionalKey(Schema.Struct(direct))
})
export type ProviderMetadata = typeof ProviderMetadata.Type

/** Checks an issuer as somebody configured it (RFC 8414 section 2): it is compared character for character later. */
export const parseIssuer = (issuer: string): Effect.Effect<URL, ConfigurationInvalid> =>
  Effect.mapError(configuredUrl("issuer", issuer), (error) =>
    error.reason === "InvalidValue"
      ? new ConfigurationInvalid({ reason: "InvalidIssuer", detail: printable(withoutUserInfo(issuer)) })
      : error
  )

/**
 * The metadata of a server that publishes none: the issuer and the endpoints that somebody wrote down, by their names in
 * the metadata (`token_endpoint`, `jwks_uri`, …). They are all there is: nothing is mixed with what a document says, since
 * endpoints of two origins under one issuer are how a client is led to give one server's code to another (RFC 9700
 * section 4.4). Without `jwks_uri` no ID token can be verified.
 */
export const configured = Effect.fnUntraced(function* (
  issuer: string,
  given: Readonly<Record<string, string>>
): Effect.fn.Return<ProviderMetadata, ConfigurationInvalid> {
  yield* parseIssuer(issuer)
  for (const [name, value] of Object.entries(given)) {
    const shown = `${printable(name)} ${printable(withoutUserInfo(value))}`
    if (!Object.hasOwn(endpoints, name)) {
      const detail = `endpoint ${printable(name)}; there is ${Object.keys(endpoints).join(", ")}`
      return yield* new ConfigurationInvalid({ reason: "UnknownName", detail })
    }
    const url = URL.parse(value)
    if (url === null) return yield* new ConfigurationInvalid({ reason: "InvalidValue", detail: shown })
    if (!isSecure(url)) return yield* new ConfigurationInvalid({ reason: "InsecureUrl", detail: shown })
  }
  return { issuer, ...given }
})

/** Not by the rules of URLs: what stands before an @ may be a password, wherever a mistake has put the slashes. */
const withoutUserInfo = (text: string) => text.replace(/^([a-z]+:)?.*@/is, "$1//…@")

/**
 * Reads the provider's metadata from `/.well-known/openid-configuration` behind the issuer, else from
 * `/.well-known/oauth-authorization-server` before its path (RFC 8414 section 3).
 *
 * The document's issuer must be the asked one, character for character (RFC 8414 section 3.3). One deviation is
 * harmless, and common among those who type issuers: a slash at the end, more or less. Both spellings name the same
 * document, and from here on the document's own counts.
 */
export const discover = Effect.fn("keyfob.discover")(function* (
  http: HttpClient.HttpClient,
  issuer: string
): Effect.fn.Return<ProviderMetadata, ConfigurationInvalid | ProviderUnavailable | AnswerRejected> {
  const url = yield* parseIssuer(issuer)
  yield* Effect.annotateCurrentSpan({ issuer })
  const path = url.pathname.replace(/\/$/, "")
  const get = (location: string) =>
    send(http, "discovery", HttpClientRequest.get(`${url.origin}${location}`), "idempotent")
  const openId = yield* get(`${path}/.well-known/openid-configuration`)
  const answer =
    openId.status === 200 && openId.json !== undefined
      ? openId
      : yield* Effect.map(get(`/.well-known/oauth-authorization-server${path}`), (rfc8414) =>
          rfc8414.status === 200 ? rfc8414 : openId
        )
  if (answer.status !== 200) return yield* malformed(answer, `status ${answer.status}`)
  const stated = yield* objectOf(answer)
  // Some servers write null for what they do not have.
  const document = Object.fromEntries(Object.entries(stated).filter(([, value]) => value !== null))
  const metadata = yield* Effect.mapError(Schema.decodeUnknownEffect(ProviderMetadata)(document), () =>
    malformed(answer, "not a provider's metadata document")
  )
  if (metadata.issuer !== issuer) {
    if (metadata.issuer.replace(/\/$/, "") !== issuer.replace(/\/$/, "")) {
      return yield* new AnswerRejected({
        reason: "IssuerMismatch",
        endpoint: "discovery",
        host: hostOf(issuer),
        detail: `asked for ${issuer}, it states ${printable(withoutUserInfo(metadata.issuer))}`
      })
    }
    yield* Deviation.note("issuer differs by a slash at its end")
  }
  yield* checkEndpoints(metadata, url)
  return metadata
})

/**
 * Endpoints must be as safe as the issuer: https (plain http only when the issuer itself is on a loopback address), and not
 * in a network that it is not of. Who has one there all the same writes the endpoints down.
 */
const checkEndpoints = Effect.fnUntraced(function* (metadata: ProviderMetadata, issuer: URL) {
  const aliases = Object.entries(metadata.mtls_endpoint_aliases ?? {})
  for (const [name, value] of [...Object.entries(metadata), ...aliases]) {
    if (typeof value !== "string" || name === "issuer") continue
    const url = URL.parse(value)
    if (url === null || !isSecure(url) || !mayName(issuer.hostname, url.hostname)) {
      return yield* new AnswerRejected({
        reason: "InsecureEndpoint",
        endpoint: "discovery",
        host: issuer.host,
        detail: `${name} ${printable(withoutUserInfo(value))}`
      })
    }
  }
})
