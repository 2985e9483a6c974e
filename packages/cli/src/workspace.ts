/** The configuration a command works in: which file, which context, which providers. */
import * as Effect from "effect/Effect"
import * as Configuration from "@keyfob/node/Configuration"
import { Directories } from "@keyfob/node/Directories"
import type { ProviderEntry } from "@keyfob/node/ProviderSettings"
import { ConfigurationInvalid, printable } from "keyfob"
import { Failure } from "./failure.ts"
import type { Globals } from "./globals.ts"
import { types } from "./types.ts"

export interface Workspace {
  readonly globals: Globals
  readonly directories: Directories["Service"]
  readonly configuration: Configuration.Configuration
  /** The context that holds in this call. It need not be in the configuration yet. */
  readonly context: string
  /** The context that holds when a call names none. */
  readonly current: string
}

/** A provider as it is configured. */
export interface Configured {
  readonly context: string
  readonly name: string
  readonly settings: ProviderEntry
}

export const open = Effect.fnUntraced(function* (globals: Globals) {
  const directories = yield* Directories.make
  const configuration = yield* Configuration.read(globals.configFile ?? directories.configFile, types)
  for (const warning of configuration.warnings) yield* Effect.logWarning(warning)
  return from(globals, directories, configuration)
})

export const from = (
  globals: Globals,
  directories: Directories["Service"],
  configuration: Configuration.Configuration
): Workspace => {
  const current = currentOf(configuration)
  return { globals, directories, configuration, context: globals.context ?? current, current }
}

/** What the file says, else the only context there is, else `default`. */
const currentOf = ({ contexts, currentContext }: Configuration.Configuration) => {
  const [only, ...others] = contexts.keys()
  return currentContext ?? (only !== undefined && others.length === 0 ? only : "default")
}

/** The providers of the context; an unknown context is one only where somebody named it. */
export const providers = Effect.fnUntraced(function* (
  workspace: Workspace,
  context = workspace.context
): Effect.fn.Return<ReadonlyArray<Configured>, ConfigurationInvalid> {
  const found = workspace.configuration.contexts.get(context)
  if (
    found === undefined &&
    (context === workspace.globals.context || context === workspace.configuration.currentContext)
  ) {
    return yield* unknown(`context ${printable(context)}`, workspace.configuration.contexts.keys())
  }
  return Array.from(found?.providers ?? [], ([name, settings]) => ({ context, name, settings }))
})

/** The providers of every context. */
export const everyProvider = (workspace: Workspace) =>
  Effect.map(
    Effect.forEach(workspace.configuration.contexts.keys(), (name) => providers(workspace, name)),
    (found) => found.flat()
  )

/** Fails unless the configuration has the context. */
export const known = (workspace: Workspace, context: string): Effect.Effect<void, ConfigurationInvalid> =>
  workspace.configuration.contexts.has(context)
    ? Effect.void
    : Effect.fail(unknown(`context ${printable(context)}`, workspace.configuration.contexts.keys()))

/** The provider of that name, or that the context has for a plugin of that name; without one its only provider, or `default`. */
export const provider = Effect.fnUntraced(function* (
  workspace: Workspace,
  name: string | undefined
): Effect.fn.Return<Configured, ConfigurationInvalid | Failure> {
  const all = yield* providers(workspace)
  const wanted = name ?? (all.length === 1 ? all[0]?.name : "default")
  const { plugins } = workspace.configuration.contexts.get(workspace.context) ?? {}
  const named = (name: string | undefined) => all.find((one) => one.name === name)
  const found = named(wanted) ?? named(plugins?.get(wanted ?? ""))
  if (found !== undefined) return found.settings.invalid === undefined ? found : yield* found.settings.invalid
  if (all.length === 0) return yield* nothingConfigured(workspace)
  const names = all.map((one) => one.name)
  if (name === undefined) {
    const detail = `say which provider; context ${printable(workspace.context)} has ${list(names)}`
    return yield* new ConfigurationInvalid({ reason: "MissingValue", detail })
  }
  return yield* unknown(`provider ${printable(name)} in context ${printable(workspace.context)}`, names)
})

/** The provider of that name, or all of the context. */
export const providersNamed = Effect.fnUntraced(function* (workspace: Workspace, name: string | undefined) {
  if (name !== undefined) return [yield* provider(workspace, name)]
  const all = yield* providers(workspace)
  return all.length === 0 ? yield* nothingConfigured(workspace) : all
})

const unknown = (what: string, known: Iterable<string>) =>
  new ConfigurationInvalid({ reason: "UnknownName", detail: `${what}; there is ${list([...known])}` })

const nothingConfigured = ({ configuration, context }: Workspace) => {
  const sentence = `context ${printable(context)} has no provider in ${configuration.path}`
  const error = new ConfigurationInvalid({ reason: "MissingValue", detail: sentence })
  return new Failure({ error, sentence, remedy: "Add one: keyfob login NAME --issuer URL --client-id ID" })
}

const list = (names: ReadonlyArray<string>) => (names.length === 0 ? "none" : names.map(printable).join(", "))

/** How a person names a provider on the command line, where the call at hand may have named the context. */
export const commandFor = (
  workspace: Workspace,
  command: string,
  { context, name }: Pick<Configured, "context" | "name">
) =>
  ["keyfob", command, quoted(name), ...(context === workspace.current ? [] : ["--context", quoted(context)])].join(" ")

/** As a shell wants it. */
export const quoted = (word: string) => (/^[\w.:@%+/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)
