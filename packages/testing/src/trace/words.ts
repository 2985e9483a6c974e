/** What a trace keeps as it is: the protocols' own vocabulary, which says nothing about anybody. */

const list = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/**
 * Values that are kept wherever they stand (RFC 6749, 6750, 7009, 7518, 7523, 7636, 7662, 8414, 8628, 8693, 8707, 9126,
 * 9449; OpenID Connect Core, Discovery).
 */
export const values = list(`
  authorization_code client_credentials refresh_token password implicit access_token id_token
  urn:ietf:params:oauth:grant-type:device_code urn:ietf:params:oauth:grant-type:jwt-bearer
  urn:ietf:params:oauth:grant-type:token-exchange urn:ietf:params:oauth:grant-type:saml2-bearer
  urn:openid:params:grant-type:ciba
  urn:ietf:params:oauth:token-type:access_token urn:ietf:params:oauth:token-type:refresh_token
  urn:ietf:params:oauth:token-type:id_token urn:ietf:params:oauth:token-type:jwt
  urn:ietf:params:oauth:client-assertion-type:jwt-bearer
  bearer Bearer BEARER DPoP dpop Basic basic N_A mac MAC
  code token none query fragment form_post form_post.jwt query.jwt fragment.jwt jwt web native public pairwise
  client_secret_basic client_secret_post client_secret_jwt private_key_jwt tls_client_auth self_signed_tls_client_auth
  plain S256 openid profile email address phone offline_access
  RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519 HS256 HS384 HS512
  RSA EC OKP oct P-256 P-384 P-521 sig enc JWT jwt at+jwt AT+JWT dpop+jwt verify sign
  login consent select_account page popup touch wap normal aggregated distributed
  invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope invalid_target
  access_denied unsupported_response_type server_error temporarily_unavailable authorization_pending slow_down
  expired_token invalid_token insufficient_scope unsupported_token_type interaction_required login_required
  account_selection_required consent_required invalid_request_uri invalid_request_object request_not_supported
  request_uri_not_supported registration_not_supported invalid_redirect_uri invalid_client_metadata
  invalid_software_statement unapproved_software_statement use_dpop_nonce invalid_dpop_proof
  insufficient_user_authentication not_found rate_limited
`)

/** Members, parameters and claims that are kept by name. Another name may be a secret itself: a number stands for it. */
export const names = list(`
  access_token token_type expires_in refresh_token refresh_expires_in refresh_token_expires_in ext_expires_in id_token
  scope error error_description error_uri state iss issuer code nonce
  grant_type response_type response_mode client_id client_secret client_assertion client_assertion_type redirect_uri
  username password assertion device_code user_code verification_uri verification_url verification_uri_complete interval
  code_verifier code_challenge code_challenge_method token token_type_hint audience resource request request_uri prompt
  display max_age ui_locales login_hint id_token_hint acr_values post_logout_redirect_uri logout_hint
  subject_token subject_token_type actor_token actor_token_type requested_token_type issued_token_type may_act act
  sub aud exp nbf iat jti azp auth_time acr amr at_hash c_hash s_hash sid typ alg kid cnf jkt events htm htu ath
  name given_name family_name middle_name nickname preferred_username profile picture website email email_verified
  gender birthdate zoneinfo locale phone_number phone_number_verified address updated_at roles groups
  active keys kty use crv key_ops x y n e x5c x5t x5t#S256
  authorization_endpoint token_endpoint userinfo_endpoint jwks_uri registration_endpoint revocation_endpoint
  introspection_endpoint end_session_endpoint check_session_iframe device_authorization_endpoint
  pushed_authorization_request_endpoint backchannel_authentication_endpoint scopes_supported response_types_supported
  response_modes_supported grant_types_supported acr_values_supported subject_types_supported
  id_token_signing_alg_values_supported id_token_encryption_alg_values_supported
  userinfo_signing_alg_values_supported request_object_signing_alg_values_supported
  token_endpoint_auth_methods_supported token_endpoint_auth_signing_alg_values_supported
  revocation_endpoint_auth_methods_supported introspection_endpoint_auth_methods_supported
  introspection_signing_alg_values_supported display_values_supported claim_types_supported claims_supported
  claims_locales_supported ui_locales_supported claims_parameter_supported request_parameter_supported
  request_uri_parameter_supported require_request_uri_registration code_challenge_methods_supported
  dpop_signing_alg_values_supported authorization_response_iss_parameter_supported
  require_pushed_authorization_requests tls_client_certificate_bound_access_tokens service_documentation op_policy_uri op_tos_uri mtls_endpoint_aliases
  client_name redirect_uris grant_types response_types token_endpoint_auth_method registration_access_token
  registration_client_uri client_id_issued_at client_secret_expires_at
`)

/** Who and what for, as the client was configured, where it is no URL: public once a provider knows it. */
export const identifiers = list("client_id aud azp audience")

/** Nothing under these names is kept, not even a word: somebody's password may be `password`. */
export const hidden = list(`
  access_token refresh_token id_token client_secret client_assertion username password assertion code device_code
  user_code code_verifier token subject_token actor_token registration_access_token state nonce sub jti sid
  login_hint id_token_hint logout_hint error_description error_uri name given_name family_name middle_name nickname
  preferred_username picture website email gender birthdate zoneinfo locale phone_number roles groups
`)

/** Numbers of seconds. */
export const durations = list(
  "expires_in interval refresh_expires_in refresh_token_expires_in ext_expires_in max_age client_secret_expires_at"
)

/** Instants, in seconds since 1970. */
export const instants = list("exp nbf iat auth_time updated_at")

/** The metadata's names of URLs, and what a trace calls them. */
export const endpoints: Readonly<Record<string, string>> = {
  authorization_endpoint: "authorization",
  token_endpoint: "token",
  jwks_uri: "jwks",
  userinfo_endpoint: "userinfo",
  device_authorization_endpoint: "device_authorization",
  revocation_endpoint: "revocation",
  introspection_endpoint: "introspection",
  end_session_endpoint: "end_session",
  registration_endpoint: "registration",
  pushed_authorization_request_endpoint: "pushed_authorization_request"
}

/** Where providers put their metadata. */
export const wellKnown = /\/\.well-known\/(?:openid-configuration|oauth-authorization-server)(?=\/|$)/

export const methods = list("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE QUERY")

/** Media types that decide how a body is read; others are only "something else". */
export const mediaType = (header: string): string => {
  const type = header.replace(/;.*$/s, "").trim().toLowerCase()
  if (mediaTypes.has(type)) return type
  return /^application\/[^/]+\+json$/.test(type) ? "application/x+json" : "application/octet-stream"
}

const mediaTypes = list(`
  application/json application/jwt application/x-www-form-urlencoded application/jwk-set+json application/problem+json
  application/x+json text/html text/plain text/xml application/xml
`)
