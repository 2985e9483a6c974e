import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import {
  AnswerRejected,
  type ConfigurationInvalid,
  isTransient,
  LoginRequired,
  type ProviderError,
  type StoreFailed,
  type TokenRejected
} from "../AuthError.ts"
import { Account, Credential } from "../Credential.ts"
import type { FlowParts, Obtained } from "../flow/Flow.ts"
import { hostOf, wasNotProcessed } from "../protocol/HttpExchange.ts"
import * as Introspection from "../protocol/Introspection.ts"
import * as Jwt from "../protocol/Jwt.ts"
import type { MetadataError, OAuthClient } from "../protocol/OAuthClient.ts"
import { resourcesOf } from "../protocol/ProviderProfile.ts"
import { type Granted, refresh as refreshed } from "../protocol/TokenEndpoint.ts"
import type { Slot } from "../store/CredentialStore.ts"
import type { AccessToken } from "../Token.ts"

/** What asking for a token can fail with: each member says who has to act and what helps. */
export type TokenError = LoginRequired | ProviderError | TokenRejected | StoreFailed | ConfigurationInvalid

/**
 * Exchanges a refresh token for the next generation. Runs while the slot's lease is held, after it was read:
 * mark "spending" → exchange → commit → the mark is gone with the commit. From the mark on nothing interrupts it, and
 * everything in it is bounded.
 *
 * A mark that is already there when we come means that its writer died between the two: the same token is tried once
 * more, since the provider may never have seen it, and a refusal then says what happened.
 *
 * Of an answer that must not be used, the refresh token is committed alone, unless it is somebody else's: the provider has
 * rotated (docs/architecture.md has each case).
 */
export const renew = Effect.fn("keyfob.renew")(function* (
  slot: Slot,
  credential: Credential,
  client: OAuthClient,
  { refresh }: Pick<FlowParts, "refresh"> = {}
): Effect.fn.Return<Credential, TokenError> {
  const { key, refreshToken } = credential
  if (refreshToken === undefined) {
    return yield* new LoginRequired({ reason: "NotRenewable", issuer: key.issuer, account: key.account })
  }
  // A provider that cannot be discovered has not spent anything: no mark for that.
  if (refresh === undefined) yield* client.endpoint("token")
  const unfinished = credential.spending === credential.generation
  if (!unfinished) yield* slot.write(Credential.make({ ...credential, spending: credential.generation }))
  const exchange = yield* Effect.result((refresh ?? byRefreshToken)(client, refreshToken, credential))
  if (Result.isFailure(exchange)) {
    const error = exchange.failure
    if (error._tag === "ProviderRefused" && error.reason === "InvalidGrant") {
      // If the lease was taken from us (the machine was suspended), its next holder may have renewed with the same token.
      const now = yield* slot.read
      const isTaken = Option.isSome(now) && now.value.generation > credential.generation
      if (isTaken && now.value.refused !== true && now.value.begunWith === credential.begunWith) return now.value
      const { refreshToken: _, ...rest } = credential // an open mark stays, so that the reason is known later on
      if (!isTaken) yield* slot.write(Credential.make({ ...rest, refused: true }))
      return yield* new LoginRequired({
        reason: unfinished ? "RefreshUnfinished" : "RefreshRefused",
        issuer: key.issuer,
        account: key.account
      })
    }
    // The mark stays where the provider may have spent the refresh token; after any other failure it is as good as before.
    const ambiguous =
      error._tag === "AnswerRejected" || (error._tag === "ProviderUnavailable" && !wasNotProcessed(error))
    if (!ambiguous) yield* Effect.ignore(slot.write(credential))
    return yield* error
  }
  const answer = exchange.success
  const { refreshExpiresAt: _e, refreshExpiryFixedSince: _f, spending: _s, ...before } = credential
  const generation = credential.generation + 1
  // The refresh token that counts from now on, beside the token of before.
  const held = Credential.make({
    ...before,
    generation,
    refreshToken: answer.refreshToken ?? refreshToken,
    ...refreshTokenLife(credential, answer)
  })
  // For an answer about somebody else: nothing of it is kept. Our own refresh token is, so that a logout can revoke it.
  const refused = Credential.make({ ...before, generation, refused: true })
  const refuse = (error: TokenError) => Effect.andThen(Effect.ignore(commit(slot, refused)), Effect.fail(error))
  if (answer.idToken !== undefined && (yield* isOfAnother(credential, answer.idToken))) {
    return yield* refuse(new AnswerRejected({ reason: "SubjectMismatch", endpoint: "token", host: hostOf(key.issuer) }))
  }
  if ("reason" in answer) {
    yield* commit(slot, held)
    const foreign = answer.idToken === undefined ? undefined : yield* misdirection(client, answer.idToken)
    return yield* foreign === undefined ? answer.reason : refuse(foreign)
  }
  const { refreshAt: _a, ...rest } = held
  const { idToken, ...brought } = answer
  const next = Credential.make({ ...rest, ...brought })
  if (idToken !== undefined || Introspection.isBindingHidden(client, next.token)) yield* commit(slot, held)
  const whole = idToken === undefined ? next : yield* withIdToken(next, client, idToken, refuse)
  yield* Introspection.confirmBinding(client, next.token)
  return yield* commit(slot, whole)
}, Effect.uninterruptible)

