/** The command in this process: its own tree, in a virtual world and a temporary home. */
import { NodeServices } from "@effect/platform-node"
import { type CommandOptions, runCommand } from "@keyfob/testing"
import { Effect, FileSystem, Layer, Stdio, Stream } from "effect"
import { UserDirectories } from "effect/persistence"
import { Readable, Writable } from "node:stream"
import { run } from "../src/keyfob.ts"
import { Streams } from "../src/streams.ts"
import { teardown } from "../src/teardown.ts"

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

const directory = FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped()).pipe(
  Effect.orDie,
  Effect.provide(NodeServices.layer)
)

/** A home of its own, and the command in it: with the HTTP client and the clock that are in context. */
export const make = Effect.map(directory, (home) => (args: ReadonlyArray<string>, options: CommandOptions = {}) => {
  const env: Readonly<Record<string, string>> = { HOME: home, KEYFOB_HOME: home, ...options.env }
  return run(args, { output: env["KEYFOB_OUTPUT"], version: "0.0.0-test" }).pipe(
    Effect.provide(layerStreams),
    (program) => runCommand(program, { teardown, ...options, env }),
    Effect.provide([NodeServices.layer, UserDirectories.layer])
  )
})
