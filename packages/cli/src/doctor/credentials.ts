/** The credential store: modes, files that cannot be read, refreshes that did not finish. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Configuration from "@keyfob/node/Configuration"
import * as FileCredentialStore from "@keyfob/node/FileCredentialStore"
import { type Credential, CredentialStore, printable, StoreFailed } from "keyfob"
import { accessSync, constants, existsSync } from "node:fs"
import { dirname } from "node:path"
import { type Finding, ok, problem, warning } from "./finding.ts"

export const credentials = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = yield* Effect.orElseSucceed(fs.readDirectory(directory), () => [])
  const modes = yield* Effect.forEach(names.length === 0 ? [] : ["", ...names], (name) =>
    open(path.join(directory, name))
  )
  const aside = names
    .filter((name) => name.includes(".corrupt-"))
    .map((name) =>
      warning("credentials", `kept aside, it was damaged: ${path.join(directory, name)}`, "Look at it, then remove it")
    )
  const found = [...modes.flat(), ...aside, ...unwritable(directory), ...(yield* stored(directory))]
  return found.length === 0 ? [ok("credentials", directory)] : found
})

/** A credential is written to the directory; what is missing of it is made in the nearest that is there. */
const unwritable = (directory: string): ReadonlyArray<Finding> => {
  let place = directory
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place)
  try {
    // The slash is for a file that stands where a directory should.
    accessSync(`${place}/`, constants.W_OK | constants.X_OK)
    return []
  } catch (cause) {
    const detail = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)
    return [problem("credentials", new StoreFailed({ reason: "ReadOnly", store: "file", location: place, detail }))]
  }
}

const open = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const info = yield* Effect.option(fs.stat(file))
  if (process.platform === "win32" || !Option.exists(info, ({ mode }) => Configuration.isOpen(mode & 0o777))) return []
  return [warning("modes", `others can read ${file}`, `Run: chmod go= ${file}`)]
})

/** What the store says when it reads everything: what it leaves out, it warns of. */
const stored = Effect.fnUntraced(function* (directory: string) {
  const leftOut: Array<Finding> = []
  const listener = Logger.make<unknown, void>(({ message }) => {
    const text = (Array.isArray(message) ? message : [message]).filter((part) => typeof part === "string").join(" ")
    // Modes are looked at above.
    if (text.startsWith("left out:")) leftOut.push({ ...damaged, detail: printable(text) })
  })
  const listed = yield* CredentialStore.use(({ list }) => list).pipe(
    Effect.provide([FileCredentialStore.layer({ directory }), Logger.layer([listener])]),
    Effect.result
  )
  if (Result.isFailure(listed)) return [problem("credentials", listed.failure)]
  return [...leftOut, ...listed.success.filter(isUnfinished).map(unfinished)]
})

const damaged = {
  check: "credentials",
  status: "problem",
  remedy: "Look at the file, move it away, then sign in again: keyfob login",
  exitCode: 6
} as const

const isUnfinished = ({ generation, spending }: Credential) => spending === generation

const unfinished = ({ key }: Credential) =>
  warning(
    "refresh",
    `the last refresh of ${printable(key.account)} did not finish; the next one tries once more`,
    "Run: keyfob refresh --force"
  )
