import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { LoginRequired } from "../AuthError.ts"
import type { Credential } from "../Credential.ts"
import type { Flow, UnattendedFlow } from "../flow/Flow.ts"
import type { OAuthClient } from "../protocol/OAuthClient.ts"
import type { Slot } from "../store/CredentialStore.ts"
import * as RefreshPolicy from "./RefreshPolicy.ts"
import { renew, type TokenError } from "./Renewal.ts"
import { keep, obtain } from "./SignIn.ts"

/**
 * Gets and keeps the credential that follows the current one, under its lease. A refresh token is used where there is one;
 * a machine's flow is run again where there is none, or where the provider refuses it (R4). A person is never asked: their
 * flow fails with `LoginRequired`.
 */
export const make = (flow: Flow<unknown>, client: OAuthClient) => {
  const { account, issuer } = flow.key
  const loginRequired = (reason: LoginRequired["reason"]) => new LoginRequired({ reason, issuer, account })

  /** Why a session that the provider has ended cannot be renewed. */
  const endOf = ({ generation, refused, spending }: Credential) =>
    refused === true ? loginRequired(spending === generation ? "RefreshUnfinished" : "RefreshRefused") : undefined

  /** Whether it is this very flow that has nothing to sign in with: it may itself need a token of another login. */
  const hasNothing = (error: TokenError) =>
    error._tag === "LoginRequired" &&
    error.reason === "NoCredential" &&
    error.issuer === issuer &&
    error.account === account

  return Effect.fnUntraced(function* (
    slot: Slot,
    current: Option.Option<Credential>
  ): Effect.fn.Return<Credential, TokenError> {
    const ended = Option.isSome(current) ? endOf(current.value) : undefined
    if (flow.attended) {
      if (Option.isNone(current)) return yield* loginRequired("NoCredential")
      return yield* ended ?? renew(slot, current.value, client, flow)
    }
    const again = Effect.gen(function* () {
      const obtained = yield* obtain(flow, client)
      const kept = yield* Effect.uninterruptible(keep(slot, obtained))
      // A session that settings bring may have a token that has ended, and a refresh token for the next one.
      const isOver = !RefreshPolicy.isServing(kept, yield* client.clock.nowOn(kept.token))
      return isOver && kept.refreshToken !== undefined ? yield* renew(slot, kept, client, flow) : kept
    })
    /** A flow that has nothing to sign in with fails with the reason why it had to. */
    const againOr = (why: TokenError | undefined) =>
      Effect.catchIf(again, hasNothing, (error) => Effect.fail(why ?? error))
    if (Option.isNone(current) || (current.value.refreshToken === undefined && ended === undefined)) {
      return yield* againOr(undefined)
    }
    const renewed = ended ?? renew(slot, current.value, client, flow)
    // A session that settings brought has gone on since: its first token and refresh token are spent.
    if (flow.brought !== undefined) return yield* renewed
    return yield* Effect.catchIf(renewed, ({ _tag }) => _tag === "LoginRequired" || _tag === "ProviderRefused", againOr)
  })
}

/** Whether the flow could be run again for what follows `current`, as {@link make} has it. Asks nobody. */
export const canObtain = Effect.fnUntraced(function* (flow: UnattendedFlow, current: Option.Option<Credential>) {
  const isOver = flow.brought !== undefined && Option.exists(current, ({ refused }) => refused === true)
  return !isOver && (yield* flow.canObtain ?? Effect.succeed(true))
})
