/**
 * A link of a chain with a token for each target: a domain, a tenant, an API.
 *
 *     class Domains extends TokenTargets.Service<Domains, string>()("app/Domains") {}
 *     const DomainsLive = Domains.layer(Discovery, { name: "domain", exchange: (discovery, id) => … })
 *
 * A failure for one target leaves the others alone. An exchange says which target its token is for: if that is not the one
 * that was asked for, it fails.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type * as HttpClient from "effect/http/HttpClient"
import { AnswerRejected, type StoreFailed } from "../AuthError.ts"
import type { Credential, CredentialKey } from "../Credential.ts"
import { hostOf } from "../protocol/HttpExchange.ts"
import type { Granted } from "../protocol/TokenEndpoint.ts"
import { CredentialStore } from "../store/CredentialStore.ts"
import type { AccessToken } from "../Token.ts"
import * as RefreshPolicy from "./RefreshPolicy.ts"
import { keyOf as keyOfLink, type Link, make as makeLink } from "./TokenChain.ts"
import { observable } from "./TokenEvent.ts"
import type { TokenError, TokenEvent, TokenSource } from "./TokenSource.ts"

/** What an exchange for a target brings: the target is what the answer says, not what was asked. */
export interface GrantedFor<Target> extends Granted {
  readonly target: Target
}

/** A link with a token for each target. */
export interface TargetLink<Target, R = never> extends Omit<Link<R>, "exchange"> {
  readonly exchange: (parent: AccessToken, target: Target) => Effect.Effect<GrantedFor<Target>, TokenError, R>
  /**
   * How many targets are kept in memory; of more, those that have not been asked for the longest are dropped. In a store their
   * tokens stay until they have ended, and not much longer. Default: 64.
   */
  readonly capacity?: number
  /** How many exchanges run at once. Default: 4. */
  readonly concurrency?: number
}

/** How it went for one of several targets. */
export interface Each<Target> {
  readonly target: Target
  readonly result: Result.Result<AccessToken, TokenError>
}

export interface TokenTargets<Target> {
  /** The source of one target's token: for `AuthorizedHttpClient`, and for further links. */
  readonly source: (target: Target) => TokenSource
  readonly token: (target: Target) => Effect.Effect<AccessToken, TokenError>
  /** Several at once, in their order: what fails for one is its own result. */
  readonly tokens: (targets: ReadonlyArray<Target>) => Effect.Effect<ReadonlyArray<Each<Target>>>
  /** Forgets a target's token, in the store as well. */
  readonly forget: (target: Target) => Effect.Effect<void, StoreFailed>
  /** What happens to the tokens of all targets. Slow readers miss the oldest. */
  readonly events: Stream.Stream<TokenEvent>
}

interface Entry {
  readonly source: TokenSource
  readonly scope: Scope.Closeable
  users: number
}

const longestClearing = Duration.seconds(5)

type Needed = HttpClient.HttpClient | CredentialStore | Scope.Scope

/** The tokens of a link's targets, kept in the store of the context, where others may find them too. */
export const make = <Target extends string>(
  parent: TokenSource,
  link: TargetLink<Target>
): Effect.Effect<TokenTargets<Target>, never, Needed> => makeIn(parent, link, true)

