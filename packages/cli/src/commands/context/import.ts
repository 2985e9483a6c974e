import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as ConfigurationEdit from "@keyfob/node/ConfigurationEdit"
import * as QshFile from "@keyfob/qlam/QshFile"
import { printable } from "keyfob"
import * as connector from "../aqt/connector.ts"
import { here } from "../../here.ts"
import { answer } from "../../output.ts"
import { types } from "../../types.ts"

interface Found {
  readonly contexts: ReadonlyArray<string>
  readonly current?: string | null | undefined
  readonly providers: ReadonlyArray<{
    readonly context: string
    readonly name: string
    readonly table: Readonly<Record<string, unknown>> & { readonly type: string }
  }>
}

const qlam = Effect.map(QshFile.read, ({ contexts, current_context: current }): Found => ({
  contexts: contexts.map(({ name }) => name),
  current,
  providers: contexts.flatMap(({ auth_providers = [], name: context }) =>
    auth_providers.map((provider) => ({ context, name: provider.name, table: QshFile.tableOf(provider) }))
  )
}))

const aqt = Effect.map(connector.settings, (settings): Found => ({
  contexts: ["aqt"],
  providers: [{ context: "aqt", name: "arnica", table: { ...settings, type: "aqt" } }]
}))

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
    const known = types.map(({ name }) => name)
    const taken = found.filter(({ table }) => known.includes(table.type))
    for (const { name, table } of found.filter((one) => !taken.includes(one))) {
      yield* Effect.logWarning(`${printable(name)} is left out: this keyfob knows no type ${printable(table.type)}`)
    }
    const providers = yield* Effect.forEach(taken, ({ context, name, table: { type, ...table } }) =>
      ConfigurationEdit.setProvider(context, name, { type: "other", typeName: type, table: Redacted.make(table) })
    )
    const { path } = opened.configuration
    yield* ConfigurationEdit.apply(
      path,
      ...contexts.map((name) => ConfigurationEdit.addContext(name)),
      ...providers,
      // Who has a current context already goes on to work in that.
      ...(current && opened.configuration.currentContext === undefined ? [ConfigurationEdit.useContext(current)] : [])
    )
    if (system === "aqt") yield* connector.takeOver(yield* here)
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
