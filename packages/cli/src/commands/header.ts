import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Command from "effect/cli/Command"
import { UsageError } from "../failure.ts"
import * as fresh from "../fresh.ts"
import { here } from "../here.ts"
import { answer } from "../output.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"

export const header = Command.make(
  "header",
  { provider: target.argument, ...secret.flags },
  Effect.fnUntraced(function* (flags) {
    const opened = yield* here
    const { token } = yield* fresh.credential(opened, yield* target.one(opened, flags.provider, flags))
    if (token.dpopKey !== undefined) {
      return yield* new UsageError({
        message:
          "the token is bound to a key (DPoP): each request needs a proof of its own, which no header line can hold",
        remedy: "Use keyfob's library for such requests, or sign in without dpop"
      })
    }
    const value = Redacted.value(token.authorization)
    yield* answer(opened.globals, { Authorization: value }, () => `Authorization: ${value}`)
  })
).pipe(Command.withDescription("Print an Authorization header with a valid token"))
