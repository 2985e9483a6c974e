/** `~/.qsh/config.json`, which `qsh`, qlam-core and Bloqade share; `QSH_CONFIG_DIR` is another directory for it. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { expandHome } from "@keyfob/node/Directories"
import { type AuthClientOptions, ConfigurationInvalid, printable, type ProviderTable } from "keyfob"

const Text = Schema.optionalKey(Schema.NullOr(Schema.String))

/** What is documented of a table, and whatever else it has. */
const withRest = <Fields extends Schema.Struct.Fields>(fields: Fields) =>
  Schema.StructWithRest(Schema.Struct(fields), [Schema.Record(Schema.String, Schema.Unknown)])

/** A provider as the file has it: its name, its type there, and that type's keys. */
const Provider = withRest({ name: Schema.NonEmptyString, provider: Schema.NonEmptyString })

const Plugin = withRest({ auth_provider: Text, group: Text })

export const QshContext = withRest({
  name: Schema.NonEmptyString,
  qpu: Text,
  defaults: Schema.optionalKey(withRest({ api_base_url: Text, qpu_mode: Text, group: Text })),
  auth_providers: Schema.optionalKey(Schema.Array(Provider)),
  plugins: Schema.optionalKey(Schema.Record(Schema.String, Plugin))
})
export type QshContext = typeof QshContext.Type

export const QshFile = withRest({
  current_context: Text,
  contexts: Schema.Array(QshContext)
})
export type QshFile = typeof QshFile.Type

/** Reads the file. Fails with `ConfigurationInvalid`, which names the file and the place, and never a value. */
export const read = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const directory = yield* Config.String("QSH_CONFIG_DIR").pipe(
    Config.withDefault("~/.qsh"),
    Effect.orElseSucceed(() => "~/.qsh"),
    Effect.flatMap(expandHome)
  )
  const path = join(directory, "config.json")
  const text = yield* Effect.mapError(
    fs.readFileString(path),
    ({ reason }) =>
      new ConfigurationInvalid({ reason: "Unreadable", detail: `${path} cannot be read (${reason._tag})` })
  )
  return yield* Effect.mapError(decode(text), (error) => {
    const place = / at (\[.*\])$/m.exec(error.message)?.[1] ?? ""
    return new ConfigurationInvalid({
      reason: "InvalidValue",
      detail: `${path}${printable(place)}: not what qsh writes`
    })
  })
})

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(QshFile))

/** The context of that name, else the file's current one, else the only one there is. */
export const contextOf = Effect.fnUntraced(function* (
  { contexts, current_context }: QshFile,
  name?: string
): Effect.fn.Return<QshContext, ConfigurationInvalid> {
  const wanted = name ?? current_context ?? (contexts.length === 1 ? contexts[0]?.name : undefined)
  const found = contexts.find((context) => context.name === wanted)
  if (found !== undefined) return found
  const names = contexts.map((context) => printable(context.name)).join(", ")
  return yield* new ConfigurationInvalid({
    reason: wanted === undefined ? "MissingValue" : "UnknownName",
    detail: `context${wanted === undefined ? "" : ` ${printable(wanted)}`}; there is ${names === "" ? "none" : names}`
  })
})

/** The table of a provider: `oauth` entries are of type `qlam`, any other type is its own. */
export const tableOf = (provider: NonNullable<QshContext["auth_providers"]>[number]): ProviderTable => {
  const { name: _, provider: type, ...entry } = provider
  const said = Object.entries(entry).filter(([, value]) => value !== null)
  return { ...Object.fromEntries(said), type: type === "oauth" ? "qlam" : type }
}

/** Which provider each plugin of a context has chosen. */
export const pluginsOf = ({ plugins = {} }: QshContext): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(plugins).flatMap(([plugin, { auth_provider: chosen }]) => (chosen ? [[plugin, chosen]] : []))
  )

/** What a context has beside its providers and who uses which, by its place in it: `plugins.tasks.group`. No values. */
export const besideProviders = (context: QshContext): ReadonlyArray<string> =>
  placesIn(context).filter((place) => !/^(name|auth_providers|plugins\..+\.auth_provider)$/.test(place))

const placesIn = (table: object): ReadonlyArray<string> =>
  Object.entries(table).flatMap(([key, value]) => {
    if (value === null || value === undefined) return []
    return typeof value === "object" && !Array.isArray(value)
      ? placesIn(value).map((place) => `${key}.${place}`)
      : [key]
  })

/** A context as `AuthClient` takes it. */
export const clientOptions = (context: QshContext): AuthClientOptions => {
  const { auth_providers = [], name } = context
  const providers = Object.fromEntries(auth_providers.map((provider) => [provider.name, tableOf(provider)]))
  return { current: name, contexts: { [name]: { providers, plugins: pluginsOf(context) } } }
}
