import * as Duration from "effect/Duration"
import type { JSONWebKeySet } from "jose"

/** Signature algorithms the provider can sign with. */
export type SigningAlgorithm = "RS256" | "PS256" | "ES256" | "ES384" | "EdDSA"

/** Claims about a person (OpenID Connect Core section 5.1), besides `sub`. */
export interface Claims {
  readonly name?: string
  readonly preferred_username?: string
  readonly email?: string
  readonly email_verified?: boolean
}

/** A client as it is registered, in the words of RFC 7591 section 2; `jwks` for `private_key_jwt` and `self_signed_tls_client_auth`. */
export interface ClientMetadata {
  readonly client_id: string
  readonly client_secret?: string
  readonly client_name?: string
  readonly application_type?: "web" | "native"
  /** Default: `client_secret_basic`. */
  readonly token_endpoint_auth_method?:
    | "none"
    | "client_secret_basic"
    | "client_secret_post"
    | "client_secret_jwt"
    | "private_key_jwt"
    | "tls_client_auth"
    | "self_signed_tls_client_auth"
  /** Default: `authorization_code`. */
  readonly grant_types?: ReadonlyArray<string>
  readonly response_types?: ReadonlyArray<string>
  readonly redirect_uris?: ReadonlyArray<string>
  readonly post_logout_redirect_uris?: ReadonlyArray<string>
  readonly jwks?: JSONWebKeySet
  /** Default: the provider's first algorithm. */
  readonly id_token_signed_response_alg?: SigningAlgorithm
  /** Its tokens are bound to a key (RFC 9449 section 5.2). */
  readonly dpop_bound_access_tokens?: boolean
  /** Whom the certificate of `tls_client_auth` names (RFC 8705 section 2.1.2). Kept, not compared: nothing here reads X.509. */
  readonly tls_client_auth_subject_dn?: string
  readonly tls_client_auth_san_dns?: string
  /**
   * The client's certificate: SHA-256 over its DER as base64url, what `x5t#S256` has. In no RFC. `tls_client_auth` needs
   * it, `self_signed_tls_client_auth` takes it as well as the `x5t#S256` and `x5c` of `jwks`.
   */
  readonly certificate_thumbprint?: string
  /** Its tokens are bound to its certificate (RFC 8705 section 3.4). */
  readonly tls_client_certificate_bound_access_tokens?: boolean
  /** RFC 9126 section 6. */
  readonly require_pushed_authorization_requests?: boolean
}

/** Somebody else whose JWTs are taken as grants (RFC 7523 section 2.1). */
export interface TrustedIssuer {
  readonly issuer: string
  readonly jwks: JSONWebKeySet
}

/** What a provider can be made with. All lifetimes are rounded up to whole seconds, as OAuth has them. */
export interface ProviderOptions {
  /** Default: `https://id.simulated.test`; behind a socket, the address of the server. It may have a path. */
  readonly issuer?: string
  /** Where ids and tokens come from: equal seeds, equal tokens. Default: `keyfob`. */
  readonly seed?: string
  /** Who can sign in, by subject. Default: alice and bob. */
  readonly people?: Readonly<Record<string, Claims>>
  /** Registered besides the ones of {@link clients}. */
  readonly clients?: ReadonlyArray<ClientMetadata>
  /** Default: `openid offline_access profile email api:read api:write`. Others that are asked for are left out of the grant. */
  readonly scopes?: ReadonlyArray<string>
  /** One signing key each; the first signs where a client names none. Default: ES256. */
  readonly algorithms?: readonly [SigningAlgorithm, ...ReadonlyArray<SigningAlgorithm>]
  /** Default: `opaque`. JWTs are as RFC 9068 has them. */
  readonly accessTokens?: "opaque" | "jwt"
  /** What else is in the JWTs about a subject: claims of a deployment's own, `https://example.com/user_id`. Default: nothing. */
  readonly accessTokenClaims?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Default: an hour. */
  readonly accessTokenLifetime?: Duration.Input
  /** How long a refresh token is good if it is not used: each use starts anew. Default: 14 days. */
  readonly refreshTokenIdle?: Duration.Input
  /** How long a sign-in is good, whatever the number of refreshes. Default: 90 days. */
  readonly refreshTokenLifetime?: Duration.Input
  /** Who gets a refresh token: who asked for `offline_access` (the default), or every client that may refresh. */
  readonly refreshTokens?: "offline_access" | "always"
  /** Whether each refresh brings a new refresh token and spends the old one. Default: true. */
  readonly rotation?: boolean
  /** For how long a spent refresh token is taken once more without suspicion. Default: zero. */
  readonly graceInterval?: Duration.Input
  /** Default: 60 seconds. */
  readonly authorizationCodeLifetime?: Duration.Input
  /** Default: 10 minutes. */
  readonly deviceCodeLifetime?: Duration.Input
  /** Between two polls; who polls faster is told to slow down. Default: 5 seconds. */
  readonly deviceInterval?: Duration.Input
  /** How long keys stay published after a rotation. Default: a day. */
  readonly retiredKeysStay?: Duration.Input
  /** How long clients may keep the key set (`Cache-Control: max-age`). Default: 10 minutes. */
  readonly keysMaxAge?: Duration.Input
  /** Whether DPoP proofs need a nonce of ours (RFC 9449 section 8). Default: false. */
  readonly dpopNonces?: boolean
  /** How long a DPoP nonce is good. Default: 5 minutes. */
  readonly dpopNonceLifetime?: Duration.Input
  /** Default: nobody. */
  readonly trustedIssuers?: ReadonlyArray<TrustedIssuer>
  /** What an unregistered client may do at the registration endpoint. Default: true, it may register. */
  readonly openRegistration?: boolean
}

