/** The workspace this command line asks for. */
import * as Effect from "effect/Effect"
import type { UserDirectories } from "effect/persistence/UserDirectories"
import type { ConfigurationInvalid } from "keyfob"
import { Globals } from "./globalFlags.ts"
import * as workspace from "./workspace.ts"

export const here: Effect.Effect<
  workspace.Workspace,
  ConfigurationInvalid,
  Effect.Services<typeof Globals> | UserDirectories
> = Effect.flatMap(Globals, workspace.open)
