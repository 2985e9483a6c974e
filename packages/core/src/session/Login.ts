import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as HttpClient from "effect/http/HttpClient"
import type { LoginFailed, StoreFailed, TokenRejected } from "../AuthError.ts"
import { Credential, type CredentialKey } from "../Credential.ts"
import type { Flow, GrantError } from "../flow/Flow.ts"
import * as OAuthClient from "../protocol/OAuthClient.ts"
import type { Granted } from "../protocol/TokenEndpoint.ts"
import { CredentialStore, type Slot } from "../store/CredentialStore.ts"
import { commit, identify } from "./Renewal.ts"

/** What a login can fail with. */
export type LoginError = GrantError | LoginFailed | TokenRejected | StoreFailed

/**
 * Runs a flow now, verifies what it brought, and keeps it. Token sources on the same store find it when what they hold is
 * due or refused.
 */
export const login = Effect.fn("keyfob.login")(function* <R>(
  flow: Flow<R>
): Effect.fn.Return<Credential, LoginError, R | HttpClient.HttpClient | CredentialStore> {
  const store = yield* CredentialStore
  const client = yield* OAuthClient.make(flow.client)
  // A place that cannot be written shows now, not when a person has approved and there is a credential to lose.
  yield* store.modify(flow.key, () => Effect.void)
  const obtained = yield* obtain<GrantError | LoginFailed, R>(flow, client)
  return yield* Effect.uninterruptible(store.modify(flow.key, (slot) => keep(slot, obtained)))
})

/** A credential straight from its flow, its ID token verified; not kept yet. */
export const obtain = Effect.fnUntraced(function* <E, R>(
  flow: {
    readonly key: CredentialKey
    readonly obtain: (client: OAuthClient.OAuthClient) => Effect.Effect<Granted, E, R>
  },
  client: OAuthClient.OAuthClient
): Effect.fn.Return<Credential, E | OAuthClient.MetadataError | TokenRejected, R> {
  const { idToken, ...granted } = yield* flow.obtain(client)
  const identity = idToken === undefined ? {} : { idToken, account: yield* identify(client, idToken, granted.token) }
  return Credential.make({ key: flow.key, generation: 1, ...granted, ...identity })
})

/** Writes it as the generation after what is there. A damaged credential is no reason not to sign in again. */
export const keep = Effect.fnUntraced(function* (
  slot: Slot,
  obtained: Credential
): Effect.fn.Return<Credential, StoreFailed> {
  const before = yield* Effect.catchIf(
    slot.read,
    (error) => error.reason === "Corrupt",
    () => Effect.succeedNone
  )
  const generation = Option.match(before, { onNone: () => 1, onSome: (credential) => credential.generation + 1 })
  return yield* commit(slot, Credential.make({ ...obtained, generation }))
})
