/** What stands behind `--` on the command line: another program and its arguments. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import { UsageError } from "./failure.ts"
import { emptyName, isName } from "./name.ts"

export const Behind = Context.Reference<ReadonlyArray<string> | undefined>("@keyfob/cli/Behind", {
  defaultValue: () => undefined
})

/** The words behind `--`; `undefined` where it is not there. */
export const of = (args: ReadonlyArray<string>) =>
  args.includes("--") ? args.slice(args.indexOf("--") + 1) : undefined

/** An argument that takes all words: the parser does not tell those before `--` from those behind it. */
export const words = (name: string, description: string) =>
  Argument.String(name).pipe(Argument.withDescription(description), Argument.variadic())

/** The provider that is named before `--`, and what is behind it. */
export const split = Effect.fnUntraced(function* (words: ReadonlyArray<string>, usage: string) {
  const behind = yield* Behind
  const before = words.slice(0, words.length - (behind?.length ?? 0))
  const [name] = before
  if (behind === undefined || behind.length === 0 || before.length > 1) {
    const message =
      behind === undefined ? "-- is missing before what is to be run" : "one provider, then --, then what is to be run"
    return yield* new UsageError({ message, remedy: usage })
  }
  if (name !== undefined && !isName(name)) return yield* new UsageError({ message: emptyName, remedy: usage })
  return { name: Option.fromUndefinedOr(name), behind }
})
