import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Flag from "effect/cli/Flag"
import * as Result from "effect/Result"
import { SystemFailure } from "../../failure.ts"
import { here } from "../../here.ts"
import { answer, stringify } from "../../output.ts"
import { withRemedy } from "../../provider.ts"
import * as secret from "../../secret.ts"
import * as store from "../../store.ts"
import { arnica } from "./arnica.ts"

export const job = Command.make(
  "job",
  {
    id: Argument.String("id").pipe(Argument.withDescription("The job's id, a UUID")),
    provider: Flag.String("provider").pipe(
      Flag.withDescription("A provider of type aqt; default: the context's only one"),
      Flag.optional
    ),
    wait: Flag.Boolean("wait").pipe(
      Flag.withoutNegation,
      Flag.withDescription("Until it has ended"),
      Flag.withDefault(false)
    ),
    ...secret.flags
  },
  Effect.fnUntraced(function* ({ id, provider: name, wait, ...flags }) {
    const opened = yield* here
    const provider = yield* arnica(opened, name, flags)
    const online = yield* Effect.promise(() => import("../../online.ts"))
    const state = yield* online
      .job(provider, opened.globals, id, { wait })
      .pipe(Effect.provide(store.layer(opened, provider)), withRemedy(opened, provider))
    if (Result.isFailure(state)) return yield* new SystemFailure({ error: state.failure })
    yield* answer(opened.globals, state.success, () => stringify(state.success, 2))
  })
).pipe(Command.withDescription("Show a job at Arnica"))
