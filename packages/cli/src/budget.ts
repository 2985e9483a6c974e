/** `token_budget` of a provider's settings: how many token requests it grants the client. */
import * as Effect from "effect/Effect"
import { TokenBudget } from "keyfob"
import { parse } from "./duration.ts"
import type { Provider } from "./provider.ts"

export const budgetOf = ({ settings: { flow, tokenBudget } }: Pick<Provider, "settings">) => {
  const per = tokenBudget === undefined ? undefined : parse(tokenBudget.per)
  return flow !== "client_credentials" || tokenBudget === undefined || per === undefined
    ? undefined
    : { limit: tokenBudget.limit, per }
}

/** What is spent of it, where there is one. Talks to nobody. */
export const spentOf = (provider: Provider) => {
  const budget = budgetOf(provider)
  return budget === undefined ? Effect.succeed(undefined) : TokenBudget.spent(provider.key, budget)
}
