/** What is in a store: what cannot be read, and refreshes that did not finish. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Path from "effect/Path"
import * as Result from "effect/Result"
import { type AuthError, type Credential, CredentialStore, printable } from "keyfob"
import { type Finding, problem, warning } from "./finding.ts"

/** What the store says when it reads everything: what it leaves out, it warns of. `check` is a store that cannot be read. */
export const contents = Effect.fnUntraced(function* (
  check: string,
  layer: Layer.Layer<CredentialStore, AuthError, FileSystem.FileSystem | Path.Path>
): Effect.fn.Return<ReadonlyArray<Finding>, never, FileSystem.FileSystem | Path.Path> {
  const leftOut: Array<Finding> = []
  const listener = Logger.make<unknown, void>(({ message }) => {
    const text = (Array.isArray(message) ? message : [message]).filter((part) => typeof part === "string").join(" ")
    // Modes are looked at elsewhere.
    if (text.startsWith("left out:")) leftOut.push({ ...damaged, detail: printable(text) })
  })
  const listed = yield* CredentialStore.use(({ list }) => list).pipe(
    Effect.provide(layer),
    Effect.provide(Logger.layer([listener])),
    Effect.result
  )
  if (Result.isFailure(listed)) return [problem(check, listed.failure)]
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
