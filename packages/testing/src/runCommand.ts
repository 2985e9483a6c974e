import type * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Formatter from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Runtime from "effect/Runtime"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import * as SettledClock from "./SettledClock.ts"
import { withStillFiles } from "./stillFiles.ts"

/** What a shell would see of a command. */
export interface CommandResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** The world a command runs in. */
export interface CommandOptions {
  /** The environment, whole: nothing of the test's own shows through. Default: empty. */
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
  /** Whether standard output and error are a terminal. Standard input never is: nobody types. Default: false. */
  readonly terminal?: boolean
  /** From its end to its exit code. Default: as `runMain` does. */
  readonly teardown?: Runtime.Teardown
  /** How long it may take by the test clock; one that takes longer is a defect. Default: a day. */
  readonly limit?: Duration.Input
}

/**
 * Runs a command in the test's own process: a virtual console and environment around it, the clock, the HTTP client and the
 * files that are in context below it. It never fails: how it ended is in its exit code. Under the clock of
 * `SimulatedProvider.layer` it takes no time of yours: that clock moves on whenever the command waits.
 *
 * ```ts
 * const { exitCode, stdout } = yield* runCommand(Command.runWith(command, { version: "1.0.0" })(["token", "--json"]))
 * ```
 */
export const runCommand = Effect.fnUntraced(function* <A, E, R>(
  program: Effect.Effect<A, E, R>,
  { env = {}, limit = "1 day", stdin = "", teardown = Runtime.defaultTeardown, terminal = false }: CommandOptions = {}
): Effect.fn.Return<CommandResult, never, Exclude<R, Stdio.Stdio | Terminal.Terminal>> {
  const printed = { stdout: "", stderr: "" }
  // One for each stream: a character may come in two pieces.
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() }
  const into = (name: "stdout" | "stderr") => (text: string) => {
    printed[name] += text
  }
  const sink = (name: "stdout" | "stderr") => () =>
    Sink.forEach((chunk: string | Uint8Array) =>
      Effect.sync(() => into(name)(typeof chunk === "string" ? chunk : decoders[name].decode(chunk, { stream: true })))
    )
  const stdio = Stdio.layerTest({
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    stdin: Stream.make(new TextEncoder().encode(stdin)),
    stdoutIsTerminal: Effect.succeed(terminal),
    stderrIsTerminal: Effect.succeed(terminal)
  })
  const world = Layer.mergeAll(
    stdio,
    Layer.succeed(Terminal.Terminal, silentTerminal(into("stdout"))),
    Layer.succeed(Console.Console, consoleOf(into("stdout"), into("stderr"))),
    ConfigProvider.layer(ConfigProvider.fromEnv({ env }))
  )
  const exit = yield* toItsEnd(Effect.provide(withStillFiles(program), world), Duration.fromInputUnsafe(limit)).pipe(
    // What hangs ends with the test's own time, which says nothing of it. To the real console, and no secrets: those go to stdout.
    Effect.onInterrupt(() =>
      Effect.logWarning(`the command was stopped before its end; it had said: ${JSON.stringify(printed.stderr)}`).pipe(
        Effect.provideService(Console.Console, globalThis.console)
      )
    )
  )
  const exitCode = yield* Effect.callback<number>((resume) => teardown(exit, (code) => resume(Effect.succeed(code))))
  return { exitCode, ...printed }
})

/**
 * Lets the test clock pass until the program ends. While nobody sleeps, time would change nothing: it is the system that
 * is slow (a module that loads), and has as long as it takes. Who sleeps beyond the limit may be another, and the system
 * is given a second of the real clock.
 */
const toItsEnd = Effect.fnUntraced(function* <A, E, R>(
  program: Effect.Effect<A, E, R>,
  limit: Duration.Duration
): Effect.fn.Return<Exit.Exit<A, E>, never, R> {
  const clock = yield* SettledClock.current
  if (clock === undefined) return yield* Effect.exit(program)
  const end = clock.currentTimeMillisUnsafe() + Duration.toMillis(limit)
  const fiber = yield* clock.begin(program)
  for (let idle = 0; idle < 100;) {
    if (yield* clock.runOut(fiber, end - clock.currentTimeMillisUnsafe())) idle++
    if (fiber.pollUnsafe() !== undefined) return yield* Fiber.await(fiber)
    yield* clock.withLive(Effect.sleep("10 millis"))
  }
  yield* Fiber.interrupt(fiber)
  return yield* Effect.die(new Error(`the command did not end within ${Duration.format(limit)} of the test clock`))
})

/** A screen without a person: who asks is told that they went away. */
const silentTerminal = (print: (text: string) => void) =>
  Terminal.make({
    columns: Effect.succeed(80),
    rows: Effect.succeed(24),
    size: Effect.tap(Queue.make<Terminal.Size, Cause.Done>(), (queue) => Queue.offer(queue, { columns: 80, rows: 24 })),
    readInput: Effect.tap(Queue.make<Terminal.UserInput, Cause.Done>(), Queue.end),
    readLine: Effect.fail(new Terminal.QuitError({})),
    display: (text) => Effect.sync(() => print(text))
  })

const consoleOf = (out: (text: string) => void, err: (text: string) => void): Console.Console => {
  const line =
    (print: (text: string) => void) =>
    (...parts: ReadonlyArray<unknown>) =>
      print(`${parts.map((part) => (typeof part === "string" ? part : Formatter.format(part))).join(" ")}\n`)
  const quiet = () => undefined
  return {
    assert: quiet,
    clear: quiet,
    count: quiet,
    countReset: quiet,
    debug: line(err),
    dir: line(out),
    dirxml: line(out),
    error: line(err),
    group: line(out),
    groupCollapsed: line(out),
    groupEnd: quiet,
    info: line(out),
    log: line(out),
    table: line(out),
    time: quiet,
    timeEnd: quiet,
    timeLog: quiet,
    trace: line(err),
    warn: line(err)
  }
}
