import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Promised } from "keyfob"
import { execFile } from "node:child_process"
import { withoutSecrets } from "./childEnvironment.ts"

/** A program and its arguments. No shell reads them, and everybody can: nothing secret belongs there. */
export type Program = readonly [string, ...ReadonlyArray<string>]

/** How a program failed: by its exit code, signal or start, or by taking too long. */
export type ProgramFailure = { readonly _tag: "Ended"; readonly how: string } | { readonly _tag: "TimedOut" }

/**
 * What a program prints on stdout, up to 64 KiB, without white space at its ends. It may ask a person on its terminal, and
 * prints what is wrong on stderr. It sees the environment without what was meant for Keyfob (`KEYFOB_…`).
 */
export const programOutput = (
  [program, ...args]: Program,
  options: { readonly timeout: Duration.Input }
): Effect.Effect<string, ProgramFailure> =>
  Effect.callback<string, ProgramFailure>((resume) => {
    const env = withoutSecrets()
    const child = execFile(program, args, { encoding: "utf8", maxBuffer: 64 * 1024, env }, (error, stdout) =>
      resume(
        error === null
          ? Effect.succeed(stdout.trim())
          : Effect.fail({ _tag: "Ended", how: String(error.code ?? error.signal) })
      )
    )
    child.stdin?.end()
    child.stderr?.pipe(process.stderr, { end: false })
    return Effect.sync(() => child.kill("SIGKILL"))
  }).pipe(
    Promised.run,
    Effect.interruptible,
    Effect.timeoutOrElse({ duration: options.timeout, orElse: () => Effect.fail({ _tag: "TimedOut" } as const) })
  )
