import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { printable } from "keyfob"
import { answer } from "../../output.ts"
import { here } from "../../here.ts"
import * as workspace from "../../workspace.ts"

export const use = Command.make(
  "use",
  { name: Argument.String("name").pipe(Argument.withDescription("A context")) },
  Effect.fnUntraced(function* ({ name }) {
    const opened = yield* here
    yield* workspace.known(opened, name)
    const ConfigurationEdit = yield* Effect.promise(() => import("@keyfob/node/ConfigurationEdit"))
    yield* ConfigurationEdit.apply(opened.configuration.path, ConfigurationEdit.useContext(name))
    yield* answer(opened.globals, { context: name, current: true }, () => `The current context is ${printable(name)}.`)
  })
).pipe(Command.withDescription("Make a context the current one"))
