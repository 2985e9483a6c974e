import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ConfigurationInvalid, type FlowOptions, partsOf, ProviderType } from "keyfob"

const withDefault = <S extends Schema.Top>(schema: S, value: S["Encoded"]) =>
  schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed(value)))

const Table = Schema.Struct({
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

/** The system's own words, as its `config` file and a provider's table have them; the defaults are the service's. */
export const Settings = Table.check(
  // Without its client a secret would be left unused, and a person be asked.
  Schema.makeFilter(
    ({ client_id, client_secret }) =>
      client_secret === undefined || client_id !== undefined || { path: ["client_id"], issue: "Missing key" }
  )
)
export type Settings = typeof Settings.Type

const text = (name: string) => Config.String(name).pipe(Config.withDefault(undefined))

/** What the environment says of them: `AQT_ARNICA_URL`, `AQT_CLIENT_ID`, `AQT_CLIENT_SECRET`, `AQT_STORE_ACCESS_TOKEN`. */
export const environment = Config.all({
  arnica_url: text("ARNICA_URL"),
  client_id: text("CLIENT_ID"),
  client_secret: text("CLIENT_SECRET"),
  store_access_token: Config.Boolean("STORE_ACCESS_TOKEN").pipe(Config.withDefault(undefined))
}).pipe(Config.nested("AQT"))

/** The settings of whoever has no others than the environment's: what that does not say has its default. */
export const fromEnvironment: Effect.Effect<Settings, ConfigurationInvalid> = Effect.gen(function* () {
  const said = Object.entries(yield* environment).filter(([, value]) => value !== undefined)
  return yield* Schema.decodeUnknownEffect(Settings)(Object.fromEntries(said))
}).pipe(
  Effect.catchTags({
    ConfigError: () =>
      new ConfigurationInvalid({ reason: "InvalidValue", detail: "AQT_STORE_ACCESS_TOKEN: true or false" }),
    SchemaError: (error) => ProviderType.invalidOf(error, ["AQT"])
  })
)

/** What Arnica takes signatures of; no setting names another. */
export const algorithms = ["RS256"] as const

/** The settings in OAuth's words, without the client's secret. */
export const flowOptions = (settings: Settings, account: string): FlowOptions => {
  const { arnica_url, audience = arnica_url, client_id, device_client_id, issuer, jwks_url } = settings
  const below = (path: string) => `${issuer.replace(/\/$/, "")}/${path}`
  const endpoints = {
    token_endpoint: below("oauth/token"),
    device_authorization_endpoint: below("oauth/device/code"),
    revocation_endpoint: below("oauth/revoke"),
    jwks_uri: jwks_url ?? below(".well-known/jwks.json")
  }
  return client_id === undefined
    ? {
        issuer,
        account,
        endpoints,
        clientId: device_client_id,
        scopes: ["openid", "profile", "offline_access"],
        // Arnica takes the ID token: the access token of a request without an audience is for nobody.
        profile: { bearer: "id_token", idTokenAlgorithms: algorithms }
      }
    : { issuer, account, endpoints, clientId: client_id, audience, profile: { tokenRequest: "json" } }
}

/** `type = "aqt"`, as far as its settings go. */
export const definition: ProviderType.Definition<Settings> = {
  name: "aqt",
  description: "Arnica, AQT's cloud of quantum computers",
  settings: Settings,
  environment,
  identify: (settings, account) => {
    const isMachine = settings.client_id !== undefined
    return {
      key: partsOf(isMachine ? "client" : "user", flowOptions(settings, account)).key,
      attended: !isMachine,
      needs: isMachine ? ["client_secret"] : [],
      extra: { arnica_url: settings.arnica_url }
    }
  }
}
