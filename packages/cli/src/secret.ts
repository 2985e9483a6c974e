/** Secrets from outside the configuration file. Never a flag's value: those show in the process list. */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { expandHome } from "@keyfob/node/Directories"
import * as SecretFile from "@keyfob/node/SecretFile"
import { ConfigurationInvalid } from "keyfob"
import { UsageError } from "./failure.ts"
import type { Globals } from "./globals.ts"
import type { Secrets } from "./provider.ts"
import * as stdin from "./stdin.ts"

const stdinFlag = (name: string, what: string) =>
  Flag.Boolean(`${name}-stdin`).pipe(
    Flag.withoutNegation,
    Flag.withDescription(`Read ${what} from standard input`),
    Flag.withDefault(false)
  )

const fileFlag = (name: string, what: string) =>
  Flag.String(`${name}-file`).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(`Read ${what} from a file [or KEYFOB_${name.toUpperCase().replaceAll("-", "_")}]`),
    Flag.optional
  )

/** A client's, which its renewals take as well. */
export const flags = {
  clientSecretStdin: stdinFlag("client-secret", "the client secret"),
  clientSecretFile: fileFlag("client-secret", "the client secret")
}

/** Those a login takes besides, and what it keeps does without. */
export const loginFlags = {
  ...flags,
  passwordStdin: stdinFlag("password", "the password"),
  passwordFile: fileFlag("password", "the password"),
  tokenStdin: stdinFlag("token", "a token that you were given"),
  tokenFile: fileFlag("token", "a token that you were given"),
  refreshTokenStdin: stdinFlag("refresh-token", "a refresh token that you were given"),
  refreshTokenFile: fileFlag("refresh-token", "a refresh token that you were given"),
  appSecretStdin: stdinFlag("app-secret", "the app secret"),
  appSecretFile: fileFlag("app-secret", "the app secret")
}

export type Flags = Command.Command.Config.Infer<typeof flags>

type Given = Partial<Command.Command.Config.Infer<typeof loginFlags>>

/** Environment < flags; the file's own is weaker than both. */
export const read = Effect.fnUntraced(function* (given: Given, globals: Globals) {
  const asked = [
    ["client_secret", "client secret", given.clientSecretStdin, given.clientSecretFile],
    ["password", "password", given.passwordStdin, given.passwordFile],
    ["token", "token", given.tokenStdin, given.tokenFile],
    ["refresh_token", "refresh token", given.refreshTokenStdin, given.refreshTokenFile],
    ["app_secret", "app secret", given.appSecretStdin, given.appSecretFile]
  ] as const
  const fromStdin = asked.filter(([, , isStdin]) => isStdin)
  if (fromStdin.length > 1) {
    const names = fromStdin.map(([key]) => `--${key.replaceAll("_", "-")}-stdin`)
    return yield* new UsageError({ message: `${names.join(" and ")} exclude each other`, remedy: "Give one of them" })
  }
  const { appSecret, clientSecret, password, privateKey, privateKeyPassphrase, refreshToken, token } = globals
  let secrets: Secrets = {
    client_secret: clientSecret,
    private_key: privateKey,
    private_key_passphrase: privateKeyPassphrase,
    password,
    token,
    refresh_token: refreshToken,
    app_secret: appSecret
  }
  for (const [key, what, isStdin = false, file = Option.none()] of asked) {
    if (isStdin && Option.isSome(file)) {
      const flag = `--${key.replaceAll("_", "-")}`
      return yield* new UsageError({
        message: `${flag}-stdin and ${flag}-file exclude each other`,
        remedy: "Give one of them"
      })
    }
    if (isStdin) secrets = { ...secrets, [key]: yield* secretIn(yield* stdin.text, what) }
    if (Option.isSome(file)) secrets = { ...secrets, [key]: yield* SecretFile.readOwn(yield* expandHome(file.value)) }
  }
  // The environment's refresh token is that of its token, where it has one too.
  const isOfAnother =
    token !== undefined && !Equal.equals(secrets.token, token) && secrets.refresh_token === refreshToken
  return { secrets: isOfAnother ? { ...secrets, refresh_token: undefined } : secrets }
})

/** `echo` ends with a line break, which is none of the secret's. */
const secretIn = (text: string, what: string) => {
  const secret = text.replace(/\r?\n$/, "")
  return secret === ""
    ? Effect.fail(new ConfigurationInvalid({ reason: "MissingValue", detail: `no ${what} in standard input` }))
    : Effect.succeed(Redacted.make(secret))
}
