/** A client secret from outside the configuration file. Never a flag's value: those show in the process list. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Flag from "effect/cli/Flag"
import * as Configuration from "@keyfob/node/Configuration"
import { expandHome } from "@keyfob/node/Directories"
import { ConfigurationInvalid } from "keyfob"
import { UsageError } from "./failure.ts"
import type { Globals } from "./globals.ts"
import * as stdin from "./stdin.ts"

export const flags = {
  clientSecretStdin: Flag.Boolean("client-secret-stdin").pipe(
    Flag.withoutNegation,
    Flag.withDescription("Read the client secret from standard input"),
    Flag.withDefault(false)
  ),
  clientSecretFile: Flag.String("client-secret-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Read the client secret from a file [or KEYFOB_CLIENT_SECRET]"),
    Flag.optional
  )
}

export interface Flags {
  readonly clientSecretStdin: boolean
  readonly clientSecretFile: Option.Option<string>
}

/** Environment < flags; the file's own is weaker than both. */
export const read = Effect.fnUntraced(function* ({ clientSecretFile, clientSecretStdin }: Flags, globals: Globals) {
  if (clientSecretStdin && Option.isSome(clientSecretFile)) {
    return yield* new UsageError({
      message: "--client-secret-stdin and --client-secret-file exclude each other",
      remedy: "Give one of them"
    })
  }
  if (clientSecretStdin) return yield* secretIn(yield* stdin.text, "standard input")
  if (Option.isSome(clientSecretFile)) return yield* inFile(yield* expandHome(clientSecretFile.value))
  return globals.clientSecret
})

const inFile = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(
    fs.readFileString(path),
    (error) =>
      new ConfigurationInvalid({ reason: "Unreadable", detail: `${path} cannot be read (${error.reason._tag})` })
  )
  const info = yield* Effect.option(fs.stat(path))
  if (process.platform !== "win32" && Option.exists(info, ({ mode }) => Configuration.isOpen(mode))) {
    yield* Effect.logWarning(`others can read the secret in ${path}; run: chmod 600 ${path}`)
  }
  return yield* secretIn(text, path)
})

/** Editors and `echo` end a file with a line break, which is none of the secret's. */
const secretIn = (text: string, where: string) => {
  const secret = text.replace(/\r?\n$/, "")
  return secret === ""
    ? Effect.fail(new ConfigurationInvalid({ reason: "MissingValue", detail: `no client secret in ${where}` }))
    : Effect.succeed(Redacted.make(secret))
}
