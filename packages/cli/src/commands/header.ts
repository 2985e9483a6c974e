import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Command from "effect/cli/Command"
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
    const token = yield* fresh.bearer(opened, yield* target.one(opened, flags.provider, flags))
    const value = Redacted.value(token.authorization)
    yield* answer(opened.globals, { Authorization: value }, () => `Authorization: ${value}`)
  })
).pipe(Command.withDescription("Print an Authorization header with a valid token"))
