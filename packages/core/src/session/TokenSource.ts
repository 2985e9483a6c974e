import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as HttpClient from "effect/http/HttpClient"
import { adviceOf, type ConfigurationInvalid, LoginRequired } from "../AuthError.ts"
import type { Credential } from "../Credential.ts"
import type { Flow, UnattendedFlow } from "../flow/Flow.ts"
import * as OAuthClient from "../protocol/OAuthClient.ts"
import { CredentialStore, type Slot } from "../store/CredentialStore.ts"
import type { AccessToken } from "../Token.ts"
import * as Login from "./Login.ts"
import * as RefreshPolicy from "./RefreshPolicy.ts"
import { renew, type TokenError } from "./Renewal.ts"

export type { TokenError } from "./Renewal.ts"

/** How a renewal ended: by an exchange of ours, or by finding one that somebody else made. */
export interface Renewed {
  readonly outcome: "renewed" | "adopted"
  readonly credential: Credential
}

/** A place to get a valid token from, as often as one likes. */
export interface TokenSource {
  /** A token that is not due: from memory, from the store, or renewed first. Callers share one renewal. */
  readonly token: Effect.Effect<AccessToken, TokenError>
  /** A token that stays valid for at least `minValidity`, as far as the provider's lifetimes allow. */
  readonly tokenValidFor: (minValidity: Duration.Duration) => Effect.Effect<AccessToken, TokenError>
  /** Renews though nothing is due: after a 401, or on demand. Adopts what a sibling renewed since we last looked. */
  readonly renew: Effect.Effect<Renewed, TokenError>
  /** The token that follows one an API refused: of many callers with the same one, the first renews for all. */
  readonly renewedSince: (refused: AccessToken) => Effect.Effect<AccessToken, TokenError>
}

/**
 * Makes a source from a flow. It never asks a person for anything: a machine's flow is run again when its token is due,
 * a person's ends in `LoginRequired`.
 */
