/** How many token requests a provider grants, where its settings say so. */
import * as Effect from "effect/Effect"
import { TokenBudget } from "keyfob"
import type { Provider } from "./provider.ts"

/** What is spent of it, where there is one. Talks to nobody. */
export const spentOf = ({ budget, key }: Provider) =>
  budget === undefined ? Effect.succeed(undefined) : TokenBudget.spent(key, budget)
