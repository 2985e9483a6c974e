import * as Command from "effect/cli/Command"
import { files } from "./files.ts"
import { job } from "./job.ts"

export const aqt = Command.make("aqt").pipe(
  Command.withDescription("Jobs at Arnica, and the files of AQT's connector"),
  Command.withSubcommands([job, files])
)
