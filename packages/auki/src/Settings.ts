/** What a provider of type `auki` is configured with, in the system's own words and with its own limits, and what that says. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ConfigurationInvalid, configuredUrl, CredentialKey, type ProviderType, type Terms } from "keyfob"

const bytes = (text: string) => new TextEncoder().encode(text).length

/** A text of a number of bytes, without the value in any complaint. */
const upTo = (limit: number, expected: string, pattern = /^[^]+$/) =>
  Schema.String.check(Schema.makeFilter((text) => (bytes(text) <= limit && pattern.test(text)) || expected))

const hidden = <S extends Schema.Codec<string>>(schema: S) => Schema.optionalKey(Schema.RedactedFromValue(schema))

const Token = upTo(65_536, "a token of up to 65536 visible ASCII characters", /^[\x21-\x7e]+$/)
const RefreshToken = upTo(
  65_536,
  "a token of up to 65536 bytes without control characters, and without blanks around it",
  /^(?!\s)\P{Cc}+(?<!\s)$/u
)

export const Settings = Schema.Struct({
  /** The API: an origin. */
  api_url: Schema.NonEmptyString,
  /** The domain discovery service: an origin. */
  dds_url: Schema.NonEmptyString,
  /** Where sessions are renewed, in full. Default: `/user/refresh` at the API. */
  refresh_url: Schema.optionalKey(Schema.NonEmptyString),
  /** Says which installation asks: 1 to 128 visible ASCII characters. */
  client_id: upTo(128, "1 to 128 visible ASCII characters", /^[\x21-\x7e]+$/),
  method: Schema.optionalKey(Schema.Literals(["email", "app_key", "opaque", "oidc"])),
  email: Schema.optionalKey(upTo(320, "an email address of up to 320 bytes")),
  password: hidden(upTo(1024, "a password of up to 1024 bytes")),
  // They go into a header, and to who reads lines: RFC 7617 section 2.
  app_key: Schema.optionalKey(
    upTo(256, "an app key of up to 256 bytes without colons and control characters", /^[^:\p{Cc}]+$/u)
  ),
  app_secret: hidden(upTo(256, "an app secret of up to 256 bytes without control characters", /^\P{Cc}+$/u)),
  token: hidden(Token),
  refresh_token: hidden(RefreshToken),
  /** When `token` ends, in milliseconds since 1970. Default: as the token itself says. */
  expiry_ms: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  refresh_token_expiry_ms: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  /** The client and the issuer of an OpenID Connect session that was brought along. */
  oidc_client_id: Schema.optionalKey(upTo(255, "1 to 255 bytes")),
  issuer: Schema.optionalKey(Schema.NonEmptyString),
  /**
   * How long before its end a session or a token is renewed at the latest, at every level; of one that lives less than twice
   * as long, half of its life. Default: a share of its life, a minute at most.
   */
  refresh_threshold_ms: Schema.optionalKey(
    Schema.Number.check(Schema.makeFilter((ms) => (Number.isFinite(ms) && ms >= 0) || "milliseconds, from 0 on"))
  )
})
export type Settings = typeof Settings.Type

/** What somebody signs in with. */
export type Method = NonNullable<Settings["method"]>

export const methodOf = ({ method }: Settings): Method => method ?? "email"

/** Whether it is a session of OpenID Connect that was brought along. */
export const isOidc = (settings: Settings): settings is Settings & { readonly oidc_client_id: string } =>
  settings.oidc_client_id !== undefined && (methodOf(settings) === "opaque" || methodOf(settings) === "oidc")

/** A service is an origin, with nothing behind the host. */
export const serviceAt = (setting: string, text: string): Effect.Effect<string, ConfigurationInvalid> =>
  Effect.flatMap(configuredUrl(setting, text), ({ origin, pathname }) =>
    pathname === "/"
      ? Effect.succeed(origin)
      : Effect.fail(
          new ConfigurationInvalid({ reason: "InvalidValue", detail: `${setting}: an origin, without a path` })
        )
  )

/** However it is spelled. */
const originOf = (url: string) => URL.parse(url)?.origin ?? url

/**
 * What the network's credential is kept under; an imported session is kept at its own issuer. Who is configured, and the
 * services that its tokens are for, are part of it: settings that say others find nothing of these.
 */
export const keyOf = (settings: Settings, account: string): CredentialKey => {
  const { api_url, app_key, dds_url, email } = settings
  const who = { email: { user: email ?? "" }, app_key: { app_key: app_key ?? "" }, opaque: {}, oidc: {} }
  return CredentialKey.make({
    issuer: isOidc(settings) && settings.issuer !== undefined ? settings.issuer : originOf(api_url),
    clientId: isOidc(settings) ? settings.oidc_client_id : settings.client_id,
    account,
    subject: methodOf(settings) === "app_key" ? "client" : "user",
    params: { ...who[methodOf(settings)], api_url: originOf(api_url), dds_url: originOf(dds_url) }
  })
}

/** The settings with others' credentials. What stands beside the token of a session that began elsewhere goes with it. */
export const withCredentials = (settings: Settings, credentials: Partial<Settings>): Settings => {
  if (credentials.token === undefined) return { ...settings, ...credentials }
  const { expiry_ms: _, refresh_token: _r, refresh_token_expiry_ms: _e, ...rest } = settings
  return { ...rest, ...credentials }
}

/** What holds for what is kept of them: the token that a session which began elsewhere is brought along by, and the margin. */
export const termsOf = ({ refresh_threshold_ms: ms, token, ...settings }: Settings): Terms.Terms => ({
  ...(methodOf(settings) === "opaque" || methodOf(settings) === "oidc" ? { brought: token } : {}),
  ...(ms === undefined ? {} : { margin: Duration.millis(ms) })
})

const secrets = {
  email: ["password"],
  app_key: ["app_secret"],
  opaque: ["token", "refresh_token"],
  oidc: ["token", "refresh_token"]
} as const

/** `type = "auki"`, as far as its settings go. */
export const definition: ProviderType.Definition<Settings> = {
  name: "auki",
  description: "Auki's network, and its domains",
  settings: Settings,
  identify: (settings, account) => ({
    key: keyOf(settings, account),
    ...termsOf(settings),
    attended: false,
    needs: secrets[methodOf(settings)],
    extra: { api_url: settings.api_url, method: methodOf(settings) }
  })
}
