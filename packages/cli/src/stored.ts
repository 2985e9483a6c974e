/** What needs nobody: the credential that is there. */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CredentialStore, RefreshPolicy, Terms } from "keyfob"
import type { Provider } from "./provider.ts"

/** What is kept for the provider, as far as it is theirs who call. */
export const kept = (provider: Provider) => CredentialStore.use(({ get }) => Terms.under(provider)(get(provider.key)))

/** The stored credential, if its token may be handed out. */
export const stored = Effect.fnUntraced(function* (provider: Provider, minValidity: Duration.Duration) {
  const found = yield* kept(provider)
  const now = yield* Clock.currentTimeMillis
  return Option.filter(found, (credential) => RefreshPolicy.isFresh(credential, now, minValidity))
})
