import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as HttpClient from "effect/http/HttpClient"
import type { LoginFailed, StoreFailed, TokenRejected } from "../AuthError.ts"
import { Credential, type CredentialKey } from "../Credential.ts"
import type { AuthorizationCodeFlow } from "../flow/AuthorizationCode.ts"
import type { Flow, GrantError, Obtained, UnattendedError } from "../flow/Flow.ts"
import type { Begun, PendingAuthorization } from "../protocol/AuthorizationRequest.ts"
import * as Introspection from "../protocol/Introspection.ts"
import * as OAuthClient from "../protocol/OAuthClient.ts"
import { CredentialStore, type Slot } from "../store/CredentialStore.ts"
import { type LoginOptions, supervise } from "./LoginSupervisor.ts"
import * as TokenBudget from "./TokenBudget.ts"
import { commit, identify } from "./Renewal.ts"
import * as Terms from "./Terms.ts"

export type { LoginOptions } from "./LoginSupervisor.ts"

/** What a login can fail with. */
export type LoginError = UnattendedError | LoginFailed

/**
 * Runs a flow now, verifies what it brought, and keeps it. Token sources on the same store find it when what they hold is
 * due or refused. Of many callers for one account, in this process and others on the same store, one asks the person;
 * the others wait, and have the same credential or the same failure.
 */
export const login = Effect.fn("keyfob.login")(function* <R>(
  flow: Flow<R>,
  options: LoginOptions = {}
): Effect.fn.Return<Credential, LoginError, Exclude<R, Scope.Scope> | HttpClient.HttpClient | CredentialStore> {
  const attempt = yield* signIn(flow, options)
  return yield* flow.attended ? supervise(flow.key, attempt, options) : attempt
})

const signIn = Effect.fnUntraced(function* <R>(flow: Flow<R>, { onKept = Effect.void }: LoginOptions = {}) {
  const store = yield* CredentialStore
  const client = yield* TokenBudget.clientOf(flow)
  return Effect.gen(function* () {
    // A place that cannot be written shows now, not when a person has approved and there is a credential to lose.
    yield* store.modify(flow.key, () => Effect.void)
    const obtained = yield* obtain<UnattendedError | LoginFailed, R | Scope.Scope>(flow, client)
    const signedIn = Credential.make({ ...obtained, signedInAt: yield* DateTime.now })
    const keeping = store.modify(flow.key, (slot) => Effect.tap(keep(slot, signedIn), () => onKept))
    return yield* Effect.uninterruptible(keeping)
    // The scope ends with the login and not before: how it ends is what the person's browser is told.
  }).pipe(Effect.scoped)
})

/**
 * The first half of a login for a program that serves pages: the address to send the person's browser to, and what to
 * remember in their session until it comes back.
 *
 * @param options.redirectUri the program's own address for that, as it is registered at the provider
 */
export const begin = Effect.fn("keyfob.login.begin")(function* (
  flow: AuthorizationCodeFlow,
  options: { readonly redirectUri: string }
): Effect.fn.Return<Begun, GrantError, HttpClient.HttpClient> {
  return yield* flow.begin(yield* OAuthClient.make(flow.client), options.redirectUri)
})

/**
 * The second half: checks the answer and what its code brings as {@link login} does, and keeps it.
 *
 * @param pending what {@link begin} gave for this person, taken out of their session: it is good for one answer
 * @param answer the address their browser came to, in full or from its path on, or the form it posted
 */
export const complete = Effect.fn("keyfob.login.complete")(function* (
  flow: AuthorizationCodeFlow,
  pending: PendingAuthorization,
  answer: string
): Effect.fn.Return<Credential, LoginError, HttpClient.HttpClient | CredentialStore> {
  const { client, key } = flow
  // This person has answered: nobody else's login is theirs.
  return yield* yield* signIn({
    attended: true,
    key,
    client,
    obtain: (client) => flow.complete(client, pending, answer)
  })
})

/** A credential straight from its flow, its ID token and its binding verified; not kept yet. */
export const obtain = Effect.fnUntraced(function* <E, R>(
  flow: Terms.Terms & {
    readonly key: CredentialKey
    readonly obtain: (client: OAuthClient.OAuthClient) => Effect.Effect<Obtained, E, R>
  },
  client: OAuthClient.OAuthClient
): Effect.fn.Return<Credential, E | GrantError | TokenRejected, R> {
  const { asked, idToken, ...granted } = yield* flow.obtain(client)
  yield* Introspection.confirmBinding(client, granted.token)
  const identity =
    idToken === undefined ? {} : { idToken, account: yield* identify(client, idToken, granted.token, asked) }
  return Credential.make({ key: flow.key, generation: 1, ...granted, ...identity, ...(yield* Terms.marksOf(flow)) })
})

/** What is there, as far as it can be read. A damaged credential is no reason not to sign in again. */
export const found = (slot: Slot): Effect.Effect<Option.Option<Credential>, StoreFailed> =>
  Effect.catchIf(
    slot.read,
    (error) => error.reason === "Corrupt",
    () => Effect.succeedNone
  )

/**
 * Writes it as the generation after what is there, unless that is what has become of the very token that is brought again,
 * or is just becoming: its first refresh token is spent by now.
 */
export const keep = Effect.fnUntraced(function* (
  slot: Slot,
  obtained: Credential
): Effect.fn.Return<Credential, StoreFailed> {
  const before = yield* found(slot)
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