/** RFC 6749 section 6. */
export const byRefreshToken: NonNullable<FlowParts["refresh"]> = (client, refreshToken, { key, token }) =>
  refreshed(client, refreshToken, {
    scopes: token.scopes,
    resource: resourcesOf(client.profile, key),
    dpopKey: token.dpopKey
  })

/**
 * When the refresh token ends: as the answer says or, where the refresh token stays, as was known. A lifetime that slides
 * moves on with each renewal; an end that stays where it was is fixed.
 */
const refreshTokenLife = (
  before: Credential,
  granted: Pick<Granted, "issuedAt" | "refreshToken" | "refreshExpiresAt">
) => {
  const known = before.refreshExpiresAt
  const told = granted.refreshExpiresAt ?? (granted.refreshToken === undefined ? known : undefined)
  if (told === undefined) return {}
  const moved = known === undefined ? Infinity : Duration.toMillis(DateTime.distance(known, told))
  const passed = Duration.toMillis(DateTime.distance(before.issuedAt, granted.issuedAt))
  return {
    refreshExpiresAt: told,
    ...(moved > passed / 2 ? {} : { refreshExpiryFixedSince: before.refreshExpiryFixedSince ?? before.issuedAt })
  }
}

/**
 * The ID token of a refresh must be about the same person, from the same issuer, for the same client (OpenID Connect Core
 * section 12.2). Whom it names is seen without a key, before anything of the answer is kept, whatever else is wrong with
 * it; the rest when the rotation is safe on disk, since keys may have to be fetched. Until then nobody can use the token
 * that came with it.
 */
const isOfAnother = ({ account }: Credential, idToken: Redacted.Redacted) =>
  Effect.match(Jwt.decode(Redacted.value(idToken)), {
    onFailure: () => false,
    onSuccess: ({ claims }) => account !== undefined && claims["sub"] !== account.sub
  })

const withIdToken = Effect.fnUntraced(function* (
  next: Credential,
  client: OAuthClient,
  idToken: Redacted.Redacted,
  refuse: (error: TokenError) => Effect.Effect<never, TokenError>
): Effect.fn.Return<Credential, TokenError> {
  const verified = yield* Effect.result(identify(client, idToken, next.token))
  if (Result.isSuccess(verified)) return Credential.make({ ...next, idToken })
  const { failure } = verified
  const foreign = yield* misdirection(client, idToken)
  if (foreign !== undefined) return yield* refuse(foreign)
  // Keys out of reach or just rotated, clocks that differ: what passes ends no session. The ID token of before stays.
  if (failure._tag !== "TokenRejected" || isTransient(failure) || failure.reason === "Expired") return next
  return yield* failure
})

/** Why an ID token is somebody else's, if its claims say so. They are read unverified: keys and clocks do not matter here. */
const misdirection = (client: OAuthClient, idToken: Redacted.Redacted): Effect.Effect<TokenRejected | undefined> =>
  Effect.flatMap(client.metadata, ({ issuer }) =>
    Jwt.checkDirection(idToken, { issuer, audience: client.clientId })
  ).pipe(
    Effect.match({
      onSuccess: () => undefined,
      onFailure: (error) => (error._tag === "TokenRejected" && isOfOthers(error) ? error : undefined)
    })
  )

const isOfOthers = ({ reason }: TokenRejected) =>
  reason === "Issuer" || reason === "Audience" || reason === "AuthorizedParty"

/**
 * Who an ID token is about, once it is verified (OpenID Connect Core section 3.1.3.7).
 *
 * @param asked what the login asked for, and so the token must show
 */
export const identify = Effect.fnUntraced(function* (
  client: OAuthClient,
  idToken: Redacted.Redacted,
  token: AccessToken,
  { nonce, ...asked }: NonNullable<Obtained["asked"]> = {}
): Effect.fn.Return<Account, MetadataError | TokenRejected> {
  const { issuer } = yield* client.metadata
  const jwks = yield* client.jwks
  const { idTokenAlgorithms: algorithms } = client.profile
  const { email, name, sub } = yield* Jwt.verifyIdToken(idToken, {
    jwks,
    issuer,
    audience: client.clientId,
    ...(algorithms === undefined ? {} : { algorithms }),
    // Where the ID token itself goes on requests, the access token is not used, and nothing need bind the two.
    ...(Equal.equals(token.value, idToken) ? {} : { accessToken: token.value }),
    ...asked,
    ...(nonce === undefined ? {} : { nonce: Redacted.value(nonce) })
  })
  return Account.make({ sub, ...(isText(name) ? { name } : {}), ...(isText(email) ? { email } : {}) })
})

/** Names are only shown: a login does not fail because a provider sends `null` for one. */
const isText = (claim: unknown): claim is string => typeof claim === "string" && claim !== ""

/** Writes what an exchange brought, and tries again where that fails: it cannot be had a second time. */
export const commit = (slot: Slot, credential: Credential): Effect.Effect<Credential, StoreFailed> =>
  slot
    .write(credential)
    .pipe(Effect.retry({ times: 3, schedule: Schedule.exponential("100 millis") }), Effect.as(credential))
