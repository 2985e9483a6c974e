/** What a provider of type `auki` is configured with, in the system's own words and with its own limits. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ConfigurationInvalid, HttpExchange, isSecure, printable } from "keyfob"

const bytes = (text: string) => new TextEncoder().encode(text).length

/** A text of a number of bytes, without the value in any complaint. */
const upTo = (limit: number, expected: string, pattern = /^[^]+$/) =>
  Schema.String.check(Schema.makeFilter((text) => (bytes(text) <= limit && pattern.test(text)) || expected))

const hidden = <S extends Schema.Codec<string>>(schema: S) => Schema.optionalKey(Schema.RedactedFromValue(schema))

const Token = upTo(65_536, "a token of up to 65536 bytes without blanks around it", /^\S([^]*\S)?$/)

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
  app_key: Schema.optionalKey(upTo(256, "an app key of up to 256 bytes without a colon", /^[^:]+$/)),
  app_secret: hidden(upTo(256, "an app secret of up to 256 bytes")),
  token: hidden(Token),
  refresh_token: hidden(Token),
  /** When `token` ends, in milliseconds since 1970. Default: as the token itself says. */
  expiry_ms: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  refresh_token_expiry_ms: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  /** The client and the issuer of an OpenID Connect session that was brought along. */
  oidc_client_id: Schema.optionalKey(upTo(255, "1 to 255 bytes")),
  issuer: Schema.optionalKey(Schema.NonEmptyString)
})
export type Settings = typeof Settings.Type

/** Where requests go: https, or http on a loopback address, and nothing behind the host. */
export const originOf = (setting: string, url: string): Effect.Effect<string, ConfigurationInvalid> => {
  const parsed = URL.parse(url)
  const detail = `${setting}: an origin such as https://api.example.com`
  if (parsed === null || url.replace(/\/$/, "").toLowerCase() !== parsed.origin) {
    return Effect.fail(new ConfigurationInvalid({ reason: "InvalidValue", detail }))
  }
  if (isSecure(parsed)) return Effect.succeed(parsed.origin)
  const where = printable(HttpExchange.hostOf(url))
  return Effect.fail(new ConfigurationInvalid({ reason: "InsecureUrl", detail: `${setting} at ${where}` }))
}

/** The same for an address in full, which may have a path. */
export const addressOf = (setting: string, url: string): Effect.Effect<string, ConfigurationInvalid> => {
  const parsed = URL.parse(url)
  if (parsed === null || parsed.search !== "" || parsed.username !== "") {
    return Effect.fail(
      new ConfigurationInvalid({ reason: "InvalidValue", detail: `${setting}: a URL without a query` })
    )
  }
  if (isSecure(parsed)) return Effect.succeed(parsed.href)
  return Effect.fail(new ConfigurationInvalid({ reason: "InsecureUrl", detail: `${setting} at ${parsed.host}` }))
}