/** The clients every provider knows: the same as those of Keyfob's embedded provider. */
export const clients = {
  /** Public, native; signs people in. */
  cli: {
    client_id: "keyfob-cli",
    client_name: "Keyfob",
    application_type: "native",
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    response_types: ["code"],
    redirect_uris: ["http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback"],
    post_logout_redirect_uris: ["http://127.0.0.1/callback"]
  },
  /** A machine with HTTP Basic. Its secret holds what must be form-encoded first (RFC 6749 section 2.3.1). */
  billing: {
    client_id: "billing",
    client_secret: 's3cret:+/= %&~"\\',
    token_endpoint_auth_method: "client_secret_basic",
    grant_types: ["client_credentials"]
  },
  /** A machine with its secret in the form. */
  billingPost: {
    client_id: "billing-post",
    client_secret: "post s3cret&+%=/",
    token_endpoint_auth_method: "client_secret_post",
    grant_types: ["client_credentials"]
  }
} as const satisfies Readonly<Record<string, ClientMetadata>>

const people: Readonly<Record<string, Claims>> = {
  alice: { name: "Alice Example", preferred_username: "alice", email: "alice@example.com", email_verified: true },
  bob: { name: "Bob Example", preferred_username: "bob", email: "bob@example.com", email_verified: false }
}

/** The options with every default in its place: plain data, lifetimes in milliseconds. */
export interface Settings {
  readonly issuer: string
  readonly seed: string
  readonly people: Readonly<Record<string, Claims>>
  readonly clients: ReadonlyArray<ClientMetadata>
  readonly scopes: ReadonlyArray<string>
  readonly algorithms: readonly [SigningAlgorithm, ...ReadonlyArray<SigningAlgorithm>]
  readonly accessTokens: "opaque" | "jwt"
  readonly accessTokenClaims: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly accessTokenLifetime: number
  readonly refreshTokenIdle: number
  readonly refreshTokenLifetime: number
  readonly refreshTokens: "offline_access" | "always"
  readonly rotation: boolean
  readonly graceInterval: number
  readonly authorizationCodeLifetime: number
  readonly deviceCodeLifetime: number
  readonly deviceInterval: number
  readonly retiredKeysStay: number
  readonly keysMaxAge: number
  readonly dpopNonces: boolean
  readonly dpopNonceLifetime: number
  readonly trustedIssuers: ReadonlyArray<TrustedIssuer>
  readonly openRegistration: boolean
}

export const settle = (options: ProviderOptions): Settings => {
  const settings = withDefaults(options)
  // What the registration endpoint would refuse: told here, and not by a defect when somebody signs in.
  for (const client of settings.clients) {
    const {
      client_id,
      id_token_signed_response_alg: wanted,
      post_logout_redirect_uris = [],
      redirect_uris = []
    } = client
    if (wanted !== undefined && !settings.algorithms.includes(wanted)) {
      throw new Error(`the client ${client_id} wants ID tokens in ${wanted}, which is not in algorithms`)
    }
    const relative = [...redirect_uris, ...post_logout_redirect_uris].find((uri) => !URL.canParse(uri))
    if (relative !== undefined)
      throw new Error(`the client ${client_id} has a redirect URI that is not absolute: ${relative}`)
  }
  return settings
}

const withDefaults = (options: ProviderOptions): Settings => ({
  issuer: options.issuer ?? "https://id.simulated.test",
  seed: options.seed ?? "keyfob",
  people: options.people ?? people,
  clients: [...Object.values(clients), ...(options.clients ?? [])],
  scopes: options.scopes ?? ["openid", "offline_access", "profile", "email", "api:read", "api:write"],
  algorithms: options.algorithms ?? ["ES256"],
  accessTokens: options.accessTokens ?? "opaque",
  accessTokenClaims: options.accessTokenClaims ?? {},
  accessTokenLifetime: wholeSeconds(options.accessTokenLifetime ?? "1 hour"),
  refreshTokenIdle: wholeSeconds(options.refreshTokenIdle ?? "14 days"),
  refreshTokenLifetime: wholeSeconds(options.refreshTokenLifetime ?? "90 days"),
  refreshTokens: options.refreshTokens ?? "offline_access",
  rotation: options.rotation ?? true,
  graceInterval: wholeSeconds(options.graceInterval ?? 0),
  authorizationCodeLifetime: wholeSeconds(options.authorizationCodeLifetime ?? "60 seconds"),
  deviceCodeLifetime: wholeSeconds(options.deviceCodeLifetime ?? "10 minutes"),
  deviceInterval: wholeSeconds(options.deviceInterval ?? "5 seconds"),
  retiredKeysStay: wholeSeconds(options.retiredKeysStay ?? "1 day"),
  keysMaxAge: wholeSeconds(options.keysMaxAge ?? "10 minutes"),
  dpopNonces: options.dpopNonces ?? false,
  dpopNonceLifetime: wholeSeconds(options.dpopNonceLifetime ?? "5 minutes"),
  trustedIssuers: options.trustedIssuers ?? [],
  openRegistration: options.openRegistration ?? true
})

const wholeSeconds = (duration: Duration.Input) => Math.ceil(Duration.toSeconds(duration)) * 1000
