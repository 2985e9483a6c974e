/** The first level: who asks. Each method is a flow that needs nobody, good for as often as its credentials are. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Base64 from "effect/encoding/Base64"
import {
  AccessToken,
  Account,
  AnswerRejected,
  type Assigned,
  byRefreshToken,
  ConfigurationInvalid,
  configuredUrl,
  type CredentialKey,
  type FlowParts,
  HttpExchange,
  LoginRequired,
  ProviderType,
  type UnattendedError,
  type UnattendedFlow
} from "keyfob"
import * as Api from "./Api.ts"
import { isOidc, keyOf, methodOf, serviceAt, Settings, termsOf } from "./Settings.ts"

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
      const { canObtain, spend } = once(required("password", settings.password), key)
      return {
        ...parts,
        refresh,
        canObtain,
        obtain: ({ http }) =>
          spend((password) =>
            Effect.zipWith(Api.login(http, apiUrl, email, password), DateTime.now, (granted, signedInAt) => ({
              ...granted,
              ...accountOf(settings),
              signedInAt
            }))
          )
      }
    }
    case "app_key": {
      const name = yield* required("app_key", settings.app_key)
      const secret = required("app_secret", settings.app_secret)
      return {
        ...parts,
        canObtain: Effect.isSuccess(secret),
        obtain: () => Effect.flatMap(secret, (secret) => basic(name, secret))
      }
    }
    case "oidc":
    case "opaque": {
      if (settings.method === "oidc") {
        yield* required("issuer", settings.issuer)
        yield* required("oidc_client_id", settings.oidc_client_id)
      }
      const given = Effect.flatMap(required("token", settings.token), (token) => brought(settings, token, key))
      const { canObtain, spend } = once(given, key)
      const session: UnattendedFlow = { ...parts, canObtain, obtain: () => spend(Effect.succeed) }
      if (!isOidc(settings)) return { ...session, refresh }
      if (settings.issuer !== undefined) return { ...session, refresh: atOwnIssuer }
      return { ...session, client: { ...parts.client, endpoints: { token_endpoint: refreshUrl } } }
    }
  }
})

/** What a program writes has the limits of what stands in a file. */
const within = (settings: Settings) =>
  Effect.mapError(Schema.decodeEffect(Schema.toType(Settings))(settings), (error) => {
    const { expected, keys } = ProviderType.complaintOf(error)
    return new ConfigurationInvalid({ reason: "InvalidValue", detail: `${keys.join(".")}: ${expected}` })
  })

const noRevocation = new ConfigurationInvalid({ reason: "NotSupported", detail: "these services take no token back" })

const required = <A>(detail: string, value: A | undefined) =>
  value === undefined
    ? Effect.fail(new ConfigurationInvalid({ reason: "MissingValue", detail }))
    : Effect.succeed(value)

/**
 * Credentials that a session has replaced are forgotten, so that the end of it is no sign-in here that nobody asked for. Who
 * starts anew with them asks for one.
 */
const once = <A>(given: Effect.Effect<A, ConfigurationInvalid | LoginRequired>, { account, issuer }: CredentialKey) => {
  let credentials = given
  const spend = Effect.fnUntraced(function* (
    obtain: (credentials: A) => Effect.Effect<Assigned, UnattendedError>
  ): Effect.fn.Return<Assigned, UnattendedError> {
    const obtained = yield* obtain(yield* credentials)
    if (obtained.refreshToken !== undefined) {
      credentials = Effect.fail(new LoginRequired({ reason: "RefreshRefused", issuer, account }))
    }
    return obtained
  })
  return { spend, canObtain: Effect.suspend(() => Effect.isSuccess(credentials)) }
}

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

/** Real HTTP Basic (RFC 7617), which no request is needed for, and which has no end. */
const basic = (name: string, secret: Redacted.Redacted) =>
  Effect.map(DateTime.now, (issuedAt) => ({
    issuedAt,
    token: AccessToken.make({
      value: Redacted.make(Base64.encode(`${name}:${Redacted.value(secret)}`)),
      type: "Basic",
      scopes: []
    })
  }))

/** A session that began elsewhere. */
const brought = Effect.fnUntraced(function* (
  settings: Settings,
  token: Redacted.Redacted,
  key: CredentialKey
): Effect.fn.Return<Assigned, LoginRequired> {
  const now = yield* Clock.currentTimeMillis
  const { expiry_ms, refresh_token, refresh_token_expiry_ms } = settings
  const end = expiry_ms ?? (yield* Api.expiryOf(Redacted.value(token)))
  const canRenew = refresh_token !== undefined && (refresh_token_expiry_ms ?? Infinity) > now
  if (!canRenew && end !== undefined && end <= now) {
    return yield* new LoginRequired({ reason: "NotRenewable", issuer: key.issuer, account: key.account })
  }
  return {
    issuedAt: DateTime.makeUnsafe(now),
    signedInAt: DateTime.makeUnsafe(now),
    token: Api.bearer(token, end),
    ...(canRenew ? { refreshToken: refresh_token } : {}),
    ...(refresh_token_expiry_ms === undefined ? {} : { refreshExpiresAt: DateTime.makeUnsafe(refresh_token_expiry_ms) })
  }
})