export const make = Effect.fnUntraced(function* (
  flow: Flow<unknown>
): Effect.fn.Return<TokenSource, ConfigurationInvalid, HttpClient.HttpClient | CredentialStore | Scope.Scope> {
  const store = yield* CredentialStore
  const scope = yield* Effect.scope
  const client = yield* OAuthClient.make(flow.client)
  const held = Ref.makeUnsafe(Option.none<Credential>())
  const flight = Semaphore.makeUnsafe(1)
  const loginRequired = (reason: LoginRequired["reason"]) =>
    new LoginRequired({ reason, issuer: flow.key.issuer, account: flow.key.account })

  const freshIn = (credential: Option.Option<Credential>, minValidity: Duration.Duration) =>
    Effect.map(Clock.currentTimeMillis, (now) =>
      Option.filter(credential, (found) => RefreshPolicy.isFresh(found, now, minValidity))
    )

  const exchange = Effect.fnUntraced(function* (slot: Slot, current: Option.Option<Credential>) {
    if (!flow.attended) {
      const obtained = yield* Login.obtain(flow, client)
      return yield* Effect.uninterruptible(Login.keep(slot, obtained))
    }
    if (Option.isNone(current)) return yield* loginRequired("NoCredential")
    if (current.value.refused === true) return yield* loginRequired("RefreshRefused")
    return yield* renew(slot, current.value, client)
  })

  // What could not be saved is saved before anything else is asked of the provider.
  const unsaved = Ref.makeUnsafe(Option.none<Credential>())
  const remembering = (slot: Slot): Slot => ({
    ...slot,
    write: (credential) =>
      Ref.set(unsaved, Option.some(credential)).pipe(
        Effect.andThen(slot.write(credential)),
        Effect.andThen(Ref.set(unsaved, Option.none()))
      )
  })
  const settled = Effect.fnUntraced(function* (slot: Slot) {
    const current = yield* slot.read
    const pending = yield* Ref.get(unsaved)
    if (Option.isNone(pending)) return current
    // A logout or login since then is the newer word.
    if (!follows(pending.value, current)) {
      yield* Ref.set(unsaved, Option.none())
      return current
    }
    yield* slot.write(pending.value)
    return pending
  })

  /** Under the lease: what a sibling renewed is adopted, anything else exchanged. */
  const underLease = (isGoodEnough: (found: Credential, now: number) => boolean) =>
    store
      .modify(
        flow.key,
        Effect.fnUntraced(function* (place) {
          const slot = remembering(place)
          const current = yield* settled(slot)
          const now = yield* Clock.currentTimeMillis
          if (Option.isSome(current) && isGoodEnough(current.value, now)) {
            return { outcome: "adopted", credential: current.value } as const
          }
          return { outcome: "renewed", credential: yield* exchange(slot, current) } as const
        })
      )
      .pipe(
        Effect.tap(({ credential }) => Ref.set(held, Option.some(credential))),
        // In a fiber of the source's own: a caller that gives up does not take the exchange with it.
        Effect.forkIn(scope, { startImmediately: true }),
        Effect.flatMap(Fiber.join)
      )

  const fresh = Effect.fnUntraced(function* (minValidity: Duration.Duration) {
    const stored = yield* store.get(flow.key)
    const found = yield* freshIn(stored, minValidity)
    if (Option.isSome(found)) {
      yield* Ref.set(held, found)
      return found.value
    }
    return (yield* underLease((credential, now) => RefreshPolicy.isFresh(credential, now, minValidity))).credential
  })

  /** Trouble that passes does not take away a token that still serves, nor does one without a successor end early. */
  const orServing = Effect.fnUntraced(function* (failure: TokenError, minValidity: Duration.Duration) {
    const { retry } = adviceOf(failure)
    if (retry !== "retry" && retry !== "wait" && failure.reason !== "NotRenewable") return yield* failure
    const stored = yield* Effect.orElseSucceed(store.get(flow.key), Option.none)
    const now = yield* Clock.currentTimeMillis
    if (Option.isSome(stored) && RefreshPolicy.isServing(stored.value, now, minValidity)) return stored.value
    return yield* failure
  })

  const tokenValidFor = Effect.fnUntraced(function* (minValidity: Duration.Duration) {
    const known = yield* freshIn(yield* Ref.get(held), minValidity)
    if (Option.isSome(known)) return known.value.token
    const { token } = yield* flight.withPermit(
      Effect.gen(function* () {
        const meanwhile = yield* freshIn(yield* Ref.get(held), minValidity)
        return Option.isSome(meanwhile) ? meanwhile.value : yield* fresh(minValidity)
      }).pipe(Effect.catch((failure) => orServing(failure, minValidity)))
    )
    return token
  })

  const renewFrom = (seen: Option.Option<Credential>) => {
    const generation = Option.match(seen, { onNone: () => 0, onSome: (credential) => credential.generation })
    return underLease((credential, now) => credential.generation > generation && RefreshPolicy.isFresh(credential, now))
  }

  const renewNow = Effect.gen(function* () {
    const seen = yield* Ref.get(held)
    const before = Option.isSome(seen) ? seen : yield* store.get(flow.key)
    return yield* flight.withPermit(renewFrom(before))
  })

  const renewedSince = (refused: AccessToken) =>
    flight.withPermit(
      Effect.gen(function* () {
        const current = yield* Ref.get(held)
        if (Option.isSome(current) && !Equal.equals(current.value.token.value, refused.value))
          return current.value.token
        return (yield* renewFrom(current)).credential.token
      })
    )

  return { token: tokenValidFor(Duration.zero), tokenValidFor, renew: renewNow, renewedSince }
})

/** Whether a credential that was not saved continues what is stored: the generation before it, still marked as being spent. */
const follows = (pending: Credential, stored: Option.Option<Credential>) => {
  const { generation, spending } = Option.getOrElse(stored, () => ({ generation: 0, spending: undefined }))
  // A machine's exchange spends nothing, so it leaves no mark.
  return pending.generation === generation + 1 && (pending.key.subject === "client" || spending === generation)
}

/** A class for one's own token source: `class Api extends TokenSource.Service<Api>()("app/Api") {}`. */
export interface ServiceClass<Self, Key extends string> extends Context.ServiceClass<Self, Key, TokenSource> {
  /** The source for a flow. Its credential is kept in memory, for as long as the layer lives. */
  readonly layer: (flow: UnattendedFlow) => Layer.Layer<Self, ConfigurationInvalid, HttpClient.HttpClient>
  /** The source for a flow whose credential is kept in a store: found again by the next process, shared with siblings. */
  readonly layerStored: (
    flow: Flow<unknown>
  ) => Layer.Layer<Self, ConfigurationInvalid, HttpClient.HttpClient | CredentialStore>
}

export const Service =
  <Self>() =>
  <const Key extends string>(key: Key): ServiceClass<Self, Key> =>
    class extends Context.Service<Self, TokenSource>()(key) {
      static readonly layerStored = (flow: Flow<unknown>) => Layer.effect(this, make(flow))
      static readonly layer = (flow: UnattendedFlow) =>
        this.layerStored(flow).pipe(Layer.provide(CredentialStore.layerMemory))
    }
