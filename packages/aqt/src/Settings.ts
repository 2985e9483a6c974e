import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const withDefault = <S extends Schema.Top>(schema: S, value: S["Encoded"]) =>
  schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed(value)))

/** The system's own words, as its `config` file and a provider's table have them; the defaults are the service's. */
export const Settings = Schema.Struct({
  arnica_url: withDefault(Schema.NonEmptyString, "https://arnica.aqt.eu/api"),
  /** With `client_secret`: a machine's. Without both, a person signs in by device code. */
  client_id: Schema.optionalKey(Schema.NonEmptyString),
  client_secret: Schema.optionalKey(Schema.RedactedFromValue(Schema.NonEmptyString)),
  /** `false` keeps every token off the disk. */
  store_access_token: withDefault(Schema.Boolean, true),
  /** The API that tokens are for. Default: `arnica_url`. */
  audience: Schema.optionalKey(Schema.NonEmptyString),
  issuer: withDefault(Schema.NonEmptyString, "https://arnica.eu.auth0.com/"),
  /** Where the issuer's keys are. Default: `.well-known/jwks.json` below the issuer. */
  jwks_url: Schema.optionalKey(Schema.NonEmptyString),
  device_client_id: withDefault(Schema.NonEmptyString, "HvaMEfNSq30OoxjqDyRWIRkBfJwJywyi")
})
export type Settings = typeof Settings.Type

/** What the environment says of them: `AQT_ARNICA_URL`, `AQT_CLIENT_ID`, `AQT_CLIENT_SECRET`, `AQT_STORE_ACCESS_TOKEN`. */
export const environment = Config.all({
  arnica_url: Config.String("ARNICA_URL").pipe(Config.withDefault(undefined)),
  client_id: Config.String("CLIENT_ID").pipe(Config.withDefault(undefined)),
  client_secret: Config.Redacted("CLIENT_SECRET").pipe(Config.withDefault(undefined)),
  store_access_token: Config.Boolean("STORE_ACCESS_TOKEN").pipe(Config.withDefault(undefined))
}).pipe(Config.nested("AQT"))
