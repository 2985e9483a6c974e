import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { ConfigurationInvalid, ProviderType } from "keyfob"
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs"
import { errno } from "../errno.ts"
import { isTable, parse, type Table } from "./TomlDocument.ts"

/** A file as it was found. */
export interface TomlFile {
  readonly text: string
  /** Permission bits, `0o600`. `0o600` on Windows, which has none. */
  readonly mode: number
  readonly root: Table
}

/**
 * Reads the file at `path`; `undefined` where there is none. Fails with `ConfigurationInvalid` where it cannot be read or
 * is not TOML, then with line and column.
 */
export const read = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<TomlFile | undefined, ConfigurationInvalid> {
  const found = yield* Effect.try({ try: () => bytesAndMode(path), catch: errno }).pipe(
    Effect.catchIf(
      (code) => code === "ENOENT",
      () => Effect.succeed(undefined)
    ),
    Effect.mapError(
      (code) => new ConfigurationInvalid({ reason: "Unreadable", detail: `${path} cannot be read (${code})` })
    )
  )
  if (found === undefined) return undefined
  const text = yield* Effect.try({
    // Strict, and with the byte order mark: an edit must not lose what decoding let fall.
    try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(found.bytes),
    catch: () => invalid(`${path} is not UTF-8 text`)
  })
  const root = yield* Effect.fromResult(Result.mapError(parse(text), (what) => invalid(`${path}: ${what}`)))
  return { text, mode: found.mode, root }
})

/** Synchronous, since it stands before every command's start, and one small file is read sooner than a thread is asked. */
const bytesAndMode = (path: string) => {
  const file = openSync(path, "r")
  try {
    return { bytes: readFileSync(file), mode: process.platform === "win32" ? 0o600 : fstatSync(file).mode & 0o777 }
  } finally {
    closeSync(file)
  }
}

const invalid = (detail: string) => new ConfigurationInvalid({ reason: "InvalidValue", detail })

/** Whether a file of this mode is open to anyone but its owner. */
export const isOpen = (mode: number) => (mode & 0o077) !== 0

const secretKeys: ReadonlyArray<string> = ProviderType.secrets

/** Whether a value in the table, at any depth, goes by the name of a secret. */
export const holdsSecret = (table: Table): boolean =>
  Object.entries(table).some(([key, value]) =>
    isTable(value) ? holdsSecret(value) : secretKeys.includes(key) || (key === "store_url" && hasPassword(value))
  )

const hasPassword = (value: unknown) => {
  const url = URL.parse(String(value))
  return url !== null && (url.password !== "" || url.searchParams.has("password"))
}
