/** How much is left of a client's token requests, where the provider's settings say how many there are. */
import * as Effect from "effect/Effect"
import { printable, TokenBudget } from "keyfob"
import { spentOf } from "../budget.ts"
import { resolve } from "../provider.ts"
import * as store from "../store.ts"
import { iso } from "../text/time.ts"
import type { Configured, Workspace } from "../workspace.ts"
import { type Finding, ok, warning } from "./finding.ts"

export const budget = (opened: Workspace, configured: Configured) => {
  const check = `provider ${printable(configured.name)}, token requests`
  return Effect.gen(function* () {
    const provider = yield* resolve(configured, { named: false })
    const spent = yield* spentOf(provider).pipe(Effect.provide(store.layer(opened, provider)))
    if (spent === undefined) return []
    const detail = `${spent.used} of ${spent.limit} spent until ${iso(spent.until)}`
    return [spent.isLow ? warning(check, detail, TokenBudget.remedy) : ok(check, detail)]
    // What stands in the way of it is a finding of others.
  }).pipe(Effect.orElseSucceed((): ReadonlyArray<Finding> => []))
}
