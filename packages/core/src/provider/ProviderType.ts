import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as HttpClient from "effect/http/HttpClient"
import { ConfigurationInvalid, printable } from "../AuthError.ts"
import type { CredentialKey } from "../Credential.ts"
import type { TokenBudget } from "../flow/Flow.ts"
import type { Terms } from "../session/Terms.ts"
import type { CredentialStore } from "../store/CredentialStore.ts"
import type { AuthProvider } from "./AuthProvider.ts"

/** Where a provider is configured: its name, and the context that the name is in. */
export interface Place {
  readonly context: string
  readonly name: string
}

/** The account that a provider's credential belongs to. Names may have slashes in them: `a/b` and `c` are somebody else than `a` and `b/c`. */
export const accountOf = ({ context, name }: Place) =>
  [context, name].map((part) => part.replaceAll(/[%/]/g, encodeURIComponent)).join("/")

/** What is known of a provider from its settings alone, without any of the code that talks to it. */
export interface Identity extends Terms {
  /** What its credential is kept under. */
  readonly key: CredentialKey
  /** Whether a person has to do something at a login. Default: true. */
  readonly attended?: boolean
  /** Whether there is anything to renew without a person. Default: true. */
  readonly renewable?: boolean
  /** The secrets its settings call for, by their key: what is given for several providers goes to these. Default: none. */
  readonly needs?: ReadonlyArray<Secret>
  /** The port of its redirect URI; 0 is any. */
  readonly redirectPort?: number
  /** How many token requests it grants. */
  readonly budget?: TokenBudget | undefined
  /** What else is worth showing of it, for a person: no secrets. */
  readonly extra?: Readonly<Record<string, string>>
}

/** The keys under which settings may hold a secret. A host takes these from elsewhere as well, and shows none of them. */
export const secrets = [
  "client_secret",
  "private_key",
  "private_key_passphrase",
  "password",
  "token",
  "refresh_token",
  "app_secret"
] as const
export type Secret = (typeof secrets)[number]

/** A kind of provider, as its author writes it. */
export interface Definition<Settings> {
  /** What `type` says in a configuration. */
  readonly name: string
  /** One line for a person. */
  readonly description: string
  /** The provider's table. What is not among its keys is not decoded; `type` may be. */
  readonly settings: Schema.ConstraintDecoder<Settings>
  readonly identify: (settings: Settings, account: string) => Identity
  /** What the environment says, by the table's keys: it outranks the table. `undefined` is silence. */
  readonly environment?: Config.Config<Readonly<Record<string, unknown>>>
}

/** What every host has for providers to work with. */
export type Hosted = HttpClient.HttpClient | CredentialStore | Scope.Scope

/** A configured provider, as far as its settings alone tell. */
export interface Known extends Place, Identity {
  readonly type: string
  readonly attended: boolean
  readonly renewable: boolean
}

/** A configured provider that can be set to work. */
export interface Configured<R = never> extends Known {
  readonly make: Effect.Effect<AuthProvider, ConfigurationInvalid, Hosted | R>
}

/** A kind of provider, as far as its settings go. */
export interface KnownType<Provider extends Known = Known> {
  readonly name: string
  readonly description: string
  /** For lists of what may be set. */
  readonly settings: Schema.Constraint
  /** The keys of its table, as they are written. */
  readonly keys: ReadonlyArray<string>
  /** Those of them that hold a secret. */
  readonly secrets: ReadonlyArray<Secret>
  readonly environment?: Config.Config<Readonly<Record<string, unknown>>>
  /** Reads a provider's table. What is wrong with it is told by {@link complaintOf}. */
  readonly configure: (
    table: Readonly<Record<string, unknown>>,
    place: Place
  ) => Effect.Effect<Provider, Schema.SchemaError>
}

/** A kind of provider, ready for a {@link ProviderRegistry}; `R` is what its providers need besides HTTP and a store. */
export type ProviderType<R = never> = KnownType<Configured<R>>

/** A type from its definition, and what makes a provider from its settings. */
export const make = <Settings, R = never>({
  make,
  ...definition
}: Definition<Settings> & {
  readonly make: (
    settings: Settings,
    identity: Identity,
    place: Place
  ) => Effect.Effect<AuthProvider, ConfigurationInvalid, R>
}): ProviderType<Exclude<R, Hosted>> =>
  typeOf(definition, (known, settings) => ({
    ...known,
    // What R leaves out is Hosted: that much the compiler does not see of an open R.
    make: make(settings, known, known) as Effect.Effect<AuthProvider, ConfigurationInvalid, Hosted | Exclude<R, Hosted>>
  }))

/** What is known of a type without the code that talks to anybody: for hosts that load that when they need it. */
export const known = <Settings>(definition: Definition<Settings>): KnownType => typeOf(definition, (known) => known)

const typeOf = <Settings, Provider extends Known>(
  { description, environment, identify, name, settings }: Definition<Settings>,
  complete: (known: Known, settings: Settings) => Provider
): KnownType<Provider> => {
  const keys = keysOf(settings)
  const decode = Schema.decodeUnknownEffect(settings)
  return {
    name,
    description,
    settings,
    keys,
    secrets: secrets.filter((key) => keys.includes(key)),
    ...(environment === undefined ? {} : { environment }),
    configure: (table, place) =>
      Effect.map(decode(table), (decoded) =>
        complete(
          { attended: true, renewable: true, ...identify(decoded, accountOf(place)), ...place, type: name },
          decoded
        )
      )
  }
}

/** The keys of a table that a schema reads, as they are written. */
export const keysOf = (settings: Schema.Constraint): ReadonlyArray<string> => {
  const { ast } = Schema.toEncoded(settings)
  return ast._tag === "Objects" ? ast.propertySignatures.map(({ name }) => String(name)) : []
}

/** The first thing that is wrong with a table, without its value. */
export const complaintOf = (error: Schema.SchemaError) => {
  const issue = SchemaIssue.makeFormatterStandardSchemaV1()(error.issue).issues[0]
  const message = issue?.message ?? "Expected something else"
  return {
    /** Where, from the table down, as it is written there. */
    keys: (issue?.path ?? []).map(String).map((key, depth) => (depth === 0 ? written(key) : key)),
    isMissing: message === "Missing key",
    expected: `${message.charAt(0).toLowerCase()}${message.slice(1)}`
  }
}

/** The same as a failure. */
export const invalidOf = (error: Schema.SchemaError, place: ReadonlyArray<string> = []): ConfigurationInvalid => {
  const { expected, isMissing, keys } = complaintOf(error)
  const where = printable([...place, ...keys].join("."))
  return isMissing
    ? new ConfigurationInvalid({ reason: "MissingValue", detail: where })
    : new ConfigurationInvalid({ reason: "InvalidValue", detail: `${where}: ${expected}` })
}

/** `clientId` is `client_id` in a table. */
const written = (key: string) => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
