import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as HttpClient from "effect/http/HttpClient"
import type { LoginFailed } from "../AuthError.ts"
import type { Credential } from "../Credential.ts"
import type { AuthorizationCodeFlow } from "../flow/AuthorizationCode.ts"
import type { Flow, GrantError, UnattendedError } from "../flow/Flow.ts"
import type { Begun, PendingAuthorization } from "../protocol/AuthorizationRequest.ts"
import * as OAuthClient from "../protocol/OAuthClient.ts"
import type { CredentialStore } from "../store/CredentialStore.ts"
import { type LoginOptions, supervise } from "./LoginSupervisor.ts"
import { signIn } from "./SignIn.ts"
import * as TokenBudget from "./TokenBudget.ts"

export type { LoginOptions } from "./LoginSupervisor.ts"
export { obtain } from "./SignIn.ts"

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
  const attempt = signIn(flow, yield* TokenBudget.clientOf(flow))
  return yield* flow.attended ? supervise(flow.key, attempt, options) : attempt
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
  return yield* signIn(
    { attended: true, key, client, obtain: (client) => flow.complete(client, pending, answer) },
    yield* OAuthClient.make(client)
  )
})
