import * as Command from "effect/cli/Command"
import { docker } from "./docker.ts"
import { git } from "./git.ts"
import { kubectl } from "./kubectl.ts"

export const credential = Command.make("credential").pipe(
  Command.withDescription("Speak the credential protocols of other tools"),
  Command.withSubcommands([docker, git, kubectl])
)
