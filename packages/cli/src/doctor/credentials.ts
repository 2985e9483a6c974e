/** The directory of credentials: modes, what is kept aside, whether it can be written, and what is in its plain files. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Configuration from "@keyfob/node/Configuration"
import * as FileCredentialStore from "@keyfob/node/FileCredentialStore"
import { StoreFailed } from "keyfob"
import { accessSync, constants, existsSync } from "node:fs"
import { dirname } from "node:path"
import { contents } from "./contents.ts"
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
  const plain = yield* contents("credentials", FileCredentialStore.layer({ directory }))
  const found = [...modes.flat(), ...aside, ...unwritable(directory), ...plain]
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
