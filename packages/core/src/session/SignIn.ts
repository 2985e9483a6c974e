/** What every sign-in does with what its flow brings: verifies it, and keeps it. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { LoginFailed, StoreFailed, TokenRejected } from "../AuthError.ts"
import { Credential, type CredentialKey } from "../Credential.ts"
import type { Flow, GrantError, Obtained, UnattendedError } from "../flow/Flow.ts"
import * as Introspection from "../protocol/Introspection.ts"
import type { OAuthClient } from "../protocol/OAuthClient.ts"
import { CredentialStore, type Slot } from "../store/CredentialStore.ts"
import { undamaged } from "../store/StoreNote.ts"
import { commit, identify } from "./Renewal.ts"
import * as Terms from "./Terms.ts"

/**
 * Runs a flow, verifies what it brings, and keeps it.
 *
 * @param whenKept runs while the lease is still held: nobody else has a turn at the credential in between
 */
export const signIn = Effect.fnUntraced(function* <R>(
  flow: Flow<R>,
  client: OAuthClient,
  whenKept: Effect.Effect<void> = Effect.void
) {
  const store = yield* CredentialStore
  // A place that cannot be written shows now, not when a person has approved and there is a credential to lose.
  yield* store.modify(flow.key, () => Effect.void)
  const obtained = yield* obtain<UnattendedError | LoginFailed, R | Scope.Scope>(flow, client)
  const signedIn = Credential.make({ ...obtained, signedInAt: yield* DateTime.now })
  const keeping = store.modify(flow.key, (slot) => Effect.tap(keep(slot, signedIn), () => whenKept))
  return yield* Effect.uninterruptible(keeping)
  // The scope ends with the login and not before: how it ends is what the person's browser is told.
}, Effect.scoped)

/** A credential straight from its flow, its ID token and its binding verified; not kept yet. */
export const obtain = Effect.fnUntraced(function* <E, R>(
  flow: Terms.Terms & {
    readonly key: CredentialKey
    readonly obtain: (client: OAuthClient) => Effect.Effect<Obtained, E, R>
  },
  client: OAuthClient
): Effect.fn.Return<Credential, E | GrantError | TokenRejected, R> {
  const { asked, idToken, ...granted } = yield* flow.obtain(client)
  yield* Introspection.confirmBinding(client, granted.token)
  const identity =
    idToken === undefined ? {} : { idToken, account: yield* identify(client, idToken, granted.token, asked) }
  return Credential.make({ key: flow.key, generation: 1, ...granted, ...identity, ...(yield* Terms.marksOf(flow)) })
})

/**
 * Writes the credential as the next generation. Not where the store's own began with the same token and has been renewed
 * since, or is being renewed: that one stays, since the refresh token that was brought again is spent by now.
 */
export const keep = Effect.fnUntraced(function* (
  slot: Slot,
  obtained: Credential
): Effect.fn.Return<Credential, StoreFailed> {
  const before = yield* undamaged(slot.read)
  if (Option.isSome(before) && hasGoneOn(before.value, obtained)) return before.value
  const generation = Option.match(before, { onNone: () => 1, onSome: (credential) => credential.generation + 1 })
  return yield* commit(slot, Credential.make({ ...obtained, generation }))
})

const hasGoneOn = (kept: Credential, { begunWith, token }: Credential) =>
  begunWith !== undefined &&
  kept.begunWith === begunWith &&
  kept.refreshToken !== undefined &&
  kept.refused !== true &&
  (kept.spending === kept.generation || !Equal.equals(kept.token.value, token.value))
