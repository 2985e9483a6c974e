/// <reference path="./oidc-provider.d.ts" />
import type { JWK } from "jose"
import type { IncomingMessage } from "node:http"
import { TLSSocket } from "node:tls"
import { type Context, errors } from "oidc-provider"
import { type Claims, clients } from "./Directory.ts"
import type { Acting } from "./grants.ts"
import * as MemoryAdapter from "./MemoryAdapter.ts"
import * as pages from "./pages.ts"

/** What varies from one provider to the next; lifetimes in whole seconds, since that is what OAuth has. */
export interface Settings {
  readonly audience: string
  readonly accounts: Readonly<Record<string, Claims>>
  readonly clients: ReadonlyArray<Readonly<Record<string, unknown>>>
  readonly keys: ReadonlyArray<JWK>
  readonly accessTokenTtl: number
  readonly refreshTokenTtl: number
  readonly deviceCodeTtl: number
  readonly rotateRefreshTokens: boolean
  readonly dpopNonces: boolean
  readonly acrValues: ReadonlyArray<string>
  readonly extraParams: ReadonlyArray<string>
  readonly deviceAuthorizationPath: string
  /** Where client certificates are asked for. */
  readonly mtlsOrigin?: string
  readonly acting: Acting
}

const aliases = (origin: string, deviceAuthorizationPath: string) => ({
  token_endpoint: `${origin}/token`,
  revocation_endpoint: `${origin}/token/revocation`,
  introspection_endpoint: `${origin}/token/introspection`,
  device_authorization_endpoint: `${origin}${deviceAuthorizationPath}`,
  userinfo_endpoint: `${origin}/me`
})

const certificateOf = ({ socket }: IncomingMessage) =>
  socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined

const asymmetric = "RS PS ES".split(" ").flatMap((kind) => [256, 384, 512].map((size) => `${kind}${size}`))

/** What the API behind the provider understands. */
const apiScopes = "api:read api:write"

const machine = (client: { readonly id: string; readonly secret: string }, method: string) => ({
  client_id: client.id,
  client_secret: client.secret,
  token_endpoint_auth_method: method,
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: []
})

const registered = [
  {
    client_id: clients.cli.id,
    client_name: "Keyfob",
    application_type: "native", // so that a loopback redirect may use any port (RFC 8252, 7.3)
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    response_types: ["code"],
    redirect_uris: ["http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback"],
    post_logout_redirect_uris: ["http://127.0.0.1/callback"]
  },
  machine(clients.billing, "client_secret_basic"),
  machine(clients.billingPost, "client_secret_post")
]

/**
 * The provider's configuration: its own defaults, and every function it would otherwise print a notice about. Where a
 * function merely repeats the default, the notice is why it is here.
 */
export const make = (settings: Settings): Record<string, unknown> => ({
  adapter: MemoryAdapter.make(),
  jwks: { keys: settings.keys },
  clients: [...registered, ...settings.clients],
  clientAuthMethods: [
    "none",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    ...(settings.mtlsOrigin === undefined ? [] : ["tls_client_auth", "self_signed_tls_client_auth"])
  ],
  ...(settings.mtlsOrigin === undefined
    ? {}
    : { discovery: { mtls_endpoint_aliases: aliases(settings.mtlsOrigin, settings.deviceAuthorizationPath) } }),
  routes: { device_authorization: settings.deviceAuthorizationPath },
  acrValues: settings.acrValues,
  extraParams: settings.extraParams,
  enabledJWA: { clientAuthSigningAlgValues: ["HS256", "HS384", "HS512", ...asymmetric, "EdDSA", "Ed25519"] },
  clockTolerance: 0, // tests wait for tokens to expire; 15 s of grace would make them wait longer
  cookies: { keys: [crypto.randomUUID()] },
  claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
  // pages of its own origin; browsers send theirs with each POST, and the provider asks
  clientBasedCORS: (_context: Context, origin: string) => origin === new URL(settings.audience).origin,
  findAccount: (_context: Context, sub: string) =>
    Object.hasOwn(settings.accounts, sub)
      ? { accountId: sub, claims: async () => ({ sub, ...settings.accounts[sub] }) }
      : undefined,
  rotateRefreshToken: settings.rotateRefreshTokens,
  renderError: pages.failed,
  extraTokenClaims: (_context: Context, token: object) => {
    const sub = settings.acting.get(token)
    return sub === undefined ? undefined : { act: { sub } }
  },
  features: {
    devInteractions: { enabled: false },
    mTLS: {
      enabled: settings.mtlsOrigin !== undefined,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: ({ req }: Context) => certificateOf(req)?.toString(),
      certificateAuthorized: ({ req }: Context) => req.socket instanceof TLSSocket && req.socket.authorized,
      certificateSubjectMatches: ({ req }: Context, property: string, expected: string) =>
        property === "tls_client_auth_san_dns" && certificateOf(req)?.subjectAltName === `DNS:${expected}`
    },
    clientCredentials: { enabled: true },
    dPoP: {
      enabled: true,
      nonceSecret: crypto.getRandomValues(Buffer.alloc(32)),
      requireNonce: () => settings.dpopNonces
    },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: pages.deviceCode,
      userCodeConfirmSource: pages.deviceConfirm,
      successSource: pages.deviceDone
    },
    introspection: {
      enabled: true,
      // a public client may ask about its own tokens only: it cannot prove who it is
      allowedPolicy: (_context: Context, client: Client, token: { readonly clientId: string }) =>
        client.clientAuthMethod !== "none" || token.clientId === client.clientId
    },
    revocation: {
      enabled: true,
      allowedPolicy: (_context: Context, client: Client, token: { readonly clientId: string }) =>
        token.clientId === client.clientId
    },
    rpInitiatedLogout: { enabled: true, logoutSource: pages.signOut, postLogoutSuccessSource: pages.signedOut },
    resourceIndicators: {
      enabled: true,
      // a machine has nobody's userinfo to read: without a `resource` parameter its token is for the API
      defaultResource: (_context: Context, client: Client, oneOf?: string) =>
        oneOf ?? (client.grantTypeAllowed("client_credentials") ? settings.audience : undefined),
      getResourceServerInfo: (_context: Context, resource: string) => {
        if (resource !== settings.audience) throw new errors.InvalidTarget()
        return {
          audience: settings.audience,
          scope: apiScopes,
          accessTokenTTL: settings.accessTokenTtl,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } }
        }
      }
    }
  },
  interactions: {
    url: (_context: Context, interaction: { readonly uid: string }) => `/interaction/${interaction.uid}`
  },
  ttl: {
    AccessToken: settings.accessTokenTtl,
    ClientCredentials: settings.accessTokenTtl,
    IdToken: settings.accessTokenTtl,
    RefreshToken: settings.refreshTokenTtl,
    DeviceCode: settings.deviceCodeTtl,
    AuthorizationCode: 60,
    Interaction: 3600,
    Session: 14 * 86_400,
    Grant: Math.max(14 * 86_400, settings.refreshTokenTtl) // a grant that ends first would kill the refresh token
  }
})

interface Client {
  readonly clientId: string
  readonly clientAuthMethod: string
  grantTypeAllowed(type: string): boolean
}
