import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { JSONWebKeySet } from "jose"
import { isLoopback } from "./Authorization.ts"
import * as ClientCertificate from "./ClientCertificate.ts"
import { json, type Response } from "./Http.ts"
import { seconds } from "./Issue.ts"
import { refuse, type Refusal } from "./Refusal.ts"
import type { ClientMetadata } from "./Settings.ts"
import { grants } from "./Token.ts"
import { draw, type Turn } from "./Turn.ts"

const Strings = Schema.optionalKey(Schema.Array(Schema.String))

/** A key, of which jose checks the rest when it is used. */
const Key = Schema.StructWithRest(Schema.Struct({ x5c: Strings, "x5t#S256": Schema.optionalKey(Schema.String) }), [
  Schema.Record(Schema.String, Schema.Unknown)
])

/** What a client may say of itself (RFC 7591 section 2); other members are left out of the answer. */
const Registration = Schema.Struct({
  client_name: Schema.optionalKey(Schema.String),
  application_type: Schema.optionalKey(Schema.Literals(["web", "native"])),
  token_endpoint_auth_method: Schema.optionalKey(
    Schema.Literals([
      "none",
      "client_secret_basic",
      "client_secret_post",
      "client_secret_jwt",
      "private_key_jwt",
      "tls_client_auth",
      "self_signed_tls_client_auth"
    ])
  ),
  grant_types: Schema.optionalKey(Schema.Array(Schema.Literals(Object.keys(grants)))),
  response_types: Schema.optionalKey(Schema.Array(Schema.Literal("code"))),
  redirect_uris: Strings,
  post_logout_redirect_uris: Strings,
  jwks_uri: Schema.optionalKey(Schema.String),
  jwks: Schema.optionalKey(Schema.Struct({ keys: Schema.Array(Key) })),
  id_token_signed_response_alg: Schema.optionalKey(Schema.Literals(["RS256", "PS256", "ES256", "ES384", "EdDSA"])),
  dpop_bound_access_tokens: Schema.optionalKey(Schema.Boolean),
  tls_client_auth_subject_dn: Schema.optionalKey(Schema.String),
  tls_client_auth_san_dns: Schema.optionalKey(Schema.String),
  certificate_thumbprint: Schema.optionalKey(Schema.String),
  tls_client_certificate_bound_access_tokens: Schema.optionalKey(Schema.Boolean),
  require_pushed_authorization_requests: Schema.optionalKey(Schema.Boolean)
})
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Registration))

/** Of the web, or of a native application: by claimed https, loopback or a name of its own (RFC 8252 section 7). */
const isRedirect = (uri: string, type: "web" | "native") => {
  const url = URL.parse(uri)
  if (url === null || uri.includes("#")) return false
  if (url.protocol === "https:") return true
  if (url.protocol === "http:") return type === "web" || isLoopback(url)
  return type === "native" && url.protocol.includes(".")
}

/** A client registers itself (RFC 7591 section 3). */
export const registration = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  if (!turn.state.settings.openRegistration) {
    return yield* refuse("invalid_token", "registration is not open", {
      status: 401,
      headers: { "www-authenticate": `Bearer realm="${turn.state.settings.issuer}"` }
    })
  }
  const said = yield* Effect.mapError(decode(turn.request.body), ({ issue }) => {
    const [first] = SchemaIssue.makeFormatterStandardSchemaV1()(issue).issues
    const where = first?.path?.map(String).join(".") || "the client metadata"
    return refuse("invalid_client_metadata", `${where} is not what RFC 7591 has, or not supported`)
  })
  const grantTypes = said.grant_types ?? ["authorization_code"]
  const hasCode = grantTypes.includes("authorization_code")
  const redirects = said.redirect_uris ?? []
  if (!redirects.every((uri) => isRedirect(uri, said.application_type ?? "web"))) {
    return yield* refuse(
      "invalid_redirect_uri",
      "redirect_uris must be absolute, without a fragment, and as the application_type has them"
    )
  }
  if (!(said.post_logout_redirect_uris ?? []).every((uri) => URL.canParse(uri))) {
    return yield* refuse("invalid_client_metadata", "post_logout_redirect_uris must be absolute URIs")
  }
  if (hasCode && redirects.length === 0) {
    return yield* refuse("invalid_redirect_uri", "redirect_uris is mandatory property")
  }
  const responseTypes = said.response_types ?? (hasCode ? ["code"] : [])
  if (responseTypes.length > 0 && !hasCode) {
    return yield* refuse("invalid_client_metadata", "response_types do not go with the grant_types")
  }
  const algorithm = said.id_token_signed_response_alg
  if (algorithm !== undefined && !turn.state.settings.algorithms.includes(algorithm)) {
    return yield* refuse("invalid_client_metadata", "id_token_signed_response_alg is none of the provider's")
  }
  const method = said.token_endpoint_auth_method ?? "client_secret_basic"
  const { jwks, jwks_uri, ...rest } = said
  if (jwks_uri !== undefined) {
    return yield* refuse("invalid_client_metadata", "jwks_uri is not supported: keys are registered as jwks")
  }
  if (method === "private_key_jwt" && (jwks?.keys ?? []).length === 0) {
    return yield* refuse("invalid_client_metadata", "private_key_jwt needs keys: jwks is mandatory property")
  }
  const client: ClientMetadata = {
    ...rest,
    client_id: draw(turn, 21),
    token_endpoint_auth_method: method,
    grant_types: grantTypes,
    response_types: responseTypes,
    ...(method.startsWith("client_secret") ? { client_secret: draw(turn, 64) } : {}),
    // Each key is checked by jose when it is used.
    ...(jwks === undefined ? {} : { jwks: jwks as unknown as JSONWebKeySet })
  }
  const { tls_client_auth_san_dns, tls_client_auth_subject_dn } = client
  if (
    method === "tls_client_auth" &&
    (tls_client_auth_san_dns === undefined) === (tls_client_auth_subject_dn === undefined)
  ) {
    return yield* refuse("invalid_client_metadata", "tls_client_auth needs exactly one name of the certificate")
  }
  if (ClientCertificate.isMethod(method) && (yield* ClientCertificate.registered(client)).length === 0) {
    return yield* refuse("invalid_client_metadata", `${method} needs a certificate`)
  }
  turn.state = { ...turn.state, clients: HashMap.set(turn.state.clients, client.client_id, client) }
  const secret = client.client_secret === undefined ? {} : { client_secret_expires_at: 0 }
  return json({ ...client, client_id_issued_at: seconds(turn.now), ...secret }, 201)
})
