import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { CredentialStore, printable, RefreshPolicy } from "keyfob"
import { reportOf } from "../failure.ts"
import { answer } from "../output.ts"
import { type Outside, resolve, withRemedy } from "../provider.ts"
import * as secret from "../secret.ts"
import * as store from "../store.ts"
import * as target from "../target.ts"
import { here } from "../here.ts"
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
    const named = Option.isSome(flags.provider)
    const asked = yield* workspace.providersNamed(opened, Option.getOrUndefined(flags.provider))
    const rows = yield* Effect.forEach(
      asked,
      Effect.fnUntraced(function* (configured) {
        const head = { context: configured.context, provider: configured.name }
        const result = yield* Effect.result(
          renewed(opened, configured, flags.force, { secret: outside, named: asked.length === 1 })
        )
        if (Result.isSuccess(result)) return { ...head, outcome: result.success }
        if (named) return yield* result.failure
        return { ...head, outcome: "failed" as const, error: reportOf(result.failure) }
      })
    )
    yield* answer(
      opened.globals,
      rows.map((row) => ("error" in row ? { ...row, error: row.error.json } : row)),
      () =>
        rows
          .map((row) => `${printable(row.provider)}: ${row.outcome}${"error" in row ? ` (${row.error.message})` : ""}`)
          .join("\n")
    )
  })
).pipe(Command.withDescription("Renew tokens that are due"))

const renewed = Effect.fnUntraced(
  function* (opened: workspace.Workspace, configured: workspace.Configured, force: boolean, outside: Outside) {
    const provider = yield* resolve(configured, outside)
    return yield* Effect.gen(function* () {
      const { get } = yield* CredentialStore
      const stored = yield* get(provider.key)
      const now = yield* Clock.currentTimeMillis
      if (!force && Option.isSome(stored) && RefreshPolicy.isFresh(stored.value, now)) return "fresh" as const
      const { withTokens } = yield* Effect.promise(() => import("../online.ts"))
      const { outcome } = yield* withTokens(provider, opened.globals, (source) => source.renew)
      return outcome
    }).pipe(Effect.provide(store.layer(opened, provider)))
  },
  (effect, opened, configured) => withRemedy(opened, configured)(effect)
)
