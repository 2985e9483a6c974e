import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Command from "effect/cli/Command"
import { here } from "../here.ts"
import * as jwtArgument from "../jwtArgument.ts"
import { answer, note, stringify } from "../output.ts"

export const decode = Command.make(
  "decode",
  jwtArgument.parameters,
  Effect.fnUntraced(function* (given) {
    const opened = yield* here
    const jwt = yield* jwtArgument.read(opened, given)
    const { Jwt } = yield* Effect.promise(() => import("../online.ts"))
    const { claims, header } = yield* Jwt.decode(Redacted.value(jwt))
    yield* note(opened.globals, "nothing was verified: anybody may have written this; keyfob verify checks it")
    const json = { header, claims }
    yield* answer(opened.globals, json, () => stringify(json, 2))
  })
).pipe(Command.withDescription("Read a JWT without trust"))
