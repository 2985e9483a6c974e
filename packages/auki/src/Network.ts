/** The first level: who asks. Each method is a flow that needs nobody, good for as often as its credentials are. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import {
  AccessToken,
  Account,
  AnswerRejected,
  type Assigned,
  Brought,
  byRefreshToken,
  ConfigurationInvalid,
  configuredUrl,
  CredentialStore,
  type FlowParts,
  HttpExchange,
  Jwt,
  Once,
  ProviderType,
  Replaceable,
  required,
  type UnattendedFlow
} from "keyfob"
import * as Api from "./Api.ts"
import { isOidc, keyOf, methodOf, serviceAt, Settings, termsOf, withCredentials } from "./Settings.ts"

/** How these settings sign in. Fails where they cannot. */
export const flow = Effect.fnUntraced(function* (
  given: Settings,
  account: string
): Effect.fn.Return<UnattendedFlow, ConfigurationInvalid> {
  const settings = yield* within(given)
  const apiUrl = yield* serviceAt("api_url", settings.api_url)
  const { href: refreshUrl } = yield* configuredUrl("refresh_url", settings.refresh_url ?? `${apiUrl}/user/refresh`)
  const key = keyOf(settings, account)
  const { clientId, issuer } = key
  const parts = {
    attended: false,
    key,
    ...termsOf(settings),
    client: { issuer, clientId },
    revoke: () => Effect.fail(noRevocation)
  } as const
  const refresh: FlowParts["refresh"] = ({ http }, refreshToken) => Api.refresh(http, refreshUrl, refreshToken)
  switch (methodOf(settings)) {
    case "email": {
      const email = yield* required("email", settings.email)
      const signIn = Once.make(key, required("password", settings.password), (password, { http }) =>
        Effect.zipWith(Api.login(http, apiUrl, email, password), DateTime.now, (granted, signedInAt) => ({
          ...granted,
          ...accountOf(settings),
          signedInAt
        }))
      )
      return { ...parts, ...signIn, refresh }
    }
    case "app_key": {
      const name = yield* required("app_key", settings.app_key)
      const secret = required("app_secret", settings.app_secret)
      return {
        ...parts,
        canObtain: Effect.isSuccess(secret),
        // Real HTTP Basic (RFC 7617), which no request is needed for.
        obtain: () =>
          Effect.zipWith(secret, DateTime.now, (secret, issuedAt) => ({
            issuedAt,
            token: AccessToken.basic(name, secret)
          }))
      }
    }
    case "oidc":
    case "opaque": {
      if (settings.method === "oidc") {
        yield* required("issuer", settings.issuer)
        yield* required("oidc_client_id", settings.oidc_client_id)
      }
      const { expiry_ms, refresh_token: refreshToken, refresh_token_expiry_ms: refreshEnd, token } = settings
      const end = expiry_ms ?? (token === undefined ? undefined : Jwt.expiryOf(Redacted.value(token)))
      const session = { ...parts, ...Brought.make(key, { token, end, refreshToken, refreshEnd }) }
      if (!isOidc(settings)) return { ...session, refresh }
      if (settings.issuer !== undefined) return { ...session, refresh: atOwnIssuer }
      return { ...session, client: { ...parts.client, endpoints: { token_endpoint: refreshUrl } } }
    }
  }
})

/** How they sign in unasked, and whenever somebody asks: with their own credentials, or others of the same account. */
export interface Session {
  readonly flow: UnattendedFlow
  readonly login: (credentials?: Partial<Settings>) => ReturnType<Replaceable.Replaceable["login"]>
}

export const session = Effect.fnUntraced(function* (
  settings: Settings,
  account: string
): Effect.fn.Return<Session, ConfigurationInvalid> {
  const { flow: unasked, login } = Replaceable.make(yield* flow(settings, account))
  return {
    flow: unasked,
    login: (credentials = {}) => Effect.flatMap(flow(withCredentials(settings, credentials), account), login)
  }
})

/** Where tokens are kept: an app's secret is configured, and kept nowhere else. */
export const storeOf = (settings: Settings, account: string): Layer.Layer<CredentialStore, never, CredentialStore> =>
  methodOf(settings) === "app_key"
    ? CredentialStore.layerSparing(keyOf(settings, account))
    : Layer.effect(CredentialStore, CredentialStore)

/** What a program writes has the limits of what stands in a file. */
const within = (settings: Settings) =>
  Effect.mapError(Schema.decodeEffect(Schema.toType(Settings))(settings), ProviderType.invalidOf)

const noRevocation = new ConfigurationInvalid({ reason: "NotSupported", detail: "these services take no token back" })

/** OpenID Connect, where its provider offers that to such a client at an address that is its own (RFC 6749 section 6). */
const atOwnIssuer: NonNullable<FlowParts["refresh"]> = Effect.fnUntraced(function* (client, refreshToken, credential) {
  const { grant_types_supported, issuer, token_endpoint, token_endpoint_auth_methods_supported } =
    yield* client.metadata
  const url = URL.parse(token_endpoint ?? "")
  const reject = (detail: string) =>
    new AnswerRejected({
      reason: "InsecureEndpoint",
      endpoint: "discovery",
      host: HttpExchange.hostOf(issuer),
      detail
    })
  if (url === null || url.origin !== URL.parse(issuer)?.origin || url.search !== "") {
    return yield* reject("token_endpoint is not the issuer's own")
  }
  if (token_endpoint_auth_methods_supported?.includes("none") === false) {
    return yield* reject("token_endpoint takes no public client")
  }
  if (grant_types_supported?.includes("refresh_token") === false) return yield* reject("it renews nothing")
  return yield* byRefreshToken(client, refreshToken, credential)
})

/** Whose it is, where that is known. */
export const accountOf = (settings: Settings): Pick<Assigned, "account"> =>
  methodOf(settings) === "email" ? { account: Account.make({ sub: settings.email ?? "" }) } : {}
