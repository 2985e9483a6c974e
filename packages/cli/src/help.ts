/** Help and version go to stdout when they are asked for. A wrong command line gets one sentence instead, from `main.ts`. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CliOutput from "effect/cli/CliOutput"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import { print } from "./output.ts"

export const layer = Layer.unwrap(
  Effect.map(TerminalCapabilities.TerminalCapabilities, ({ canColor }) => {
    const formatter = CliOutput.defaultFormatter({ colors: canColor && !process.argv.includes("--no-color") })
    return CliOutput.layerPresenter({
      present: (event) => {
        switch (event._tag) {
          case "Help":
            return Effect.orDie(print(formatter.formatHelpDoc(event.helpDoc).trimEnd()))
          case "Version":
            return Effect.orDie(print(formatter.formatVersion(event.name, event.version)))
          case "InvalidInvocation":
            return Effect.void
        }
      }
    })
  })
)
