import * as Command from "effect/cli/Command"
import { aws } from "./aws.ts"
import { docker } from "./docker.ts"
import { git } from "./git.ts"
import { kubectl } from "./kubectl.ts"

export const credential = Command.make("credential").pipe(
  Command.withDescription("Speak the credential protocols of other tools"),
  Command.withSubcommands([aws, docker, git, kubectl])
)
