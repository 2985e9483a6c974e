import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { ConfigurationInvalid, printable, ProviderType } from "keyfob"
import { nearest } from "./nearest.ts"
import { PlaceSettings, type ProviderEntry } from "./ProviderSettings.ts"
import { dotted, isTable, lineOf, type Table } from "./TomlDocument.ts"
import * as TomlFile from "./TomlFile.ts"

export { isOpen } from "./TomlFile.ts"

/** What `config.toml` says. */
export interface Configuration {
  readonly path: string
  readonly currentContext: string | undefined
  /** `store_key_command`: a program and its arguments, which prints the passphrase of encrypted files. */
  readonly storeKeyCommand: readonly [string, ...ReadonlyArray<string>] | undefined
  readonly contexts: ReadonlyMap<string, Context>
  /** Sentences for a person: unknown keys, a file with a secret that others can read. */
  readonly warnings: ReadonlyArray<string>
}

/** A named set of named providers. */
export interface Context {
  readonly providers: ReadonlyMap<string, ProviderEntry>
  /** Which provider a part of somebody's work uses, by that part's name. */
  readonly plugins: ReadonlyMap<string, string>
}

/**
 * Reads the file at `path`; a missing file is an empty configuration.
 *
 * @param types the kinds of providers that are known: each reads its own tables. One of another kind stays as it stands
 * Fails with `ConfigurationInvalid`, which names the file, the place and what is expected there, and never a value. What is
 * wrong with one provider stands in its entry instead.
 */
export const read = Effect.fnUntraced(function* (
  path: string,
  types: ReadonlyArray<ProviderType.KnownType>
): Effect.fn.Return<Configuration, ConfigurationInvalid> {
  const file = yield* TomlFile.read(path)
  return file === undefined
    ? { path, currentContext: undefined, storeKeyCommand: undefined, contexts: new Map(), warnings: [] }
    : yield* decode(path, file, types)
})

const decode = Effect.fnUntraced(function* (
  path: string,
  { mode, root, text }: TomlFile.TomlFile,
  types: ReadonlyArray<ProviderType.KnownType>
) {
  const warnings: Array<string> = []

  const place = (keys: ReadonlyArray<string>) => {
    const line = lineOf(text, keys)
    return `${path}${line === undefined ? "" : `, line ${line}`}: ${printable(dotted(keys))}`
  }

  const tableAt = (keys: ReadonlyArray<string>, value: unknown = {}) =>
    isTable(value) ? Effect.succeed(value) : Effect.fail(invalid(`${place(keys)}: expected a table`))

  const warnOfUnknown = (keys: ReadonlyArray<string>, table: Table, known: ReadonlyArray<string>) => {
    for (const key of Object.keys(table)) {
      if (known.includes(key)) continue
      const meant = nearest(key, known)
      warnings.push(
        `${place([...keys, key])} is not a known key${meant === undefined ? "" : `; did you mean ${meant}?`}`
      )
    }
  }

  const complain = (keys: ReadonlyArray<string>, error: Schema.SchemaError) => {
    const { expected, isMissing, keys: inside } = ProviderType.complaintOf(error)
    const where = place([...keys, ...inside])
    return isMissing ? missing(`${where} is missing`) : invalid(`${where}: ${expected}`)
  }

  /** What is wrong with one provider keeps nobody from the others. */
  const providerAt = (context: string, name: string, value: unknown): Effect.Effect<ProviderEntry> =>
    Effect.catch(readProvider(context, name, value), (invalid) => {
      const type = isTable(value) && typeof value["type"] === "string" ? value["type"] : ""
      return Effect.succeed({ type, table: Redacted.make({}), invalid })
    })

  const readProvider = Effect.fnUntraced(function* (context: string, name: string, value: unknown) {
    const keys = ["contexts", context, "providers", name]
    const table = yield* tableAt(keys, value)
    const typeName = table["type"]
    if (typeName === undefined) return yield* missing(`${place([...keys, "type"])} is missing; for example "oauth"`)
    if (typeof typeName !== "string") return yield* invalid(`${place([...keys, "type"])}: expected string`)
    const wrong = (error: Schema.SchemaError) => complain(keys, error)
    const kept = yield* Effect.mapError(Schema.decodeUnknownEffect(PlaceSettings)(table), wrong)
    const type = types.find((one) => one.name === typeName)
    if (type === undefined) return { ...kept, type: typeName, table: Redacted.make(table) }
    const said = yield* environmentOf(type)
    const holding = { ...table, ...said }
    const entry = { ...kept, type: typeName, table: Redacted.make(holding) }
    const known = yield* Effect.mapError(type.configure(holding, { context, name }), wrong)
    warnOfUnknown(keys, table, ["type", ...type.keys, ...ProviderType.keysOf(PlaceSettings)])
    return { ...entry, known }
  })

  const contextAt = Effect.fnUntraced(function* (contextName: string, value: unknown) {
    const keys = ["contexts", contextName]
    const context = yield* tableAt(keys, value)
    warnOfUnknown(keys, context, ["providers", "plugins"])
    const plugins = new Map<string, string>()
    for (const [name, provider] of Object.entries(yield* tableAt([...keys, "plugins"], context["plugins"]))) {
      if (typeof provider !== "string") return yield* invalid(`${place([...keys, "plugins", name])}: expected string`)
      plugins.set(name, provider)
    }
    const providers = new Map<string, ProviderEntry>()
    for (const [name, provider] of Object.entries(yield* tableAt([...keys, "providers"], context["providers"]))) {
      providers.set(name, yield* providerAt(contextName, name, provider))
    }
    return { providers, plugins }
  })

  warnOfUnknown([], root, ["current_context", "store_key_command", "contexts"])
  const currentContext = root["current_context"]
  if (currentContext !== undefined && typeof currentContext !== "string") {
    return yield* invalid(`${place(["current_context"])}: expected string`)
  }
  const command = Schema.decodeUnknownOption(Schema.UndefinedOr(Command))(root["store_key_command"])
  if (Option.isNone(command)) {
    return yield* invalid(`${place(["store_key_command"])}: expected a program and its arguments, an array of strings`)
  }
  const contexts = new Map<string, Context>()
  for (const [name, context] of Object.entries(yield* tableAt(["contexts"], root["contexts"]))) {
    contexts.set(name, yield* contextAt(name, context))
  }
  if (TomlFile.isOpen(mode) && TomlFile.holdsSecret(root)) {
    warnings.push(`${path} holds a secret and others can read it (mode 0${mode.toString(8)}); run: chmod 600 ${path}`)
  }
  return { path, currentContext, storeKeyCommand: command.value, contexts, warnings }
})

/** What the environment says of a type's settings. */
const environmentOf = ({ environment }: ProviderType.KnownType) =>
  environment === undefined
    ? Effect.succeed({})
    : Effect.mapBoth(environment, {
        onFailure: () => invalid("the environment's settings of a provider; true or false is what flags are"),
        onSuccess: (said) => Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
      })

const Command = Schema.NonEmptyArray(Schema.NonEmptyString)

const invalid = (detail: string) => new ConfigurationInvalid({ reason: "InvalidValue", detail })
const missing = (detail: string) => new ConfigurationInvalid({ reason: "MissingValue", detail })
