import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Command from "effect/cli/Command"
import * as fresh from "../fresh.ts"
import { here } from "../here.ts"
import * as level from "../level.ts"
import { answer } from "../output.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"

export const header = Command.make(
  "header",
  { provider: target.argument, ...level.flags, ...secret.flags },
  Effect.fnUntraced(function* (flags) {
    const opened = yield* here
    const found = yield* fresh.headers(opened, yield* target.one(opened, flags.provider, flags), flags)
    const headers = Object.entries(found).map(([name, value]) => [name, Redacted.value(value)] as const)
    yield* answer(opened.globals, Object.fromEntries(headers), () =>
      headers.map(([name, value]) => `${name}: ${value}`).join("\n")
    )
  })
).pipe(Command.withDescription("Print an Authorization header with a valid token"))
