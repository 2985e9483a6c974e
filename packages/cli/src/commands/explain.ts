import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { Explain } from "keyfob"
import { here } from "../here.ts"
import * as level from "../level.ts"
import { answer } from "../output.ts"
import { withRemedy } from "../provider.ts"
import * as secret from "../secret.ts"
import * as store from "../store.ts"
import * as target from "../target.ts"

export const explain = Command.make(
  "explain",
  {
    provider: target.argument,
    mermaid: Flag.Boolean("mermaid").pipe(
      Flag.withoutNegation,
      Flag.withDescription("Draw it, in Mermaid's language"),
      Flag.withDefault(false)
    ),
    ...level.manyFlags,
    ...secret.flags
  },
  Effect.fnUntraced(function* ({ mermaid, provider: name, ...flags }) {
    const opened = yield* here
    const provider = yield* target.one(opened, name, flags)
    const levels = yield* level.ofMany(flags)
    const online = yield* Effect.promise(() => import("../online.ts"))
    const plan = yield* online
      .plan(provider, opened.globals, levels)
      .pipe(Effect.provide(store.layer(opened, provider)), withRemedy(opened, provider))
    yield* answer(opened.globals, Explain.json(plan), () => (mermaid ? Explain.mermaid(plan) : Explain.text(plan)))
  })
).pipe(Command.withDescription("What asking for a token would do, level by level, and why; talks to nobody"))
