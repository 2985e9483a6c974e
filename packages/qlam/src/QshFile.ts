/** `~/.qsh/config.json`, which `qsh`, qlam-core and Bloqade share; `QSH_CONFIG_DIR` is another directory for it. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { expandHome } from "@keyfob/node/Directories"
import { type AuthClientOptions, ConfigurationInvalid, printable, type ProviderTable } from "keyfob"

const Text = Schema.optionalKey(Schema.NullOr(Schema.String))

/** A provider as the file has it: its name, its type there, and that type's keys. */
const Provider = Schema.StructWithRest(
  Schema.Struct({ name: Schema.NonEmptyString, provider: Schema.NonEmptyString }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)

const Plugin = Schema.Struct({ auth_provider: Text, group: Text })

export const QshContext = Schema.Struct({
  name: Schema.NonEmptyString,
  qpu: Text,
  defaults: Schema.optionalKey(Schema.Struct({ api_base_url: Text, qpu_mode: Text, group: Text })),
  auth_providers: Schema.optionalKey(Schema.Array(Provider)),
  plugins: Schema.optionalKey(Schema.Record(Schema.String, Plugin))
})
export type QshContext = typeof QshContext.Type

export const QshFile = Schema.Struct({
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

/** A context as `AuthClient` takes it. */
export const clientOptions = ({ auth_providers = [], name, plugins = {} }: QshContext): AuthClientOptions => ({
  current: name,
  contexts: {
    [name]: {
      providers: Object.fromEntries(auth_providers.map((provider) => [provider.name, tableOf(provider)])),
      plugins: Object.fromEntries(
        Object.entries(plugins).flatMap(([plugin, { auth_provider }]) =>
          Option.toArray(Option.map(Option.fromNullishOr(auth_provider), (chosen) => [plugin, chosen] as const))
        )
      )
    }
  }
})
