import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Schema from "effect/Schema"
import type { JSONWebKeySet } from "jose"
import * as ClientCertificate from "./ClientCertificate.ts"
import { json, type Response } from "./Http.ts"
import { seconds } from "./Issue.ts"
import { refuse, type Refusal } from "./Refusal.ts"
import type { ClientMetadata } from "./Settings.ts"
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
  grant_types: Strings,
  response_types: Strings,
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

/** A client registers itself (RFC 7591 section 3). */
export const registration = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  if (!turn.state.settings.openRegistration) {
    return yield* refuse("invalid_token", "registration is not open", { status: 401 })
  }
  const said = yield* Effect.mapError(decode(turn.request.body), () =>
    refuse("invalid_client_metadata", "the client metadata is not what RFC 7591 has")
  )
  const grantTypes = said.grant_types ?? ["authorization_code"]
  const redirects = said.redirect_uris ?? []
  if (!redirects.every((uri) => URL.canParse(uri) && !uri.includes("#"))) {
    return yield* refuse("invalid_redirect_uri", "redirect_uris must be absolute URIs without a fragment")
  }
  if (grantTypes.includes("authorization_code") && redirects.length === 0) {
    return yield* refuse("invalid_redirect_uri", "redirect_uris is mandatory property")
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
