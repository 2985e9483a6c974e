import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as behind from "../behind.ts"
import * as child from "../child.ts"
import * as fresh from "../fresh.ts"
import { here } from "../here.ts"
import * as level from "../level.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"

export const exec = Command.make(
  "exec",
  {
    words: behind.words("command", "A provider of the context, --, a program and its arguments"),
    env: Flag.String("env").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("The variable the token is in"),
      Flag.filter(
        (name) => /^[A-Za-z_]\w*$/.test(name),
        () => "a variable's name"
      ),
      Flag.withDefault("ACCESS_TOKEN")
    ),
    ...level.flags,
    ...secret.flags
  },
  Effect.fnUntraced(function* ({ env, words, ...flags }) {
    const opened = yield* here
    const split = yield* behind.split(words, "keyfob exec [PROVIDER] [--env NAME] -- COMMAND [ARGUMENTS]")
    const token = yield* fresh.bearer(opened, yield* target.one(opened, split.name, flags), flags)
    const [program = "", ...args] = split.behind
    return yield* child.run(program, args, { env: { [env]: Redacted.value(token.value) } })
  })
).pipe(Command.withDescription("Run a program with a valid token in its environment; ends as it does"))
