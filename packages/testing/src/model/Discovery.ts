import * as Effect from "effect/Effect"
import { prompts } from "./Authorization.ts"
import { assertionAlgorithms } from "./ClientAuthentication.ts"
import * as Dpop from "./Dpop.ts"
import { json, type Response } from "./Http.ts"
import { grants } from "./Token.ts"
import { locate, type Turn } from "./Turn.ts"

/** What the provider says of itself (OpenID Connect Discovery section 3, RFC 8414 section 2): the same at both places. */
export const discovery = (turn: Turn): Effect.Effect<Response> => {
  const { algorithms, issuer, openRegistration, scopes } = turn.state.settings
  const authentications = [
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "none"
  ] as const
  const signedWith = Object.values(assertionAlgorithms).flat()
  return Effect.succeed(
    json(
      {
        issuer,
        authorization_endpoint: locate(turn, "/authorize"),
        token_endpoint: locate(turn, "/token"),
        device_authorization_endpoint: locate(turn, "/device_authorization"),
        pushed_authorization_request_endpoint: locate(turn, "/par"),
        userinfo_endpoint: locate(turn, "/userinfo"),
        introspection_endpoint: locate(turn, "/introspect"),
        revocation_endpoint: locate(turn, "/revoke"),
        end_session_endpoint: locate(turn, "/end_session"),
        ...(openRegistration ? { registration_endpoint: locate(turn, "/register") } : {}),
        jwks_uri: locate(turn, "/jwks"),
        scopes_supported: scopes,
        claim_types_supported: ["normal"],
        claims_parameter_supported: false,
        // Where this one is left out, true is meant.
        request_uri_parameter_supported: false,
        claims_supported: ["sub", "name", "preferred_username", "email", "email_verified", "iss"],
        grant_types_supported: Object.keys(grants),
        response_types_supported: ["code"],
        response_modes_supported: ["query", "fragment", "form_post"],
        prompt_values_supported: prompts,
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: algorithms,
        code_challenge_methods_supported: ["S256"],
        token_endpoint_auth_methods_supported: authentications,
        token_endpoint_auth_signing_alg_values_supported: signedWith,
        introspection_endpoint_auth_methods_supported: authentications,
        introspection_endpoint_auth_signing_alg_values_supported: signedWith,
        revocation_endpoint_auth_methods_supported: authentications,
        revocation_endpoint_auth_signing_alg_values_supported: signedWith,
        dpop_signing_alg_values_supported: Dpop.algorithms,
        tls_client_certificate_bound_access_tokens: true,
        authorization_response_iss_parameter_supported: true
      },
      200,
      { "cache-control": "public, max-age=3600" }
    )
  )
}
