import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as HttpClient from "effect/http/HttpClient"
import { AnswerRejected, type ConfigurationInvalid, type StoreFailed } from "../AuthError.ts"
import type { Credential, CredentialKey } from "../Credential.ts"
import { isBefore, later, moment } from "../Moment.ts"
import type { Flow, UnattendedFlow } from "../flow/Flow.ts"
import { hostOf } from "../protocol/HttpExchange.ts"
import { CredentialStore, type Slot } from "../store/CredentialStore.ts"
import type { AccessToken } from "../Token.ts"
import * as RefreshPolicy from "./RefreshPolicy.ts"
import * as NextCredential from "./NextCredential.ts"
import type { TokenError } from "./Renewal.ts"
import * as SingleFlight from "./SingleFlight.ts"
import { observed, type TokenEvent } from "./TokenEvent.ts"
import * as Terms from "./Terms.ts"
import * as TokenBudget from "./TokenBudget.ts"
import * as Trouble from "./Trouble.ts"
import * as Unsaved from "./Unsaved.ts"

export type { TokenError } from "./Renewal.ts"
export type { TokenEvent } from "./TokenEvent.ts"

/** How a renewal ended: by an exchange of ours, or by finding one that somebody else made. */
export interface Renewed {
  readonly outcome: "renewed" | "adopted"
  readonly credential: Credential
}

/** Nothing was due. */
export interface Fresh {
  readonly outcome: "fresh"
  readonly credential: Credential
}

/** Where a source's tokens come from: a person who signed in, a machine's own flow, or an exchange of another's token. */
export type Origin =
  | { readonly _tag: "Person" }
  | { readonly _tag: "Machine"; readonly canObtain?: UnattendedFlow["canObtain"] }
  | { readonly _tag: "Link"; readonly parent: TokenSource; readonly name: string; readonly target?: string }

/** A place to get a valid token from, as often as one likes. */
export interface TokenSource {
  /** Whose token it is, and what for. */
  readonly key: CredentialKey
  /** Where the next token comes from. */
  readonly origin: Origin
  /** What is known without asking anybody, fresh or not: from memory, or from the store. */
  readonly current: Effect.Effect<Option.Option<Credential>, StoreFailed>
  /**
   * A token before its hard point: from memory, from the store, or renewed first. Callers share one renewal. Past its soft
   * point it is given at once all the same, and one renewal starts in the background, in the source's scope.
   */
  readonly token: Effect.Effect<AccessToken, TokenError>
  /** A token that stays valid for at least `minValidity`, as far as the provider's lifetimes allow. */
  readonly tokenValidFor: (minValidity: Duration.Duration) => Effect.Effect<AccessToken, TokenError>
  /** Renews though nothing is due: after a 401, or on demand. Adopts what a sibling renewed since we last looked. */
  readonly renew: Effect.Effect<Renewed, TokenError>
  /** Renews what is past its soft point, and nothing else: for who keeps a credential warm on a schedule of their own. */
  readonly renewIfDue: Effect.Effect<Renewed | Fresh, TokenError>
  /** The token that follows one an API refused: of many callers with the same one, the first renews for all. */
  readonly renewedSince: (refused: AccessToken) => Effect.Effect<AccessToken, TokenError>
  /** What happens to the credential from now on, as far as this source sees it. Slow readers miss the oldest. */
  readonly events: Stream.Stream<TokenEvent>
  /** The same for one who watches many: `observer` is called until the scope closes, costs no fiber, and must not wait. What it throws is logged as an error. */
  readonly observe: (observer: (event: TokenEvent) => void) => Effect.Effect<void, never, Scope.Scope>
}

/**
 * Makes a source from a flow. It never asks a person for anything: a machine's flow is run again when its token is due,
 * a person's ends in `LoginRequired`.
 */
