import { Config, Effect, Option, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { fileURLToPath } from "node:url"

/** The built command, as it is published. */
export const path = fileURLToPath(new URL("../../cli/dist/keyfob.js", import.meta.url))

/** What `-o json` prints on stderr when a person must type a code somewhere. */
export const DeviceCode = Schema.Struct({
  event: Schema.Literal("device_code"),
  verification_uri: Schema.String,
  verification_uri_complete: Schema.optionalKey(Schema.String),
  user_code: Schema.String
})
const decodeDeviceCode = Schema.decodeUnknownOption(Schema.fromJsonString(DeviceCode))

export interface Input<E> {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
  /** What the person does who is shown the code. */
  readonly onDeviceCode?: (code: typeof DeviceCode.Type) => Effect.Effect<unknown, E>
}

export interface Output {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs `keyfob` in a process of its own and waits for it.
 *
 * Of this environment it gets PATH and nothing else: no setting of Keyfob, no CI flag and no proxy may decide how the
 * run ends.
 */
export const make = (directories: { readonly HOME: string; readonly KEYFOB_HOME: string }) =>
  Effect.fnUntraced(function* <E = never>(args: ReadonlyArray<string>, input: Input<E> = {}) {
    const PATH = yield* Config.String("PATH").pipe(Config.withDefault(""))
    const child = yield* ChildProcess.make(process.execPath, [path, ...args], {
      env: { PATH, ...directories, NO_COLOR: "1", ...input.env },
      extendEnv: false,
      stdin: input.stdin === undefined ? "ignore" : Stream.make(new TextEncoder().encode(input.stdin))
    })
    const act = (line: string) =>
      Option.match(decodeDeviceCode(line), {
        onNone: () => Effect.void,
        onSome: (code) => input.onDeviceCode?.(code) ?? Effect.void
      })
    const stderr = child.stderr.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.tap(act),
      Stream.runCollect,
      Effect.map((lines) => lines.join("\n"))
    )
    const stdout = child.stdout.pipe(Stream.decodeText(), Stream.mkString)
    const output = yield* Effect.all({ stdout, stderr, exitCode: child.exitCode }, { concurrency: "unbounded" })
    return { ...output, stdout: output.stdout.trim() } satisfies Output
  }, Effect.scoped)
