/** What every command must know before it starts. */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Environment from "@keyfob/node/Environment"
import * as Precedence from "@keyfob/node/Precedence"

export type OutputMode = "text" | "json"

/** What every command must know: its global flags, and behind them the environment. */
export interface Globals {
  readonly context: string | undefined
  readonly configFile: string | undefined
  readonly output: OutputMode
  readonly nonInteractive: boolean
  readonly caFile: string | undefined
  /** Whether colours are welcome on a terminal. */
  readonly color: boolean
  readonly clientSecret: Redacted.Redacted | undefined
  readonly privateKey: Redacted.Redacted | undefined
  readonly privateKeyPassphrase: Redacted.Redacted | undefined
  readonly password: Redacted.Redacted | undefined
  readonly token: Redacted.Redacted | undefined
  readonly refreshToken: Redacted.Redacted | undefined
  readonly appSecret: Redacted.Redacted | undefined
  readonly storeUrl: Redacted.Redacted | undefined
  readonly storePassphrase: Redacted.Redacted | undefined
  readonly formerStorePassphrase: Redacted.Redacted | undefined
}

const defaults: Globals = {
  context: undefined,
  configFile: undefined,
  output: "text",
  nonInteractive: false,
  caFile: undefined,
  color: true,
  clientSecret: undefined,
  privateKey: undefined,
  privateKeyPassphrase: undefined,
  password: undefined,
  token: undefined,
  refreshToken: undefined,
  appSecret: undefined,
  storeUrl: undefined,
  storePassphrase: undefined,
  formerStorePassphrase: undefined
}

/** Defaults < environment < what the command line said. */
export const resolve = Effect.fnUntraced(function* (said: Precedence.Partially<Globals>) {
  return Precedence.resolve<Globals>(defaults, yield* Environment.read, said)
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
