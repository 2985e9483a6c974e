/** The token a command reads: from its argument, from standard input, or the one a provider's credential has. */
import * as Argument from "effect/cli/Argument"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as fresh from "./fresh.ts"
import * as secret from "./secret.ts"
import * as stdin from "./stdin.ts"
import * as target from "./target.ts"
import type { Workspace } from "./workspace.ts"

export const parameters = {
  token: Argument.String("token").pipe(
    Argument.withDescription("A JWT; - reads it from standard input, out of the process list"),
    Argument.optional
  ),
  provider: Flag.String("provider").pipe(
    Flag.withMetavar("PROVIDER"),
    Flag.withDescription("Whose stored token, where none is given"),
    Flag.optional
  ),
  ...secret.flags
}

type Given = Command.Command.Config.Infer<typeof parameters>

export const read = Effect.fnUntraced(function* (opened: Workspace, given: Given) {
  if (Option.isNone(given.token)) {
    const { token } = yield* fresh.credential(opened, yield* target.one(opened, given.provider, given))
    return token.value
  }
  const text = given.token.value === "-" ? yield* stdin.text : given.token.value
  return Redacted.make(text.trim())
})