export const make = Effect.fnUntraced(function* (
  flow: Flow<unknown>
): Effect.fn.Return<TokenSource, ConfigurationInvalid, HttpClient.HttpClient | CredentialStore | Scope.Scope> {
  const store = yield* CredentialStore
  const client = yield* TokenBudget.clientOf(flow)
  const scope = yield* closingInTime
  const revision = store.revisionOf(flow.key)
  const theirs = Terms.under(flow)
  const get = theirs(store.get(flow.key))
  const memory = Ref.makeUnsafe(Option.none<{ readonly credential: Credential; readonly revision: number }>())
  /** What is remembered, unless the store was written since: by a login as somebody else, say, or a logout (R15). */
  const held = Effect.zipWith(revision, Ref.get(memory), (current, remembered) =>
    Option.isSome(remembered) && remembered.value.revision === current
      ? Option.some(remembered.value.credential)
      : Option.none()
  )
  const trouble = Ref.makeUnsafe<Trouble.Trouble | undefined>(undefined)
  const unsaved = Unsaved.make(revision)
  const next = NextCredential.make(flow, client)
  const { events, gained, lost, observe, warn } = observed(flow.key)

  /** The time by the clock that the credential's times are written by: of the machine that asked for its token. */
  const nowFor = ({ token }: Credential) => client.clock.nowOn(token)

  const freshIn = Effect.fnUntraced(function* (credential: Option.Option<Credential>, minValidity: Duration.Duration) {
    if (Option.isNone(credential)) return credential
    const now = yield* nowFor(credential.value)
    return Option.filter(credential, (found) => RefreshPolicy.isFresh(found, now, minValidity))
  })

  /** What was remembered before a failure ended that. If the store still has it, nothing has changed, and the rest after the failure goes on. */
  let forgotten = Option.none<Credential>()
  const note = Effect.fnUntraced(function* (failure: TokenError) {
    if (!Trouble.passes(failure)) {
      const known = yield* Ref.getAndSet(memory, Option.none()) // so that the store is looked at again
      if (Option.isSome(known)) forgotten = Option.some(known.value.credential)
    }
    const last = yield* Ref.get(trouble)
    if (last?.failure === failure) return
    yield* Ref.set(trouble, yield* Trouble.after(failure, last))
    yield* lost(failure)
  })

  const alone = SingleFlight.make(Ref.get(trouble), note)

  /** Where the session can be renewed, its flow lets go of what it signs in with (`Once`), also if the session was only found here. */
  const remember = (credential: Credential, revision: number) => {
    const forget = flow.attended || credential.refreshToken === undefined ? undefined : flow.forget
    return Effect.andThen(forget ?? Effect.void, Ref.set(memory, Option.some({ credential, revision })))
  }

  /** Only under the lease: nobody writes between the look at the revision and the note of it. */
  const remembered = (credential: Credential) =>
    Effect.flatMap(revision, (revision) => Effect.as(remember(credential, revision), credential))

  let written: Credential | undefined
  /**
   * The slot, whose writes do not needlessly end what is remembered. Each write is a new revision, and what was remembered
   * at the last one counts no more; but a write that only sets or clears the mark changes no token, nor does one that fails.
   */
  const remembering = (slot: Slot): Slot => ({
    ...slot,
    write: Effect.fnUntraced(function* (credential) {
      written = credential
      const before = yield* held
      yield* Effect.tapError(slot.write(credential), () =>
        Option.isSome(before) && credential.refused !== true ? remembered(before.value) : Effect.void
      )
      const known = yield* Ref.get(memory)
      if (Option.isSome(known) && isSameToken(known.value.credential, credential)) yield* remembered(credential)
    })
  })

  /** Fails for a new token that has ended already: its lifetime is 0, or its answer took longer than that. */
  const serving = Effect.fnUntraced(function* (credential: Credential) {
    if (RefreshPolicy.isServing(credential, yield* nowFor(credential))) return
    const detail = "expires_in: the token ends before it can be used"
    return yield* new AnswerRejected({ reason: "Malformed", endpoint: "token", host: hostOf(flow.key.issuer), detail })
  })

  /**
   * Under the lease: adopts what is there if it is good enough (a sibling has renewed it), else gets the next credential.
   * While the provider has asked to be left alone it fails as the last attempt did, unless we `insist`.
   */
  const underLease = (isGoodEnough: (found: Credential, now: number) => boolean, insist = false) =>
    store
      .modify(
        flow.key,
        Effect.fnUntraced(function* (place) {
          const slot = unsaved.watch(remembering(place))
          const current = yield* theirs(unsaved.settle(slot))
          if (Option.isSome(current) && isGoodEnough(current.value, yield* nowFor(current.value))) {
            return { outcome: "adopted", credential: yield* remembered(current.value) } as const
          }
          const last = yield* Ref.get(trouble)
          const now = yield* moment
          if (!insist && last !== undefined && isBefore(now, last.until)) {
            const still = Trouble.at(last, now)
            yield* Ref.set(trouble, still)
            return yield* still.failure
          }
          const credential = yield* remembered(yield* next(slot, current))
          // Not what we wrote: the lease was taken from us, and this is its next holder's.
          return { outcome: credential === written ? "renewed" : "adopted", credential } as const
        })
      )
      .pipe(
        Effect.tap(({ credential, outcome }) =>
          Ref.set(trouble, undefined).pipe(
            Effect.andThen(gained(outcome, credential)),
            Effect.andThen(warn(credential)),
            Effect.andThen(serving(credential))
          )
        ),
        Effect.tapError(note),
        // In a fiber of the source's own: a caller that gives up does not take the exchange with it.
        Effect.forkIn(scope, { startImmediately: true }),
        Effect.flatMap(Fiber.join)
      )

  /** What the store has, read without its lease, if that is good enough. It is remembered then. */
  const stored = Effect.fnUntraced(function* (isGoodEnough: (found: Credential, now: number) => boolean) {
    const remembered = yield* Ref.get(memory)
    const known = Option.isSome(remembered) ? Option.some(remembered.value.credential) : forgotten
    const seen = yield* revision
    const found = yield* get
    if (Option.isNone(found) || !isGoodEnough(found.value, yield* nowFor(found.value))) {
      return Option.none<Renewed | Fresh>()
    }
    const credential = found.value
    yield* remember(credential, seen)
    const last = yield* Ref.get(trouble)
    if (Option.isNone(known) ? last === undefined : isSameToken(known.value, credential)) {
      yield* warn(credential)
      return Option.some<Renewed | Fresh>({ outcome: "fresh", credential })
    }
    yield* Ref.set(trouble, undefined)
    yield* Effect.andThen(gained("adopted", credential), warn(credential))
    return Option.some<Renewed | Fresh>({ outcome: "adopted", credential })
  })

  const fresh = Effect.fnUntraced(function* (minValidity: Duration.Duration) {
    const meanwhile = yield* freshIn(yield* held, minValidity)
    if (Option.isSome(meanwhile)) return meanwhile.value
    const isGoodEnough = (found: Credential, now: number) => RefreshPolicy.isFresh(found, now, minValidity)
    const found = yield* stored(isGoodEnough)
    if (Option.isSome(found)) return found.value.credential
    return (yield* underLease(isGoodEnough)).credential
  })

  /** After trouble that passes (law 2), or where nothing can bring a next token: the present one, for as long as it is valid. */
  const orServing = Effect.fnUntraced(function* (failure: TokenError, minValidity: Duration.Duration) {
    if (!Trouble.passes(failure) && failure.reason !== "NotRenewable") return yield* failure
    // A store that is down says nothing of the token that is remembered.
    const seen = yield* revision
    const found = yield* Effect.catch(get, () => held)
    if (Option.isNone(found)) return yield* failure
    const millis = yield* nowFor(found.value)
    if (!RefreshPolicy.isServing(found.value, millis, minValidity)) return yield* failure
    // A sibling's, perhaps: a chain asks whose the token is that it was lent.
    yield* remember(found.value, seen)
    // While it serves there is no hurry: the provider is left alone for a moment.
    const { expiresAt } = found.value.token
    const left = expiresAt === undefined ? 0 : DateTime.toEpochMillis(expiresAt) - millis
    const now = yield* moment
    const until = later(now, Math.min(Trouble.pauseWhileServing, left))
    yield* Ref.update(trouble, (last) =>
      last?.failure !== failure || isBefore(now, last.until) ? last : { ...last, until }
    )
    return found.value
  })

  const isNotDue = (found: Credential, now: number) => !RefreshPolicy.isDue(found, now)
  const renewIfDue = alone(
    Effect.gen(function* () {
      const known = yield* held
      if (Option.isSome(known) && isNotDue(known.value, yield* nowFor(known.value))) {
        yield* warn(known.value)
        return { outcome: "fresh", credential: known.value } as const
      }
      const found = yield* stored(isNotDue)
      return Option.isSome(found) ? found.value : yield* underLease(isNotDue)
    })
  )

  let isWarming = false
  /** Past the soft point: one renewal in the background, and a longer rest after each one that failed. */
  const warm = Effect.fnUntraced(function* () {
    if (isWarming) return
    const last = yield* Ref.get(trouble)
    if (last !== undefined && isBefore(yield* moment, last.softUntil)) return
    const renewal = Effect.ensuring(
      Effect.ignoreCause(renewIfDue),
      Effect.sync(() => {
        isWarming = false
      })
    )
    // Nobody is interrupted between the two: it would be said for good that a renewal is under way.
    yield* Effect.uninterruptible(
      Effect.suspend(() => {
        isWarming = true
        return Effect.forkIn(renewal, scope)
      })
    )
  })

  const given = Effect.fnUntraced(function* (credential: Credential) {
    if (RefreshPolicy.isDue(credential, yield* nowFor(credential))) yield* warm()
    return credential.token
  })

  const waitedFor = (minValidity: Duration.Duration) =>
    alone(fresh(minValidity)).pipe(
      Effect.catch((failure) => orServing(failure, minValidity)),
      Effect.flatMap(given)
    )

  // The path of nearly every call, in as few steps as possible.
  const tokenValidFor = (minValidity: Duration.Duration): Effect.Effect<AccessToken, TokenError> =>
    Effect.flatMap(held, (known) =>
      Option.isNone(known)
        ? waitedFor(minValidity)
        : Effect.flatMap(nowFor(known.value), (now) => {
            if (!RefreshPolicy.isFresh(known.value, now, minValidity)) return waitedFor(minValidity)
            const { token } = known.value
            return RefreshPolicy.isDue(known.value, now) ? Effect.as(warm(), token) : Effect.succeed(token)
          })
    )

  const orStored = (known: Option.Option<Credential>) => (Option.isSome(known) ? Effect.succeed(known) : get)
  const current = Effect.flatMap(held, orStored)

  const canObtain = (flow: UnattendedFlow) =>
    Effect.flatMap(Effect.orElseSucceed(current, Option.none), (found) => NextCredential.canObtain(flow, found))

  /** The generation after the one that was seen, whoever gets there first. */
  const after = (seen: Option.Option<Credential>, insist: boolean) => {
    const generation = Option.match(seen, { onNone: () => 0, onSome: (credential) => credential.generation })
    const isAfter = (credential: Credential, now: number) =>
      credential.generation > generation &&
      !Option.exists(seen, (before) => isSameToken(before, credential)) &&
      RefreshPolicy.isFresh(credential, now)
    return alone(
      Effect.gen(function* () {
        const meanwhile = yield* held
        if (Option.isSome(meanwhile) && isAfter(meanwhile.value, yield* nowFor(meanwhile.value))) {
          return { outcome: "adopted", credential: meanwhile.value } as const
        }
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
    const seen = yield* current
    const isRefused = Option.isNone(seen) || Equal.equals(seen.value.token.value, refused.value)
    if (!isRefused) return yield* tokenValidFor(Duration.zero)
    return (yield* after(seen, false)).credential.token
  })

  return {
    key: flow.key,
    origin: flow.attended ? { _tag: "Person" } : { _tag: "Machine", canObtain: canObtain(flow) },
    current,
    token: tokenValidFor(Duration.zero),
    tokenValidFor,
    renew: renewNow,
    renewIfDue,
    renewedSince,
    events,
    observe
  }
})

/**
 * Whether both have one token, brought by one request. The text alone does not tell: another request may bring the same
 * again. Nor does the generation: a refresh may bring a refresh token and no token that can be used.
 */
const isSameToken = (one: Credential, other: Credential) =>
  other.refused !== true &&
  Equal.equals(one.token.value, other.token.value) &&
  Equal.equals(one.issuedAt, other.issuedAt)

/** A scope in the caller's. Closing it waits for a renewal that may not be cut off, but not for one that never ends. */
const closingInTime = Effect.gen(function* () {
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer((exit) =>
    Effect.flatMap(Effect.forkDetach(Scope.close(scope, exit), { startImmediately: true }), (closing) =>
      Effect.timeoutOption(Fiber.await(closing), longestClose)
    )
  )
  return scope
})

const longestClose = Duration.seconds(30)

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
