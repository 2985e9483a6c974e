/** `@keyfob/cli/testing`: the command in the process of a test. Tests alone load it; the command has nothing of it. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { type CommandOptions, type CommandResult, runCommand } from "@keyfob/testing"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as UserDirectories from "effect/persistence/UserDirectories"
import { readFileSync } from "node:fs"
import { Readable, Writable } from "node:stream"
import { run } from "./commandLine.ts"
import { Streams } from "./streams.ts"
import { teardown } from "./teardown.ts"

/** Runs a command line, given without its first word. It never fails: how it ended is in its exit code. */
export type Keyfob = (args: ReadonlyArray<string>, options?: CommandOptions) => Effect.Effect<CommandResult>

export const runKeyfob: {
  /**
   * The command on a machine of its own: a home directory that goes away with the scope, shared by all its runs. Clock and
   * HTTP client are those in context (`SimulatedProvider.layer` has both; without a client it is the real network), console
   * and environment are virtual.
   *
   * ```ts
   * const keyfob = yield* runKeyfob.make
   * const { exitCode, stdout, stderr } = yield* keyfob(["token", "work"], { env: { KEYFOB_OUTPUT: "json" } })
   * ```
   */
  readonly make: Effect.Effect<Keyfob, never, Scope.Scope>
} = {
  make: Effect.suspend(() =>
    Effect.map(directory, (home): Keyfob => (args, options = {}) => {
      const env: Readonly<Record<string, string>> = { HOME: home, KEYFOB_HOME: home, ...options.env }
      return run(args, { output: env["KEYFOB_OUTPUT"], version }).pipe(
        Effect.provide(layerStreams),
        (program) => runCommand(program, { teardown, ...options, env }),
        Effect.provide([NodeServices.layer, UserDirectories.layer])
      )
    })
  )
}

const { version }: { readonly version: string } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8")
)

const directory = FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped({ prefix: "keyfob-" })).pipe(
  Effect.orDie,
  Effect.provide(NodeServices.layer)
)

/** Node's streams over those of the virtual console. */
const layerStreams = Layer.effect(
  Streams,
  Effect.gen(function* () {
    const stdio = yield* Stdio.Stdio
    const writable = (sink: ReturnType<typeof stdio.stdout>) =>
      new Writable({
        decodeStrings: false,
        write: (chunk: string, _, done) => {
          Effect.runSync(Effect.orDie(Stream.run(Stream.make(chunk), sink)))
          done()
        }
      })
    const stdin = Readable.from(yield* Effect.orDie(Stream.runCollect(stdio.stdin)))
    return { stdin, stdout: writable(stdio.stdout()), stderr: writable(stdio.stderr()) }
  })
)
