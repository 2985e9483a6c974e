/**
 * A credential helper of docker's. docker runs `docker-credential-keyfob`, a script in the PATH, for the registries that
 * `credHelpers` of its config.json gives to `keyfob`:
 *
 *     exec keyfob credential docker --host registry.example.com "$@"
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { Ended, UsageError } from "../../failure.ts"
import * as fresh from "../../fresh.ts"
import { here } from "../../here.ts"
import { print, stringify } from "../../output.ts"
import * as level from "../../level.ts"
import * as secret from "../../secret.ts"
import * as stdin from "../../stdin.ts"
import * as target from "../../target.ts"
import * as password from "./password.ts"

export const docker = Command.make(
  "docker",
  {
    action: Argument.String("action").pipe(Argument.withDescription("get, list, store or erase: docker says which")),
    ...password.flags,
    ...level.flags,
    ...secret.flags
  },
  Effect.fnUntraced(function* ({ action, host, username, ...flags }) {
    if (action === "list") return yield* print(stringify({ [host]: username }))
    if (action === "store") {
      return yield* new UsageError({
        message: "docker's passwords are not kept here: what it gets is a provider's token",
        remedy: "Sign in with keyfob login instead of docker login"
      })
    }
    if (action !== "get") return
    const url = (yield* stdin.text).trim()
    if (!isAt(url, host)) {
      // By this very line docker knows that there is nothing, and asks without credentials.
      yield* print("credentials not found in native keychain")
      return yield* new Ended({ exitCode: 1 })
    }
    const opened = yield* here
    const token = yield* fresh.bearer(opened, yield* target.one(opened, flags.provider, flags), flags)
    const [Username, Secret] = password.of(token, username)
    yield* print(stringify({ ServerURL: url, Username, Secret }))
  })
).pipe(Command.withDescription("A credential helper of docker's: get and list, behind docker-credential-keyfob"))

/**
 * docker names a registry by its host alone, or by an address. Compared as they stand: parsers differ in what a backslash
 * before an @ is, and so in the host.
 */
const isAt = (url: string, host: string) =>
  url === host || url === `https://${host}` || url.startsWith(`https://${host}/`)