const makeIn = Effect.fnUntraced(function* <Target extends string>(
  parent: TokenSource,
  link: TargetLink<Target>,
  isShared: boolean
): Effect.fn.Return<TokenTargets<Target>, never, Needed> {
  const { capacity = 64, concurrency = 4 } = link
  const services = yield* Effect.context<HttpClient.HttpClient | CredentialStore>()
  const store = yield* CredentialStore
  const whole = yield* Effect.scope
  const told = observable()
  const turns = Semaphore.makeUnsafe(concurrency)
  const entries = new Map<Target, Entry>() // in the order of their last use
  const keyOf = (target: Target) => keyOfLink(parent, { ...link, target })

  const isOurs = (key: CredentialKey) => {
    const target = key.links?.at(-1)
    return target !== undefined && keyOfLink(parent, { ...link, target }).canonical === key.canonical
  }
  /** Removes tokens of any target that have ended, whichever process kept them: they might never be asked for again. */
  const clear = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const isOver = (kept: Credential) => !RefreshPolicy.isServing(kept, now)
    for (const kept of yield* store.list) {
      if (!isOver(kept) || !isOurs(kept.key)) continue
      yield* store.modify(kept.key, ({ read, remove }) =>
        Effect.flatMap(read, (found) => (Option.exists(found, isOver) ? remove : Effect.void))
      )
    }
  }).pipe(
    Effect.ignore,
    // Uninterruptible, so that a process that ends after one exchange does its share; with a limit, since leases may be held.
    Effect.interruptible,
    Effect.timeoutOption(longestClearing),
    Effect.uninterruptible
  )

  let exchanges = 0
  const exchangeFor = (target: Target) =>
    Effect.fnUntraced(function* (token: AccessToken) {
      // In a fiber of its own: this runs under a lease, and to wait for a second one could be a deadlock.
      if (exchanges++ % capacity === 0) yield* Effect.forkIn(clear, whole, { startImmediately: true })
      const { target: granted, ...rest } = yield* turns.withPermit(link.exchange(token, target))
      if (granted === target) return rest
      return yield* new AnswerRejected({
        reason: "SubjectMismatch",
        endpoint: "token",
        host: hostOf(parent.key.issuer),
        detail: `it is not for the ${link.name} that was asked for`
      })
    })

  const open = Effect.fnUntraced(function* (target: Target) {
    const scope = yield* Scope.fork(whole)
    return yield* Effect.gen(function* () {
      // It can fail for a bad issuer alone, and the parent has been made with the same one.
      const source = yield* Effect.orDie(makeLink(parent, { ...link, target, exchange: exchangeFor(target) }))
      yield* source.observe(told.tell)
      return { source, scope, users: 0 }
    }).pipe(Scope.provide(scope), Effect.provideContext(services)) // services have a scope too, and that is not it
  })

  // One at a time, so that two callers for one target share its entry. Opening is quick.
  const opening = Semaphore.makeUnsafe(1)
  const entryOf = (target: Target) =>
    opening.withPermit(
      Effect.gen(function* () {
        const entry = entries.get(target) ?? (yield* open(target))
        entries.delete(target)
        entries.set(target, entry)
        entry.users++
        return entry
      })
    )

  /** Closes the entry's source, unless it is in use or still remembered. */
  const closeUnused = (target: Target, entry: Entry) =>
    entry.users > 0 || entries.get(target) === entry
      ? Effect.void
      : Effect.asVoid(Effect.forkDetach(Scope.close(entry.scope, Exit.void)))
  const drop = (target: Target) =>
    Effect.suspend(() => {
      const entry = entries.get(target)
      entries.delete(target)
      return entry === undefined ? Effect.void : closeUnused(target, entry)
    })
  const forget = (target: Target) =>
    Effect.andThen(
      drop(target),
      store.modify(keyOf(target), ({ remove }) => remove)
    )

  /** Drops what is over the capacity, but nothing in use: an exchange is not cut off because other targets are asked for. */
  const evict = Effect.suspend(() => {
    const idle = Array.from(entries).filter(([, { users }]) => users === 0)
    const evicted = idle.slice(0, Math.max(0, entries.size - capacity))
    return Effect.forEach(evicted, ([target]) => (isShared ? drop(target) : Effect.ignore(forget(target))), {
      discard: true
    })
  })

  const using = <A, E>(target: Target, use: (source: TokenSource) => Effect.Effect<A, E>) =>
    Effect.acquireUseRelease(
      entryOf(target),
      ({ source }) => use(source),
      (entry) => {
        entry.users--
        return Effect.andThen(closeUnused(target, entry), evict)
      }
    )

  /** What is known of a target. One that is not remembered is opened for this look alone, so that it takes no other's place. */
  const lookedAt = (target: Target) =>
    Effect.suspend(() =>
      entries.has(target)
        ? using(target, ({ current }) => current)
        : Effect.acquireUseRelease(
            open(target),
            ({ source }) => source.current,
            ({ scope }) => Scope.close(scope, Exit.void)
          )
    )

  const sourceOf = (target: Target): TokenSource => {
    const key = keyOf(target)
    const isOurs = (event: TokenEvent) => Equal.equals(event.key, key)
    return {
      key,
      origin: { _tag: "Link", parent, name: link.name, target },
      current: lookedAt(target),
      token: using(target, ({ token }) => token),
      tokenValidFor: (minValidity) => using(target, ({ tokenValidFor }) => tokenValidFor(minValidity)),
      renew: using(target, ({ renew }) => renew),
      renewIfDue: using(target, ({ renewIfDue }) => renewIfDue),
      renewedSince: (refused) => using(target, ({ renewedSince }) => renewedSince(refused)),
      events: Stream.filter(told.events, isOurs),
      observe: (observer) => told.observe((event) => (isOurs(event) ? observer(event) : undefined))
    }
  }

  return {
    source: sourceOf,
    token: (target) => sourceOf(target).token,
    tokens: (targets) =>
      Effect.forEach(
        targets,
        (target) => Effect.map(Effect.result(sourceOf(target).token), (result) => ({ target, result })),
        { concurrency: "unbounded" }
      ),
    forget,
    events: told.events
  }
})

