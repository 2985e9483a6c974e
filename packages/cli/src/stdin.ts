import * as Effect from "effect/Effect"
import { text as collect } from "node:stream/consumers"

/** All of standard input. What cannot be read (a closed descriptor) is an empty text. */
export const text: Effect.Effect<string> = Effect.orElseSucceed(
  Effect.tryPromise(() => collect(process.stdin)),
  () => ""
)
