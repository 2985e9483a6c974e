/** The whole command, in a process of its own. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as UserDirectories from "effect/persistence/UserDirectories"
import { run } from "./commandLine.ts"
import { teardown } from "./teardown.ts"

/** Put in by the bundler. */
declare const KEYFOB_VERSION: string

// A window that is closed ends it as a signal to end does. Node alone would end at once, under nohup too.
process.on("SIGHUP", () => process.emit("SIGTERM"))

run(process.argv.slice(2), { output: process.env["KEYFOB_OUTPUT"], version: KEYFOB_VERSION }).pipe(
  Effect.provide([NodeServices.layer, UserDirectories.layer]),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)
