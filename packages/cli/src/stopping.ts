/**
 * A stop waits for what is on its way: a renewal that is cut off may cost the session. Who has waited for a second is told
 * so, and can stop it as it is.
 */
import * as Effect from "effect/Effect"
import { interrupted } from "./teardown.ts"

const signals = ["SIGINT", "SIGTERM"] as const

const stopped = Effect.callback<void>((resume) => {
  for (const name of signals) process.once(name, () => resume(Effect.void))
})

/** A second signal before that second is over is the first one: some runners pass a terminal's Ctrl-C on. */
export const stopping = stopped.pipe(
  Effect.andThen(Effect.sleep("1 second")),
  Effect.andThen(
    Effect.logWarning("what is on its way is finished first, and nothing lost; Ctrl-C again ends it as it is")
  ),
  Effect.andThen(
    Effect.sync(() => {
      for (const name of signals) process.on(name, () => process.exit(interrupted))
    })
  )
)
