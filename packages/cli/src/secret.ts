/** A client's secrets from outside the configuration file. Never a flag's value: those show in the process list. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Flag from "effect/cli/Flag"
import { expandHome } from "@keyfob/node/Directories"
import * as SecretFile from "@keyfob/node/SecretFile"
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
export const read = Effect.fnUntraced(function* (flags: Flags, globals: Globals) {
  const { privateKey, privateKeyPassphrase: passphrase } = globals
  return { secret: yield* clientSecret(flags, globals), privateKey, passphrase }
})

const clientSecret = Effect.fnUntraced(function* ({ clientSecretFile, clientSecretStdin }: Flags, globals: Globals) {
  if (clientSecretStdin && Option.isSome(clientSecretFile)) {
    return yield* new UsageError({
      message: "--client-secret-stdin and --client-secret-file exclude each other",
      remedy: "Give one of them"
    })
  }
  if (clientSecretStdin) return yield* secretIn(yield* stdin.text)
  if (Option.isSome(clientSecretFile)) {
    return yield* SecretFile.readOwn(yield* expandHome(clientSecretFile.value))
  }
  return globals.clientSecret
})

/** `echo` ends with a line break, which is none of the secret's. */
const secretIn = (text: string) => {
  const secret = text.replace(/\r?\n$/, "")
  return secret === ""
    ? Effect.fail(new ConfigurationInvalid({ reason: "MissingValue", detail: "no client secret in standard input" }))
    : Effect.succeed(Redacted.make(secret))
}
