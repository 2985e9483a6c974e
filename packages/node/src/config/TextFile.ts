import * as Effect from "effect/Effect"
import { ConfigurationInvalid } from "keyfob"
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs"

export interface TextFile {
  readonly text: string
  /** Permission bits, `0o600`. Zero for others and the group where the system has no such bits (Windows). */
  readonly mode: number
}

const failed = (path: string, what: string) =>
  new ConfigurationInvalid({ reason: "InvalidValue", detail: `${path} ${what}` })

const codeOf = (cause: unknown) => (cause instanceof Error && "code" in cause ? String(cause.code) : String(cause))

/** The file's text and mode, or `undefined` where there is no such file. */
export const read = (path: string): Effect.Effect<TextFile | undefined, ConfigurationInvalid> =>
  Effect.try({
    try: () => {
      const file = openSync(path, "r")
      try {
        const mode = process.platform === "win32" ? 0o600 : fstatSync(file).mode & 0o777
        // Strict, since an edit of a text with replaced characters would destroy them; with its byte order mark for the same reason.
        return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(file)), mode }
      } finally {
        closeSync(file)
      }
    },
    catch: codeOf
  }).pipe(
    Effect.catchIf(
      (code) => code === "ENOENT",
      () => Effect.succeed(undefined)
    ),
    Effect.mapError((code) =>
      failed(path, code === "ERR_ENCODING_INVALID_ENCODED_DATA" ? "is not UTF-8 text" : `cannot be read (${code})`)
    )
  )
