import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as ConfigurationEdit from "@keyfob/node/ConfigurationEdit"
import * as QshFile from "@keyfob/qlam/QshFile"
import { printable, ProviderType } from "keyfob"
import * as connector from "../aqt/connector.ts"
import { here } from "../../here.ts"
import { answer, note } from "../../output.ts"
import { types } from "../../types.ts"
import * as workspace from "../../workspace.ts"

interface Found {
  readonly contexts: ReadonlyArray<{
    readonly name: string
    readonly plugins: Readonly<Record<string, string>>
    /** What it has that has no place here. */
    readonly beside: ReadonlyArray<string>
  }>
  readonly current?: string | null | undefined
  readonly providers: ReadonlyArray<{
    readonly context: string
    readonly name: string
    readonly table: Readonly<Record<string, unknown>> & { readonly type: string }
  }>
}

const qlam = Effect.map(QshFile.read, ({ contexts, current_context: current }): Found => ({
  contexts: contexts.map((context) => ({
    name: context.name,
    plugins: QshFile.pluginsOf(context),
    beside: QshFile.besideProviders(context)
  })),
  current,
  providers: contexts.flatMap(({ auth_providers = [], name: context }) =>
    auth_providers.map((provider) => ({ context, name: provider.name, table: QshFile.tableOf(provider) }))
  )
}))

const aqt = Effect.map(connector.settings, (settings): Found => ({
  contexts: [{ name: "aqt", plugins: {}, beside: [] }],
  providers: [{ context: "aqt", name: "arnica", table: { ...settings, type: "aqt" } }]
}))

/** Whether a provider can be read here; else why not, so that no table is written that is of no use. */
const readable = Effect.fnUntraced(function* ({ context, name, table }: Found["providers"][number]) {
  const type = types.find((one) => one.name === table.type)
  if (type === undefined) return yield* Effect.fail(`this keyfob knows no type ${printable(table.type)}`)
  yield* Effect.mapError(type.configure(table, { context, name }), (error) => {
    const { expected, isMissing, keys } = ProviderType.complaintOf(error)
    return isMissing ? `${printable(keys.join("."))} is missing` : `${printable(keys.join("."))}: ${expected}`
  })
})

/** Contexts and providers keep their names, and take the place of those that have them already. */
export const importFrom = Command.make(
  "import",
  {
    system: Argument.Literals("system", ["aqt", "qlam"]).pipe(
      Argument.withDescription(
        "Whose files: aqt reads ~/.aqt and the platform's directory for aqt, qlam reads ~/.qsh/config.json, or the one in QSH_CONFIG_DIR"
      )
    )
  },
  Effect.fnUntraced(function* ({ system }) {
    const opened = yield* here
    const { contexts, current, providers: found } = yield* system === "aqt" ? aqt : qlam
    const taken = yield* Effect.filter(found, (one) =>
      Effect.matchEffect(readable(one), {
        onFailure: (why) => Effect.as(Effect.logWarning(`${printable(one.name)} is left out: ${why}`), false),
        onSuccess: () => Effect.succeed(true)
      })
    )
    const isTaken = (context: string, name: string) => taken.some((one) => one.context === context && one.name === name)
    const providers = taken.map(({ context, name, table: { type, ...settings } }) =>
      ConfigurationEdit.setProvider(context, name, { type, ...settings })
    )
    const plugins = contexts.flatMap(({ name, plugins }) => {
      const usable = Object.entries(plugins).filter(([, provider]) => isTaken(name, provider))
      return usable.length === 0 ? [] : [ConfigurationEdit.setPlugins(name, Object.fromEntries(usable))]
    })
    const { configuration } = opened
    yield* ConfigurationEdit.apply(
      configuration.path,
      ...contexts.map(({ name }) => ConfigurationEdit.addContext(name)),
      ...providers,
      ...plugins,
      // Who has a current context already goes on to work in that.
      ...(current && configuration.currentContext === undefined ? [ConfigurationEdit.useContext(current)] : [])
    )
    for (const { beside, name, plugins } of contexts) {
      const orphans = Object.keys(plugins).filter((plugin) => !isTaken(name, plugins[plugin] ?? ""))
      const left = [...beside, ...orphans.map((plugin) => `plugins.${plugin}.auth_provider`)]
      if (left.length > 0) yield* Effect.logWarning(`${printable(name)}: there is no place here for ${left.join(", ")}`)
    }
    const { currentContext } = configuration
    if (current && currentContext !== undefined && currentContext !== current) {
      yield* note(
        opened.globals,
        `the current context is still ${printable(currentContext)}; to change it: keyfob context use ${workspace.quoted(current)}`
      )
    }
    if (system === "aqt" && isTaken("aqt", "arnica")) yield* connector.takeOver(yield* here)
    yield* answer(
      opened.globals,
      taken.map(({ context, name, table }) => ({ context, provider: name, type: table.type })),
      () =>
        taken.length === 0
          ? "There was no provider to take over."
          : taken.map(({ context, name }) => `Context ${printable(context)} has ${printable(name)}.`).join("\n")
    )
  })
).pipe(Command.withDescription("Take over another system's contexts and providers"))
