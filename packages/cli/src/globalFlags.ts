/** The flags every command has. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { expandHome } from "@keyfob/node/Directories"
import { resolve } from "./globals.ts"
import { emptyName, isName } from "./name.ts"

const Context = GlobalFlag.Setting("context")({
  flag: Flag.String("context").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("The context to work in [KEYFOB_CONTEXT]"),
    Flag.filter(isName, () => emptyName),
    Flag.optional
  )
})

const ConfigFile = GlobalFlag.Setting("config")({
  flag: Flag.String("config").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("The configuration file [KEYFOB_CONFIG]"),
    Flag.filter(isName, () => emptyName),
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
    Flag.withDescription("Fail where a person is needed; --interactive takes it back [KEYFOB_NON_INTERACTIVE, CI]"),
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
  flag: Flag.Boolean("color").pipe(
    Flag.withDescription("Colours on a terminal; --no-color has none [NO_COLOR, TERM]"),
    Flag.optional
  )
})

export const flags = [Context, ConfigFile, Output, NonInteractive, CaFile, Color] as const

/** As effect/cli has it, but without `sh`: what it would print is bash's. */
export const Completions = GlobalFlag.Action({
  flag: Flag.ChoiceWithValue("completions", [
    ["bash", "bash"],
    ["zsh", "zsh"],
    ["fish", "fish"],
    ["powershell", "powershell"],
    ["pwsh", "powershell"]
  ]).pipe(Flag.optional, Flag.withMetavar("SHELL"), Flag.withDescription("Print a completion script for a shell")),
  run: GlobalFlag.Completions.run
})

/** The globals, as this command line has them. */
export const Globals = Effect.gen(function* () {
  const path = Effect.fnUntraced(function* (flag: Option.Option<string>) {
    return Option.isNone(flag) ? undefined : yield* expandHome(flag.value)
  })
  return yield* resolve({
    context: Option.getOrUndefined(yield* Context),
    configFile: yield* path(yield* ConfigFile),
    output: Option.getOrUndefined(yield* Output),
    nonInteractive: Option.getOrUndefined(yield* NonInteractive),
    caFile: yield* path(yield* CaFile),
    color: Option.getOrUndefined(yield* Color)
  })
})
