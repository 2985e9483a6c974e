import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as HttpClient from "effect/http/HttpClient"
import { type Credential, CredentialKey } from "../Credential.ts"
import type { LoginFailed, LoginRequired, ProviderRefused, StoreFailed, TokenRejected } from "../AuthError.ts"
import type { ExpectedIdToken } from "../protocol/Jwt.ts"
import type { ClientOptions, MetadataError, OAuthClient } from "../protocol/OAuthClient.ts"
import type { Granted, Withheld } from "../protocol/TokenEndpoint.ts"

/** What a flow is made from. */
export interface FlowOptions extends ClientOptions {
  readonly scopes?: ReadonlyArray<string>
  /** The API the token is for, at providers that want it so. */
  readonly audience?: string
  /** The API the token is for (RFC 8707), absolute URIs. */
  readonly resource?: ReadonlyArray<string>
  /** Further request parameters a provider wants. They cannot replace the flow's own. */
  readonly params?: Readonly<Record<string, string>>
  /** The caller's name for whose credential this is; credentials of two names are never shared. Default: `default`. */
  readonly account?: string
}

/** What talking to the provider for a token can fail with. */
export type GrantError = MetadataError | ProviderRefused

/** What an unattended flow can fail with. It may exchange the token of another source, which may need a login of its own. */
export type UnattendedError = GrantError | TokenRejected | LoginRequired | StoreFailed

/**
 * A token that somebody else has issued, or that another source gives. Run for each request that needs one, so that the
 * next is read when it rotates; an HTTP client is at hand, which is not the provider's.
 */
export type SomebodysToken = Effect.Effect<Redacted.Redacted, UnattendedError, HttpClient.HttpClient>

/** How many token requests a provider grants a client, where that has a price or an end. */
export interface TokenBudget {
  readonly limit: number
  readonly per: Duration.Input
}

/** What every flow has. */
export interface FlowParts {
  readonly key: CredentialKey
  readonly client: ClientOptions
  /**
   * The token that settings bring, where they do. A credential that is kept under the same key counts only if its session
   * began with this very token (`Terms`); where settings bring none, any does.
   */
  readonly brought?: Redacted.Redacted | undefined
  /**
   * How long before its end a token is renewed at the latest: from then on callers wait for the next. Of a token that lives
   * less than twice as long it is half the life. Default: a share of the life, a minute at most.
   */
  readonly margin?: Duration.Duration | undefined
  /**
   * How its token is renewed, where not by RFC 6749 section 6. Runs with the credential marked as being spent. An answer
   * whose access token must not be used, but which has a refresh token, is `Withheld`: the session goes on with that.
   */
  readonly refresh?: (
    client: OAuthClient,
    refreshToken: Redacted.Redacted,
    credential: Credential
  ) => Effect.Effect<Granted | Withheld, GrantError>
  /** How its tokens are taken back, where not by RFC 7009. */
  readonly revoke?: (client: OAuthClient, credential: Credential) => Effect.Effect<void, GrantError>
}

/** What an unattended flow brings and, where that is known, whose session it belongs to. */
export interface Assigned extends Granted, Partial<Pick<Credential, "account" | "signedInAt" | "begunWith">> {}

/** A flow that a machine runs on its own, as often as it needs to. */
export interface UnattendedFlow extends FlowParts {
  readonly attended: false
  /** Its runs are counted against this. */
  readonly budget?: TokenBudget
  readonly obtain: (client: OAuthClient) => Effect.Effect<Assigned, UnattendedError>
  /** Whether what it signs in with is still there, as far as can be told without asking anybody. Default: it is. */
  readonly canObtain?: Effect.Effect<boolean>
  /**
   * Forgets what it signs in with, for a flow whose session takes the place of that (`Once`). Called when such a session is
   * there, and at a logout. Default: nothing is forgotten, since a machine signs in again.
   */
  readonly forget?: Effect.Effect<void>
}

/** What a login brought, and what its ID token must show since it was asked for. */
export interface Obtained extends Granted {
  readonly asked?: Pick<ExpectedIdToken, "maxAge" | "acrValues"> & { readonly nonce?: Redacted.Redacted }
}

/** A flow that needs a person; `R` is how it reaches them. Runs in a login alone, whose scope it has. */
export interface AttendedFlow<R> extends FlowParts {
  readonly attended: true
  readonly obtain: (
    client: OAuthClient
  ) => Effect.Effect<Obtained, GrantError | TokenRejected | LoginFailed, R | Scope.Scope>
}

/** One way to obtain a credential, and the key it is kept under. */
export type Flow<R = never> = UnattendedFlow | AttendedFlow<R>

/** Parameters that say who asks, and with what: the flow sets them, and extra parameters must not. */
const reserved =
  /^(client_|grant_type$|refresh_token$|device_code$|code$|code_|redirect_uri$|assertion$|subject_token|actor_token|requested_token_type$|response_|state$|nonce$|request$|request_uri$|iss$)/

/** The parameters that shape the token, in every request that may carry them. */
export const shapeOf = (key: CredentialKey) => ({
  ...Object.fromEntries(Object.entries(key.params).filter(([name]) => !reserved.test(name))),
  scope: key.scopes.length === 0 ? undefined : key.scopes.join(" "),
  audience: key.audience,
  resource: key.resource
})

/** The grants that bring a token on somebody's word. */
export const grantTypes = {
  jwtBearer: "urn:ietf:params:oauth:grant-type:jwt-bearer",
  tokenExchange: "urn:ietf:params:oauth:grant-type:token-exchange"
} as const

/** The token for one request of the flow's. */
export const tokenFrom = (source: SomebodysToken, { network }: OAuthClient) =>
  Effect.provideService(source, HttpClient.HttpClient, network)

/**
 * The key and the client of a flow.
 *
 * @param grant the parameters of a grant that brings another token than the subject's usual one: part of the key alone
 */
export const partsOf = (
  subject: CredentialKey["subject"],
  options: FlowOptions,
  grant: Readonly<Record<string, string>> = {}
) => {
  const { account, audience, params, resource, scopes, ...client } = options
  const key = CredentialKey.make({
    issuer: client.issuer,
    clientId: client.clientId,
    account: account ?? "default",
    subject,
    scopes: scopes ?? [],
    resource: resource ?? [],
    params: { ...params, ...grant },
    ...(audience === undefined ? {} : { audience }),
    ...(client.profile?.bearer === "id_token" ? { bearer: "id_token" } : {}),
    ...(client.dpop === true ? { dpop: true } : {}),
    ...(client.certificateBoundAccessTokens === true ? { certificateBoundAccessTokens: true } : {})
  })
  return { key, client }
}
