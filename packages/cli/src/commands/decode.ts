import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { tokenOf } from "../fresh.ts"
import * as jwtArgument from "../jwtArgument.ts"
import { answer, note, stringify } from "../output.ts"
import * as secret from "../secret.ts"

export const decode = Command.make(
  "decode",
  {
    token: jwtArgument.argument,
    provider: Flag.String("provider").pipe(
      Flag.withMetavar("PROVIDER"),
      Flag.withDescription("Whose stored token, where none is given"),
      Flag.optional
    ),
    ...secret.flags
  },
  Effect.fnUntraced(function* (flags) {
    const jwt = yield* jwtArgument.read(
      flags.token,
      Effect.map(tokenOf(flags), ({ value }) => value)
    )
    const { decode } = yield* Effect.promise(async () => (await import("keyfob")).Jwt)
    const { claims, header } = yield* decode(Redacted.value(jwt))
    yield* note("nothing was verified: anybody may have written this; keyfob verify checks it")
    const json = { header, claims }
    yield* answer(json, () => stringify(json, 2))
  })
).pipe(Command.withDescription("Read a JWT without trust"))
