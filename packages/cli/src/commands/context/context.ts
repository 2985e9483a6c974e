import * as Command from "effect/cli/Command"
import { add } from "./add.ts"
import { importFrom } from "./import.ts"
import { list } from "./list.ts"
import { remove } from "./remove.ts"
import { show } from "./show.ts"
import { use } from "./use.ts"

export const context = Command.make("context").pipe(
  Command.withDescription("Named sets of providers in the configuration"),
  Command.withSubcommands([list, show, use, add, remove, importFrom])
)
