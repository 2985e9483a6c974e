/**
 * A credential helper of git's (gitcredentials(7)):
 *
 *     git config --global credential.https://git.example.com.helper "!keyfob credential git --host git.example.com"
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { AccessToken } from "keyfob"
import * as fresh from "../../fresh.ts"
import { here } from "../../here.ts"
import { print } from "../../output.ts"
import * as level from "../../level.ts"
import * as secret from "../../secret.ts"
import * as stdin from "../../stdin.ts"
import * as store from "../../store.ts"
import { stored } from "../../stored.ts"
import * as target from "../../target.ts"
import * as password from "./password.ts"

export const git = Command.make(
  "git",
  {
    action: Argument.String("action").pipe(Argument.withDescription("get, store or erase: git says which")),
    ...password.flags,
    ...level.flags,
    ...secret.flags
  },
  Effect.fnUntraced(function* ({ action, host, username, ...flags }) {
    // What git may add one day is for other helpers.
    if (action !== "get" && action !== "erase") return
    const asked = attributes(yield* stdin.text)
    if (asked["protocol"] !== "https" || asked["host"] !== host) return
    const opened = yield* here
    const provider = yield* target.one(opened, flags.provider, flags)
    if (action === "get") {
      const token = yield* fresh.bearer(opened, provider, flags)
      return yield* print(lines(token, username).join("\n"))
    }
    // The host did not take it: the next one shall be another. Who cannot renew it will be told so when it is asked for.
    const isRefused = (token: AccessToken) => password.of(token, username)[1] === asked["password"]
    const renewed = Effect.gen(function* () {
      const online = Effect.promise(() => import("../../online.ts"))
      const at = yield* level.of(flags)
      if (Option.isSome(at)) return yield* (yield* online).replace(provider, opened.globals, at.value, isRefused)
      const kept = yield* stored(provider, Duration.zero)
      if (!provider.renewable || !Option.exists(kept, ({ token }) => isRefused(token))) return
      yield* (yield* online).renewing(provider, opened.globals, (refresh) => refresh({ force: true }))
    })
    yield* Effect.ignore(Effect.provide(renewed, store.layer(opened, provider)))
  })
).pipe(Command.withDescription("A credential helper of git's: credential.helper = !keyfob credential git --host HOST"))

/**
 * Up to an empty line, each ended by a line feed alone. Two hosts are none: with a line break in an address, somebody could
 * write the second one (CVE-2020-5260).
 */
const attributes = (text: string): Readonly<Record<string, string>> => {
  const pairs = text
    .replace(/(^|\n)\n.*$/s, "")
    .split("\n")
    .flatMap((line) => {
      const at = line.indexOf("=")
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const]
    })
  const single = pairs.filter(([key]) => !key.endsWith("[]")).map(([key]) => key)
  return new Set(single).size === single.length ? Object.fromEntries(pairs) : {}
}

const lines = (token: AccessToken, username: string) => {
  const [name, secret] = password.of(token, username)
  const end =
    token.expiresAt === undefined
      ? []
      : [`password_expiry_utc=${Math.floor(DateTime.toEpochMillis(token.expiresAt) / 1000)}`]
  return [`username=${name}`, `password=${secret}`, ...end]
}
