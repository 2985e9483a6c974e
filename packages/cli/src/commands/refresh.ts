import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { RefreshPolicy } from "keyfob"
import { here } from "../here.ts"
import * as renewals from "../renewals.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"
import * as workspace from "../workspace.ts"

export const refresh = Command.make(
  "refresh",
  {
    provider: target.argument,
    ...secret.flags,
    force: Flag.Boolean("force").pipe(
      Flag.withoutNegation,
      Flag.withDescription("Renew although nothing is due"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* (flags) {
    const opened = yield* here
    const outside = yield* secret.read(flags, opened.globals)
    const found = yield* workspace.providersNamed(opened, Option.getOrUndefined(flags.provider))
    const asked = Option.isSome(flags.provider) ? found : renewals.renewable(found)
    const rows = yield* Effect.forEach(asked, (configured) =>
      renewals.row(
        opened,
        configured,
        { ...outside, named: asked.length === 1 },
        (stored, now) => flags.force || !Option.exists(stored, (credential) => !RefreshPolicy.isDue(credential, now))
      )
    )
    const failure = rows.find((row) => row.failure !== undefined)?.failure
    if (Option.isSome(flags.provider) && failure !== undefined) return yield* failure
    yield* renewals.print(opened.globals, rows)
  })
).pipe(Command.withDescription("Renew tokens that are due"))
