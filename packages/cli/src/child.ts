/** Another program in this one's place: its streams, signals and exit code. No shell is in between. */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { constants } from "node:os"
import { isatty } from "node:tty"
import { printable } from "keyfob"
import { Ended, UsageError } from "./failure.ts"

/** The variables of Keyfob's that the program may see: they say where things are. Any other may hold a secret. */
const settings = ["HOME", "CONTEXT", "CONFIG", "OUTPUT", "NON_INTERACTIVE", "CA_FILE"].map((name) => `KEYFOB_${name}`)

const environment = () =>
  Object.entries(process.env).filter(([name]) => !name.startsWith("KEYFOB_") || settings.includes(name))

/**
 * Runs the program to its end, and ends as it does: with its exit code, or with 128 and the number of the signal that
 * ended it.
 *
 * @param options.env what it finds in its environment besides
 * @param options.stdin what it reads from standard input; default: what we would
 */
export const run = (
  program: string,
  args: ReadonlyArray<string>,
  { env = {}, stdin }: { readonly env?: Readonly<Record<string, string>>; readonly stdin?: string } = {}
): Effect.Effect<never, Ended | UsageError> =>
  Effect.callback((resume) => {
    const child = spawn(program, args, {
      env: { ...Object.fromEntries(environment()), ...env },
      stdio: [stdin === undefined ? "inherit" : "pipe", "inherit", "inherit"]
    })
    const ours = passOn((name) => child.kill(name))
    child.once("error", (error: NodeJS.ErrnoException) => {
      ours()
      const message = `${printable(program)} cannot be run (${error.code ?? "unknown"})`
      resume(new UsageError({ message, remedy: "Name a program that is there, and may be run" }))
    })
    child.once("close", (code, signal) => {
      ours()
      resume(new Ended({ exitCode: code ?? 128 + (signal === null ? 0 : constants.signals[signal]) }))
    })
    // The program may end without reading all of its input: no error of ours.
    child.stdin?.on("error", () => undefined)
    child.stdin?.end(stdin)
    return Effect.sync(() => {
      ours()
      child.kill()
    })
  })

const signals: ReadonlyArray<NodeJS.Signals> =
  process.platform === "win32"
    ? ["SIGINT", "SIGTERM", "SIGHUP"]
    : ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"]

/** Whether a terminal sends us its signals. One of the three streams is enough, since the others may be files. */
const isAtTerminal = () => [0, 1, 2].some((descriptor) => isatty(descriptor))

/**
 * Passes signals on to the program until the result is called, instead of ending us. Not those of a terminal's keys, which
 * it sends to the program itself: they would come twice, and to many programs a second Ctrl-C means more than one.
 */
const passOn = (kill: (name: NodeJS.Signals) => void) => {
  const undo = signals.map((name) => {
    const before = process.listeners(name)
    const isKey = name === "SIGINT" || name === "SIGQUIT"
    const listener = () => (isKey && isAtTerminal() ? undefined : kill(name))
    process.removeAllListeners(name)
    process.on(name, listener)
    return () => {
      process.off(name, listener)
      for (const one of before) process.on(name, one)
    }
  })
  return () => {
    for (const one of undo.splice(0)) one()
  }
}
