import * as Command from "effect/cli/Command"
import { rotate } from "./rotate.ts"

export const store = Command.make("store").pipe(
  Command.withDescription("Where credentials are kept"),
  Command.withSubcommands([rotate])
)
