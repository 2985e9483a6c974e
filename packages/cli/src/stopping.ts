/**
 * A stop waits for what is on its way: a renewal that is cut off may cost the session. Who has waited for a second is told
 * so, and need not wait any longer.
 */
import * as Effect from "effect/Effect"
import { interrupted } from "./teardown.ts"

const stopped = Effect.callback<void>((resume) => {
  for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => resume(Effect.void))
})

/**
 * A second Ctrl-C before that second is over is the first one: some runners pass a terminal's on. Other signals may come
 * several times without anybody's impatience (a window is closed, then the machine is shut down), and change nothing.
 */
export const stopping = stopped.pipe(
  Effect.andThen(Effect.sleep("1 second")),
  Effect.andThen(
    Effect.logWarning("waiting for what is on its way, so that nothing is lost; Ctrl-C again ends it at once")
  ),
  Effect.andThen(Effect.sync(() => process.on("SIGINT", () => process.exit(interrupted))))
)
