import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Command from "effect/cli/Command"
import { tokenOf } from "../fresh.ts"
import { answer } from "../output.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"

export const header = Command.make(
  "header",
  { provider: target.argument, ...secret.flags },
  Effect.fnUntraced(function* (flags) {
    const token = yield* tokenOf(flags)
    const value = Redacted.value(token.authorization)
    yield* answer({ Authorization: value }, () => `Authorization: ${value}`)
  })
).pipe(Command.withDescription("Print an Authorization header with a valid token"))
