import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { printable } from "keyfob"
import { answer } from "../../output.ts"
import { table } from "../../text/table.ts"
import { here } from "../../here.ts"

export const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function* () {
    const opened = yield* here
    const { configuration, context } = opened
    const rows = Array.from(configuration.contexts, ([name, { providers }]) => ({
      context: name,
      current: name === context,
      providers: [...providers.keys()]
    }))
    yield* answer(opened.globals, rows, () =>
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
