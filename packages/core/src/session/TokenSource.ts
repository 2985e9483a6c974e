import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
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
import { adviceOf, AnswerRejected, type ConfigurationInvalid, LoginRequired } from "../AuthError.ts"
import type { Credential } from "../Credential.ts"
import { isBefore, later, moment, type Moment } from "../Moment.ts"
import type { Flow, UnattendedFlow } from "../flow/Flow.ts"
import { hostOf } from "../protocol/HttpExchange.ts"
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
  const revision = store.revisionOf(flow.key)
  const memory = Ref.makeUnsafe(Option.none<{ readonly credential: Credential; readonly revision: number }>())
  /** What is remembered, unless the store was written since: by a login as somebody else, say, or a logout (R15). */
  const held = Effect.gen(function* () {
    const current = yield* revision
    const remembered = Option.filter(yield* Ref.get(memory), (found) => found.revision === current)
    return Option.map(remembered, ({ credential }) => credential)
  })
  const flight = Semaphore.makeUnsafe(1)
  const trouble = Ref.makeUnsafe<Trouble | undefined>(undefined)
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
    const { generation, refused, spending } = current.value
    if (refused === true) return yield* loginRequired(spending === generation ? "RefreshUnfinished" : "RefreshRefused")
    return yield* renew(slot, current.value, client)
  })

  // What could not be saved is saved before anything else is asked of the provider.
  const unsaved = Ref.makeUnsafe(Option.none<Unsaved>())
  const remembering = (slot: Slot): Slot => {
    let over = Option.none<Credential>()
    const stands = (credential: Option.Option<Credential>) =>
      Effect.sync(() => {
        over = credential
      })
    return {
      ...slot,
      read: Effect.tap(slot.read, stands),
      write: (credential) =>
        Effect.suspend(() => Ref.set(unsaved, Option.some({ credential, over }))).pipe(
          Effect.andThen(slot.write(credential)),
          Effect.andThen(stands(Option.some(credential))),
          Effect.andThen(Ref.set(unsaved, Option.none()))
        )
    }
  }
  const settled = Effect.fnUntraced(function* (slot: Slot) {
    const current = yield* slot.read
    const pending = yield* Ref.get(unsaved)
    if (Option.isNone(pending)) return current
    // A logout or login since then is the newer word.
    if (!follows(pending.value, current)) {
      yield* Ref.set(unsaved, Option.none())
      return current
    }
    yield* slot.write(pending.value.credential)
    return Option.some(pending.value.credential)
  })

  /** One attempt at a time. Who waited while one failed shares its failure, instead of making the next. */
  const alone = Effect.fnUntraced(function* <A>(attempt: Effect.Effect<A, TokenError>) {
    const before = yield* Ref.get(trouble)
    return yield* flight.withPermit(
      Effect.gen(function* () {
        const last = yield* Ref.get(trouble)
        return last !== undefined && last !== before ? yield* last.failure : yield* attempt
      })
    )
  })

  const note = Effect.fnUntraced(function* (failure: TokenError) {
    yield* Ref.set(memory, Option.none()) // so that the store is looked at again
    if ((yield* Ref.get(trouble))?.failure === failure) return
    const asked = failure._tag === "ProviderUnavailable" ? failure.retryAfter : undefined
    const wait = asked === undefined ? Duration.zero : Duration.min(asked, longestRest)
    yield* Ref.set(trouble, { failure, until: later(yield* moment, Duration.toMillis(wait)) })
  })

  /** To be called under the lease: nothing is written between the revision and what it stands for. */
  const remembered = (credential: Credential) =>
    Effect.flatMap(revision, (revision) =>
      Effect.as(Ref.set(memory, Option.some({ credential, revision })), credential)
    )

  /** Under the lease: what a sibling renewed is adopted, anything else exchanged; not while the provider wants its rest. */
  const underLease = (isGoodEnough: (found: Credential, now: number) => boolean, insist = false) =>
    store
      .modify(
        flow.key,
        Effect.fnUntraced(function* (place) {
          const slot = remembering(place)
          const current = yield* settled(slot)
          const now = yield* Clock.currentTimeMillis
          if (Option.isSome(current) && isGoodEnough(current.value, now)) {
            return { outcome: "adopted", credential: yield* remembered(current.value) } as const
          }
          const last = yield* Ref.get(trouble)
          if (!insist && last !== undefined && isBefore(yield* moment, last.until)) return yield* last.failure
          return { outcome: "renewed", credential: yield* remembered(yield* exchange(slot, current)) } as const
        })
      )
      .pipe(
        Effect.tap(() => Ref.set(trouble, undefined)),
        Effect.tapError(note),
        // In a fiber of the source's own: a caller that gives up does not take the exchange with it.
        Effect.forkIn(scope, { startImmediately: true }),
        Effect.flatMap(Fiber.join)
      )

  const fresh = Effect.fnUntraced(function* (minValidity: Duration.Duration) {
    const meanwhile = yield* freshIn(yield* held, minValidity)
    if (Option.isSome(meanwhile)) return meanwhile.value
    const seen = yield* revision
    const found = yield* freshIn(yield* store.get(flow.key), minValidity)
    if (Option.isSome(found)) {
      yield* Ref.set(memory, Option.some({ credential: found.value, revision: seen }))
      return found.value
    }
    const { credential } = yield* underLease((found, now) => RefreshPolicy.isFresh(found, now, minValidity))
    if (RefreshPolicy.isServing(credential, yield* Clock.currentTimeMillis)) return credential
    // A lifetime of nothing, or an answer that took longer than it: no token that is known to have ended is handed out.
    const detail = "expires_in: the token ends before it can be used"
    return yield* new AnswerRejected({ reason: "Malformed", endpoint: "token", host: hostOf(flow.key.issuer), detail })
  })

  /** Trouble that passes does not take away a token that still serves, nor does one without a successor end early. */
  const orServing = Effect.fnUntraced(function* (failure: TokenError, minValidity: Duration.Duration) {
    if (!isTrouble(failure) && failure.reason !== "NotRenewable") return yield* failure
    const stored = yield* Effect.orElseSucceed(store.get(flow.key), Option.none)
    const now = yield* moment
    if (Option.isNone(stored) || !RefreshPolicy.isServing(stored.value, now.wall, minValidity)) return yield* failure
    // While it serves there is no hurry: the provider is left alone for a moment.
    const { expiresAt } = stored.value.token
    const left = expiresAt === undefined ? 0 : DateTime.toEpochMillis(expiresAt) - now.wall
    const until = later(now, Math.min(pauseWhileServing, left))
    yield* Ref.update(trouble, (last) =>
      last?.failure !== failure || isBefore(now, last.until) ? last : { ...last, until }
    )
    return stored.value
  })

  const tokenValidFor = Effect.fnUntraced(function* (minValidity: Duration.Duration) {
    const known = yield* freshIn(yield* held, minValidity)
    if (Option.isSome(known)) return known.value.token
    const { token } = yield* Effect.catch(alone(fresh(minValidity)), (failure) => orServing(failure, minValidity))
    return token
  })

  const orStored = (known: Option.Option<Credential>) =>
    Option.isSome(known) ? Effect.succeed(known) : store.get(flow.key)

  /** The generation after the one that was seen, whoever gets there first. */
  const after = (seen: Option.Option<Credential>, insist: boolean) => {
    const generation = Option.match(seen, { onNone: () => 0, onSome: (credential) => credential.generation })
    const isAfter = (credential: Credential, now: number) =>
      credential.generation > generation && RefreshPolicy.isFresh(credential, now)
    return alone(
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const meanwhile = Option.filter(yield* held, (credential) => isAfter(credential, now))
        if (Option.isSome(meanwhile)) return { outcome: "adopted", credential: meanwhile.value } as const
        return yield* underLease(isAfter, insist)
      })
    )
  }

  const renewNow = Ref.get(memory).pipe(
    Effect.map(Option.map(({ credential }) => credential)),
    Effect.flatMap(orStored),
    Effect.flatMap((seen) => after(seen, true))
  )

  const renewedSince = Effect.fnUntraced(function* (refused: AccessToken) {
    const seen = yield* Effect.flatMap(held, orStored)
    const isRefused = Option.isNone(seen) || Equal.equals(seen.value.token.value, refused.value)
    return isRefused ? (yield* after(seen, false)).credential.token : yield* tokenValidFor(Duration.zero)
  })

  return { token: tokenValidFor(Duration.zero), tokenValidFor, renew: renewNow, renewedSince }
})

/** A store that cannot be written or somebody else's page in the network says no more about the token than an outage does. */
const isTrouble = (failure: TokenError) => {
  const { retry } = adviceOf(failure)
  return retry === "retry" || retry === "wait" || failure._tag === "StoreFailed" || failure._tag === "AnswerRejected"
}

/** The last attempt that failed, and until when the provider is to be left alone. */
interface Trouble {
  readonly failure: TokenError
  readonly until: Moment
}

// A Retry-After of days is a mistake at the other end.
const longestRest = Duration.hours(1)
const pauseWhileServing = 5000

/** What could not be written, and what stood there. */
interface Unsaved {
  readonly credential: Credential
  readonly over: Option.Option<Credential>
}

/** Whether what stands there is still what the exchange began with. Generations alone do not tell: a login counts anew. */
const follows = ({ credential, over }: Unsaved, stored: Option.Option<Credential>) => {
  if (Option.isNone(over) || Option.isNone(stored)) {
    return Option.isNone(over) && Option.isNone(stored) && credential.generation === 1
  }
  const { generation, refused, spending, token } = stored.value
  return (
    credential.generation === generation + 1 &&
    refused !== true &&
    spending === over.value.spending &&
    Equal.equals(token.value, over.value.token.value)
  )
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
