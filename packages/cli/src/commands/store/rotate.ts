import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { here } from "../../here.ts"
import { answer } from "../../output.ts"
import * as store from "../../store.ts"

export const rotate = Command.make(
  "rotate",
  {},
  Effect.fnUntraced(function* () {
    const opened = yield* here
    const rewritten = yield* store.rotate(opened)
    const directory = opened.directories.credentials
    yield* answer(opened.globals, { directory, rewritten }, () =>
      rewritten === 0
        ? `Nothing in ${directory} is encrypted.`
        : `${rewritten} ${rewritten === 1 ? "file" : "files"} in ${directory} now take the present key alone.`
    )
  })
).pipe(
  Command.withDescription(
    "Encrypt files anew with the present key; KEYFOB_FORMER_STORE_PASSPHRASE opens what took the former one"
  )
)
