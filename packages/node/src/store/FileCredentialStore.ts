/**
 * Credentials in files, one each, for their owner alone.
 *
 * ```
 * directory/                                 0700
 *   work-login-<SHA-256 of the key>.json     0600  {"version":1,"credential":{…}}
 *   work-login-<SHA-256 of the key>.lock/    0700  while somebody holds the lease
 * ```
 *
 * A file that cannot be understood is kept: `get` fails with `Corrupt`, `list` leaves it out with a warning, and a
 * `write` keeps it as `NAME.corrupt-<time>`. `remove` removes it.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import { CredentialStore } from "keyfob"
import * as CredentialFiles from "./CredentialFiles.ts"
import * as Sealing from "./Sealing.ts"

export { locks } from "./CredentialFiles.ts"

/**
 * The store over a directory of its own, made (0700) at the first `modify`. Waits up to 60 s for another process, then
 * fails with `Busy`.
 */
export const layer = ({
  directory
}: {
  readonly directory: string
}): Layer.Layer<CredentialStore, never, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    CredentialStore,
    Effect.map(CredentialFiles.make({ name: "file", directory, sealings: [Sealing.plain] }), ({ store }) => store)
  )
