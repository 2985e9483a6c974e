/** What every command must know before it starts. */
import * as Effect from "effect/Effect"
import * as Environment from "@keyfob/node/Environment"
import * as Precedence from "@keyfob/node/Precedence"

export type OutputMode = "text" | "json"

/** What the environment says, where no flag of the command line says otherwise. */
export interface Globals extends Environment.Environment {
  readonly output: OutputMode
  readonly nonInteractive: boolean
}

/** Defaults < environment < what the command line said. */
export const resolve = Effect.fnUntraced(function* (said: Precedence.Partially<Globals>) {
  const { nonInteractive = false, output = "text", ...others } = yield* Environment.read
  return Precedence.resolve<Globals>({ ...others, nonInteractive, output }, said)
})

/** The output mode, as far as it shows before the command line is understood: for errors alone. */
export const outputModeOf = (args: ReadonlyArray<string>, environment: string | undefined): OutputMode => {
  const own = args.includes("--") ? args.slice(0, args.indexOf("--")) : args
  const said = own.flatMap((arg, index) => {
    const [, value] = /^(?:-o|--output)(?:=(.*))?$/s.exec(arg) ?? []
    return /^(?:-o|--output)(?:=|$)/.test(arg) ? [value ?? own[index + 1]] : []
  })
  return (said.at(-1) ?? environment) === "json" ? "json" : "text"
}
