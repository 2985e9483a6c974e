/** A configured provider with the secrets that are meant for it: what the library is given. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { OAuthSettings, type ProviderEntry } from "@keyfob/node/ProviderSettings"
import {
  type AuthError,
  adviceOf,
  ConfigurationInvalid,
  type OAuthClient,
  printable,
  ProviderProfile,
  ProviderType
} from "keyfob"
import { Failure } from "./failure.ts"
import { types } from "./types.ts"
import { commandFor, type Configured, type Workspace } from "./workspace.ts"

/** A provider of a type this command knows. */
export interface Provider extends ProviderType.Known {
  /** Where its credential is kept. */
  readonly settings: Pick<ProviderEntry, "store" | "storeUrl">
  /** What its type is set to work with: defaults < file < environment < flags. */
  readonly table: Redacted.Redacted<Readonly<Record<string, unknown>>>
}

/** Secrets from the environment or a flag, and whether the provider is the only one this call is about. */
export interface Outside {
  readonly secrets?: Secrets
  readonly named: boolean
}
export type Secrets = { readonly [key in ProviderType.Secret]?: Redacted.Redacted | undefined }

/**
 * The provider with the secrets that are meant for it. A secret from outside the file goes to the provider that was named;
 * of several, to those that have none of their own and whose settings call for one. It must not reach the endpoint of
 * another provider.
 */
export const resolve = Effect.fnUntraced(function* (
  { context, name, settings }: Configured,
  { named, secrets = {} }: Outside
): Effect.fn.Return<Provider, ConfigurationInvalid> {
  if (settings.invalid !== undefined) return yield* settings.invalid
  const type = types.find((one) => one.name === settings.type)
  if (type === undefined || settings.known === undefined) {
    const all = types.map((one) => one.name).join(", ")
    const detail = `type ${printable(settings.type)} of provider ${printable(name)}; this keyfob knows ${all}`
    return yield* new ConfigurationInvalid({ reason: "UnknownName", detail })
  }
  const own = Redacted.value(settings.table)
  const { known } = settings
  const isCalledFor = (key: ProviderType.Secret) => own[isBesideToken(key) ? "token" : key] === undefined
  const meant = named ? type.secrets : (known.needs ?? []).filter(isCalledFor)
  const given = meant.flatMap((key) => {
    const secret = secrets[key]
    return secret === undefined ? [] : [[key, Redacted.value(secret)] as const]
  })
  const outside = Object.fromEntries(given)
  const isOtherSession = own["token"] !== undefined && (outside["token"] ?? own["token"]) !== own["token"]
  const table = { ...(isOtherSession ? Record.filter(own, (_, key) => !isBesideToken(key)) : own), ...outside }
  if (given.length === 0) return { ...known, context, name, settings, table: settings.table }
  const invalid = () =>
    new ConfigurationInvalid({ reason: "InvalidValue", detail: given.map(([key]) => key).join(", ") })
  const withSecrets = yield* Effect.mapError(type.configure(table, { context, name }), invalid)
  return { ...withSecrets, settings, table: Redacted.make(table) }
})

/** The settings that belong to the token beside them and to no other: its refresh token, and when the two end. */
const isBesideToken = (key: string) => /^(refresh_token|expiry_ms|refresh_token_expiry_ms)$/.test(key)

/** The one secret that commands need which talk to nobody: a token that is brought says whose session is meant (`Terms`). */
export const broughtTo = ({ globals: { token } }: Workspace, asked: ReadonlyArray<Configured>): Outside => ({
  secrets: { token },
  named: asked.length === 1
})

/** The settings of a provider of type `oauth`, as its table has them. */
export const oauthOf = ({ table, type }: Pick<Provider, "table" | "type">): OAuthSettings | undefined =>
  type === "oauth" ? Option.getOrUndefined(Schema.decodeUnknownOption(OAuthSettings)(Redacted.value(table))) : undefined

/** Which server it is. */
export const serverOf = ({ endpoints, issuer, profile }: OAuthSettings): OAuthClient.ServerOptions => ({
  issuer,
  ...(profile === undefined ? {} : { profile: ProviderProfile.profiles[profile] }),
  ...(endpoints === undefined ? {} : { endpoints })
})

export const notSupported = (detail: string) => new ConfigurationInvalid({ reason: "NotSupported", detail })

/** Remedies that name the command to run, for this provider. */
export const withRemedy =
  (workspace: Workspace, provider: Pick<Configured, "context" | "name">) =>
  <A, E extends AuthError | Failure, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, Failure, R> =>
    Effect.mapError(effect, (error: AuthError | Failure) =>
      error._tag === "Failure"
        ? error
        : new Failure({
            error,
            remedy: (howToGive(error) ?? adviceOf(error).remedy).replace(
              /keyfob (login|refresh)/g,
              (_, command: string) => commandFor(workspace, command, provider)
            )
          })
    )

/** How a secret that is missing can be given. */
const howToGive = (error: AuthError) => {
  if (error._tag !== "ConfigurationInvalid" || error.reason !== "MissingValue") return undefined
  const key = ProviderType.secrets.find((one) => one === error.detail.replaceAll(" ", "_"))
  return key && `Give it as KEYFOB_${key.toUpperCase()}, or as ${key} in config.toml`
}
