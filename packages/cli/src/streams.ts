import * as Context from "effect/Context"

/** Standard input, output and error: the process's, unless somebody (a test) gives others. */
export interface Streams {
  readonly stdin: NodeJS.ReadableStream
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
}

export const Streams = Context.Reference<Streams>("@keyfob/cli/Streams", { defaultValue: () => process })
