/** The whole command, in a process of its own. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as UserDirectories from "effect/persistence/UserDirectories"
import { run } from "./commandLine.ts"
import { outputModeOf } from "./globals.ts"
import * as logging from "./logging.ts"
import { stopping } from "./stopping.ts"
import { teardown } from "./teardown.ts"

/** Put in by the bundler. */
declare const KEYFOB_VERSION: string

// Closing the window ends the command as SIGTERM does, with what is on its way finished. By default Node would end at once.
process.on("SIGHUP", () => process.emit("SIGTERM"))

const args = process.argv.slice(2)
const output = process.env["KEYFOB_OUTPUT"]
Effect.runFork(Effect.provide(stopping, logging.layer(outputModeOf(args, output))))

run(args, { output, version: KEYFOB_VERSION }).pipe(
  Effect.provide([NodeServices.layer, UserDirectories.layer]),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)
