/** The stores that providers name beside plain files: whether they can be used, and what is in them. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { ProviderEntry } from "@keyfob/node/ProviderSettings"
import * as store from "../store.ts"
import type { Configured, Workspace } from "../workspace.ts"
import { contents } from "./contents.ts"
import { ok, problem } from "./finding.ts"

interface Kept {
  readonly name: string
  readonly settings: ProviderEntry
}

export const stores = Effect.fnUntraced(function* (opened: Workspace, configured: ReadonlyArray<Configured>) {
  // Once each, however many providers keep something there.
  const places = new Map<string, Kept>()
  for (const { name, settings } of configured) {
    if (isAtHand(store.nameOf({ settings }))) continue
    const url = settings.storeUrl === undefined ? "" : Redacted.value(settings.storeUrl)
    places.set(`${store.nameOf({ settings })} ${url}`, { name, settings })
  }
  const found = yield* Effect.forEach(places.values(), (kept) => examine(opened, kept))
  return found.flat()
})

/** Nothing to reach, nothing to unlock: others look at plain files. */
const isAtHand = (name: string) => name === "file" || name === "memory"

const examine = Effect.fnUntraced(function* (opened: Workspace, kept: Kept) {
  const check = `store ${store.nameOf(kept)}`
  const ready = yield* Effect.result(store.ready(opened, kept))
  if (Result.isFailure(ready)) return [problem(check, ready.failure)]
  const found = yield* contents(check, store.layer(opened, kept))
  if (found.some((finding) => finding.check === check)) return found
  const { passedOver, store: chosen } = ready.success
  const why = passedOver.map(({ message }) => `; ${message}`).join("")
  return [ok(check, `a new credential goes to ${chosen}${why}`), ...found]
})
