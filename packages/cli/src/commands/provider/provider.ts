import * as Command from "effect/cli/Command"
import { list } from "./list.ts"

export const provider = Command.make("provider").pipe(
  Command.withDescription("The kinds of providers there are"),
  Command.withSubcommands([list])
)
