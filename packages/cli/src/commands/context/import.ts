import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as ConfigurationEdit from "@keyfob/node/ConfigurationEdit"
import * as QshFile from "@keyfob/qlam/QshFile"
import { printable } from "keyfob"
import { here } from "../../here.ts"
import { answer } from "../../output.ts"
import { types } from "../../types.ts"

/** Contexts and providers keep their names, and take the place of those that have them already. */
export const importFrom = Command.make(
  "import",
  {
    system: Argument.Literals("system", ["qlam"]).pipe(
      Argument.withDescription("Whose files: qlam reads ~/.qsh/config.json, or the one in QSH_CONFIG_DIR")
    )
  },
  Effect.fnUntraced(function* () {
    const opened = yield* here
    const { contexts, current_context: current } = yield* QshFile.read
    const known = types.map(({ name }) => name)
    const found = contexts.flatMap(({ auth_providers = [], name: context }) =>
      auth_providers.map((provider) => ({ context, name: provider.name, table: QshFile.tableOf(provider) }))
    )
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
      ...contexts.map(({ name }) => ConfigurationEdit.addContext(name)),
      ...providers,
      // Who has a current context already goes on to work in that.
      ...(current && opened.configuration.currentContext === undefined ? [ConfigurationEdit.useContext(current)] : [])
    )
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