/** A class for the targets of a chain: `class Domains extends TokenTargets.Service<Domains, string>()("app/Domains") {}`. */
export interface ServiceClass<Self, Key extends string, Target extends string> extends Context.ServiceClass<
  Self,
  Key,
  TokenTargets<Target>
> {
  /** The targets' tokens, had for the parent's and kept in memory for as long as the layer lives. */
  readonly layer: <E, RParent, R>(
    parent: Effect.Effect<TokenSource, E, RParent>,
    link: TargetLink<Target, R>
  ) => Layer.Layer<Self, E, Exclude<RParent | R, Scope.Scope> | HttpClient.HttpClient>
  /** The same, kept in a store: found again by the next process. */
  readonly layerStored: <E, RParent, R>(
    parent: Effect.Effect<TokenSource, E, RParent>,
    link: TargetLink<Target, R>
  ) => Layer.Layer<Self, E, Exclude<RParent | R, Scope.Scope> | HttpClient.HttpClient | CredentialStore>
}

export const Service =
  <Self, Target extends string = string>() =>
  <const Key extends string>(key: Key): ServiceClass<Self, Key, Target> =>
    class extends Context.Service<Self, TokenTargets<Target>>()(key) {
      static readonly layerStored = <E, RParent, R>(
        parent: Effect.Effect<TokenSource, E, RParent>,
        link: TargetLink<Target, R>
      ) => Layer.effect(this, provided(parent, link, true))
      static readonly layer = <E, RParent, R>(
        parent: Effect.Effect<TokenSource, E, RParent>,
        link: TargetLink<Target, R>
      ) => Layer.effect(this, provided(parent, link, false)).pipe(Layer.provide(CredentialStore.layerMemory))
    }

/** The targets, with what their exchange needs taken from the context now. */
const provided = Effect.fnUntraced(function* <Target extends string, E, RParent, R>(
  parent: Effect.Effect<TokenSource, E, RParent>,
  link: TargetLink<Target, R>,
  isShared: boolean
) {
  const context = yield* Effect.context<R>()
  const exchange: TargetLink<Target>["exchange"] = (token, target) =>
    Effect.provideContext(link.exchange(token, target), context)
  return yield* makeIn(yield* parent, { ...link, exchange }, isShared)
})
