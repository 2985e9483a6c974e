import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { printable } from "keyfob"
import { answer } from "../../output.ts"
import { table } from "../../text/table.ts"
import * as workspace from "../../workspace.ts"

export const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function* () {
    const { configuration, context } = yield* workspace.open
    const rows = Array.from(configuration.contexts, ([name, { providers }]) => ({
      context: name,
      current: name === context,
      providers: [...providers.keys()]
    }))
    yield* answer(rows, () =>
      rows.length === 0
        ? "There is no context yet: keyfob login --issuer URL --client-id ID makes one"
        : table(
            ["", "CONTEXT", "PROVIDERS"],
            rows.map(({ context, current, providers }) => [
              current ? "*" : "",
              printable(context),
              providers.map(printable).join(", ")
            ])
          )
    )
  })
).pipe(Command.withDescription("The contexts, and the providers in each"))
