/** The provider a command is about, named by its argument. */
import * as Argument from "effect/cli/Argument"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { emptyName, isName } from "./name.ts"
import * as provider from "./provider.ts"
import * as secret from "./secret.ts"
import * as workspace from "./workspace.ts"

export const argument = Argument.String("provider").pipe(
  Argument.withDescription("A provider of the context"),
  Argument.filter(isName, () => emptyName),
  Argument.optional
)

/** The one provider of that name, or the only one. */
export const one = Effect.fnUntraced(function* (
  opened: workspace.Workspace,
  name: Option.Option<string>,
  flags: secret.Flags
) {
  const configured = yield* workspace.provider(opened, Option.getOrUndefined(name))
  return yield* provider.resolve(configured, { ...(yield* secret.read(flags, opened.globals)), named: true })
})
