import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { printable } from "keyfob"
import { answer } from "../../output.ts"
import * as workspace from "../../workspace.ts"

export const use = Command.make(
  "use",
  { name: Argument.String("name").pipe(Argument.withDescription("A context")) },
  Effect.fnUntraced(function* ({ name }) {
    const opened = yield* workspace.open
    yield* workspace.known(opened, name)
    const { ConfigurationEdit } = yield* Effect.promise(() => import("@keyfob/node"))
    yield* ConfigurationEdit.apply(opened.configuration.path, ConfigurationEdit.useContext(name))
    yield* answer({ context: name, current: true }, () => `The current context is ${printable(name)}.`)
  })
).pipe(Command.withDescription("Make a context the current one"))
