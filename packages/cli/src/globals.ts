import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { Environment, expandHome, Precedence } from "@keyfob/node"
import type * as Redacted from "effect/Redacted"

const Context = GlobalFlag.Setting("context")({
  flag: Flag.String("context").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("The context to work in [KEYFOB_CONTEXT]"),
    Flag.optional
  )
})

const ConfigFile = GlobalFlag.Setting("config")({
  flag: Flag.String("config").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("The configuration file [KEYFOB_CONFIG]"),
    Flag.optional
  )
})

const Output = GlobalFlag.Setting("output")({
  flag: Flag.Literals("output", ["text", "json"]).pipe(
    Flag.withAlias("o"),
    Flag.withDescription("How to print the answer [KEYFOB_OUTPUT]"),
    Flag.optional
  )
})

const NonInteractive = GlobalFlag.Setting("non-interactive")({
  flag: Flag.Boolean("non-interactive").pipe(
    Flag.withNegation("interactive"),
    Flag.withDescription("Fail where a person is needed [KEYFOB_NON_INTERACTIVE, CI]"),
    Flag.optional
  )
})

const CaFile = GlobalFlag.Setting("ca-file")({
  flag: Flag.String("ca-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Further certificate authorities to trust, PEM [KEYFOB_CA_FILE, SSL_CERT_FILE]"),
    Flag.optional
  )
})

const Color = GlobalFlag.Setting("color")({
  flag: Flag.Boolean("color").pipe(Flag.withDescription("Colours on a terminal [NO_COLOR]"), Flag.optional)
})

/** The flags every command has. */
export const flags = [Context, ConfigFile, Output, NonInteractive, CaFile, Color] as const

export type OutputMode = "text" | "json"

/** What every command must know: its global flags, and behind them the environment. */
export interface Globals {
  readonly context: string | undefined
  readonly configFile: string | undefined
  readonly output: OutputMode
  readonly nonInteractive: boolean
  readonly caFile: string | undefined
  /** Whether somebody asked for colours or against them; a terminal decides where nobody did. */
  readonly color: boolean | undefined
  readonly clientSecret: Redacted.Redacted | undefined
}

const defaults: Globals = {
  context: undefined,
  configFile: undefined,
  output: "text",
  nonInteractive: false,
  caFile: undefined,
  color: undefined,
  clientSecret: undefined
}

/** Defaults < environment < flags. */
export const Globals = Effect.gen(function* () {
  const { privateKey: _, ...environment } = yield* Environment.read
  const path = Effect.fnUntraced(function* (flag: Option.Option<string>) {
    return Option.isNone(flag) ? undefined : yield* expandHome(flag.value)
  })
  return Precedence.resolve<Globals>(defaults, environment, {
    context: Option.getOrUndefined(yield* Context),
    configFile: yield* path(yield* ConfigFile),
    output: Option.getOrUndefined(yield* Output),
    nonInteractive: Option.getOrUndefined(yield* NonInteractive),
    caFile: yield* path(yield* CaFile),
    color: Option.getOrUndefined(yield* Color)
  })
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
