import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Command from "effect/cli/Command"
import * as behind from "../behind.ts"
import * as child from "../child.ts"
import { UsageError } from "../failure.ts"
import * as fresh from "../fresh.ts"
import { here } from "../here.ts"
import * as level from "../level.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"

const usage = "keyfob curl [PROVIDER] -- URL [ARGUMENTS OF CURL]"

export const curl = Command.make(
  "curl",
  {
    words: behind.words("arguments", "A provider of the context, --, a URL and arguments of curl"),
    ...level.flags,
    ...secret.flags
  },
  Effect.fnUntraced(function* ({ words, ...flags }) {
    const opened = yield* here
    const split = yield* behind.split(words, usage)
    if (readsInput(split.behind)) {
      return yield* new UsageError({
        message: "curl's standard input is taken: the header comes that way",
        remedy: "Give what is to be sent as a file: --data @FILE"
      })
    }
    const headers = yield* fresh.headers(opened, yield* target.one(opened, split.name, flags), flags)
    const stdin = configuration(split.behind, headers)
    return yield* child.run("curl", ["--config", "-", ...split.behind], { stdin })
  })
).pipe(Command.withDescription("Run curl with a valid token, which shows in no process list; ends as it does"))

/** Before the person's own arguments, which may say otherwise: https alone, but on this machine, and for addresses without a scheme too. */
const configuration = (args: ReadonlyArray<string>, headers: Readonly<Record<string, Redacted.Redacted>>) =>
  [
    ...Object.entries(headers).map(([name, value]) => `header = ${quoted(`${name}: ${Redacted.value(value)}`)}`),
    `proto-default = "https"`,
    `proto = "=${args.some(isOfThisMachine) && !args.some(isPlainElsewhere) ? "http,https" : "https"}"`,
    `proto-redir = "=https"`,
    ""
  ].join("\n")

const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, "\\$&")}"`

const isOfThisMachine = (arg: string) => /^(--url=)?http:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])([:/?#]|$)/i.test(arg)

const isPlainElsewhere = (arg: string) => /^(--url=)?http:/i.test(arg) && !isOfThisMachine(arg)

/** `@-` in whatever option, and the options that name a file alone. */
const readsInput = (args: ReadonlyArray<string>) =>
  args.some((arg, index) => {
    const before = args[index - 1] ?? ""
    return (
      /[@<]-$/.test(arg) ||
      /^(-[TK]|--(upload-file|config)=)-$/.test(arg) ||
      (arg === "-" && /^(-[TK]|--upload-file|--config)$/.test(before))
    )
  })
