import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ConfigurationInvalid } from "keyfob"
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs"
import { isOpen } from "./config/TomlFile.ts"
import { errno } from "./errno.ts"

/** No key, certificate or token is larger. */
const limit = 256 * 1024

/**
 * The text of a file with something secret in it, up to 256 KiB, without a line break at its end: editors and `echo` add
 * one. Links are followed; a pipe or a device is refused, since it might block or never end. `others` says whether other
 * users can read the file.
 */
export const read = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<{ readonly text: Redacted.Redacted; readonly others: boolean }, ConfigurationInvalid> {
  const unreadable = (why: string) =>
    new ConfigurationInvalid({ reason: "Unreadable", detail: `${path} cannot be read (${why})` })
  const { bytes, mode } = yield* Effect.try({
    try: () => firstOf(path),
    catch: (cause) => unreadable(cause instanceof NoFile ? "it is no file" : errno(cause))
  })
  if (bytes.length > limit) return yield* unreadable("it is larger than 256 KiB")
  const text = new TextDecoder().decode(bytes).replace(/\r?\n$/, "")
  if (text === "") return yield* new ConfigurationInvalid({ reason: "MissingValue", detail: `${path} is empty` })
  return { text: Redacted.make(text), others: process.platform !== "win32" && isOpen(mode & 0o777) }
})

/** As {@link read}, and warns of a file that others can read. */
export const readOwn = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<Redacted.Redacted, ConfigurationInvalid> {
  const { others, text } = yield* read(path)
  if (others) yield* Effect.logWarning(`others can read the secret in ${path}; run: chmod 600 ${path}`)
  return text
})

class NoFile extends Error {}

const firstOf = (path: string) => {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stat = fstatSync(file)
    if (!stat.isFile()) throw new NoFile()
    const bytes = Buffer.alloc(limit + 1)
    let length = 0
    for (;;) {
      const more = readSync(file, bytes, length, bytes.length - length, null)
      length += more
      if (more === 0 || length === bytes.length) return { bytes: bytes.subarray(0, length), mode: stat.mode }
    }
  } finally {
    closeSync(file)
  }
}
