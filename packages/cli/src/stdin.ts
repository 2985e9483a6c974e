import * as Effect from "effect/Effect"
import { text as collect } from "node:stream/consumers"
import { Streams } from "./streams.ts"

/** All of standard input. What cannot be read (a closed descriptor) is an empty text. */
export const text: Effect.Effect<string> = Effect.orElseSucceed(
  Effect.flatMap(Streams, ({ stdin }) => Effect.tryPromise(() => collect(stdin))),
  () => ""
)
