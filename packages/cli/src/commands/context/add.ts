import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { printable } from "keyfob"
import { emptyName, isName } from "../../name.ts"
import { answer } from "../../output.ts"
import * as providerFlags from "../../providerFlags.ts"
import { remember, rememberContext } from "../../remember.ts"
import { here } from "../../here.ts"
import * as workspace from "../../workspace.ts"

export const add = Command.make(
  "add",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("The context; it need not be there yet"),
      Argument.filter(isName, () => emptyName)
    ),
    provider: Argument.String("provider").pipe(
      Argument.withDescription("The provider's name; default: default"),
      Argument.filter(isName, () => emptyName),
      Argument.optional
    ),
    ...providerFlags.flags
  },
  Effect.fnUntraced(function* ({ name: context, provider, ...flags }) {
    const opened = yield* here
    const name = Option.getOrElse(provider, () => "default")
    if (!providerFlags.areGiven(flags) && Option.isNone(provider)) {
      yield* rememberContext(opened, context)
      return yield* answer(opened.globals, { context }, () => `There is a context ${printable(context)}.`)
    }
    const before = opened.configuration.contexts.get(context)?.providers.get(name)
    const { said } = yield* providerFlags.described({ context, name }, flags, before)
    yield* remember(opened, { context, name }, said)
    yield* answer(
      opened.globals,
      { context, provider: name },
      () =>
        `Context ${printable(context)} has ${printable(name)}; sign in: ${workspace.commandFor(opened, "login", { context, name })}`
    )
  })
).pipe(Command.withDescription("Add a provider to a context, or change what the flags say of it"))
