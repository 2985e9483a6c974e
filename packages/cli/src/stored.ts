/** What needs nobody: the credential that is there, and fresh. */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CredentialStore, RefreshPolicy } from "keyfob"
import type { Provider } from "./provider.ts"

/** The stored credential, if its token may be handed out. */
export const stored = Effect.fnUntraced(function* ({ key }: Provider, minValidity: Duration.Duration) {
  const { get } = yield* CredentialStore
  const found = yield* get(key)
  const now = yield* Clock.currentTimeMillis
  return Option.filter(found, (credential) => RefreshPolicy.isFresh(credential, now, minValidity))
})
