/** From how a command ended to the process's exit code. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type * as Runtime from "effect/Runtime"
import { Ended } from "./failure.ts"
import { reportOfCause } from "./report.ts"

export const interrupted = 130

export const teardown: Runtime.Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(0)
  if (Cause.hasInterruptsOnly(exit.cause)) return onExit(interrupted)
  const error = Cause.squash(exit.cause)
  if (error instanceof Ended) return onExit(error.exitCode)
  onExit(reportOfCause(exit.cause)?.exitCode ?? 0)
}
