/** Who holds a credential right now. A lock whose holder is gone stands in nobody's way for long, but says that somebody died. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileCredentialStore from "@keyfob/node/FileCredentialStore"
import { relative } from "../text/time.ts"
import { ok, warning } from "./finding.ts"

export const locks = Effect.fnUntraced(function* (directory: string) {
  const now = yield* Clock.currentTimeMillis
  const held = yield* FileCredentialStore.locks({ directory })
  return held.map(({ abandoned, holder, lock, since }) =>
    abandoned
      ? warning(
          "locks",
          `${lock} was taken ${relative(since, now)} by ${holder}, which is gone or gives no sign of life`,
          "Nothing needs to be done: who wants it next takes it over within 30 s"
        )
      : ok("locks", `${lock} is held by ${holder} and was taken ${relative(since, now)}`)
  )
})
