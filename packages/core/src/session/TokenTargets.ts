/**
 * The last link of a chain, where each target has a token of its own: a domain, a tenant, an API.
 *
 *     class Domains extends TokenTargets.Service<Domains, string>()("app/Domains") {}
 *     const DomainsLive = Domains.layer(Discovery, { name: "domain", exchange: (discovery, id) => … })
 *
 * One target's trouble is its own. An exchange says which target its token is for, and it is filed there or nowhere.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type * as HttpClient from "effect/http/HttpClient"
import { AnswerRejected } from "../AuthError.ts"
import { hostOf } from "../protocol/HttpExchange.ts"
import type { Granted } from "../protocol/TokenEndpoint.ts"
import { CredentialStore } from "../store/CredentialStore.ts"
import type { AccessToken } from "../Token.ts"
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
  /** How many targets are remembered; those that were not asked for the longest are forgotten. Default: 64. */
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
  /** Everything that can be had of one target's token: for `AuthorizedHttpClient`, and for further links. */
  readonly source: (target: Target) => TokenSource
  readonly token: (target: Target) => Effect.Effect<AccessToken, TokenError>
  /** Several at once, in their order: what fails for one is its own result. */
  readonly tokens: (targets: ReadonlyArray<Target>) => Effect.Effect<ReadonlyArray<Each<Target>>>
  /** The sources of the targets that are remembered, the longest unused first. */
  readonly known: Effect.Effect<ReadonlyArray<TokenSource>>
  /** Forgets a target's token. */
  readonly forget: (target: Target) => Effect.Effect<void>
  /** What happens to the tokens of all targets. Slow readers miss the oldest. */
  readonly events: Stream.Stream<TokenEvent>
}

interface Entry {
  readonly source: TokenSource
  readonly scope: Scope.Closeable
  users: number
}

/** The tokens of a link's targets, kept in the store of the context. */
export const make = Effect.fnUntraced(function* <Target extends string>(
  parent: TokenSource,
  link: TargetLink<Target>
): Effect.fn.Return<TokenTargets<Target>, never, HttpClient.HttpClient | CredentialStore | Scope.Scope> {
  const { capacity = 64, concurrency = 4 } = link
  const services = yield* Effect.context<HttpClient.HttpClient | CredentialStore>()
  const store = yield* CredentialStore
  const whole = yield* Effect.scope
  const told = observable()
  const turns = Semaphore.makeUnsafe(concurrency)
  const entries = new Map<Target, Entry>() // in the order of their last use
  const keyOf = (target: Target) => keyOfLink(parent, { ...link, target })

  const exchangeFor = (target: Target) =>
    Effect.fnUntraced(function* (token: AccessToken) {
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
      // The parent has been made from the same issuer: it is a usable one.
      const source = yield* Effect.orDie(makeLink(parent, { ...link, target, exchange: exchangeFor(target) }))
      yield* source.observe((event) => told.observers.forEach((observer) => observer(event)))
      return { source, scope, users: 0 }
    }).pipe(Effect.provideContext(services), Scope.provide(scope))
  })

  // One after the other, since it is quick: two callers for one target share its entry.
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

  const forget = Effect.fnUntraced(function* (target: Target) {
    const entry = entries.get(target)
    entries.delete(target)
    yield* Effect.ignore(store.modify(keyOf(target), ({ remove }) => remove))
    if (entry !== undefined) yield* Effect.forkDetach(Scope.close(entry.scope, Exit.void))
  })

  /** Nothing that is in use goes: an exchange is not cut off because others are asked for. */
  const evict = Effect.suspend(() => {
    const idle = Array.from(entries).filter(([, { users }]) => users === 0)
    return Effect.forEach(idle.slice(0, Math.max(0, entries.size - capacity)), ([target]) => forget(target), {
      discard: true
    })
  })

  const using = <A, E>(target: Target, use: (source: TokenSource) => Effect.Effect<A, E>) =>
    Effect.acquireUseRelease(
      entryOf(target),
      ({ source }) => use(source),
      (entry) => {
        entry.users--
        return evict
      }
    )

  const sourceOf = (target: Target): TokenSource => {
    const key = keyOf(target)
    const isOurs = (event: TokenEvent) => Equal.equals(event.key, key)
    return {
      key,
      origin: { _tag: "Link", parent, name: link.name, target },
      current: using(target, ({ current }) => current),
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
    known: Effect.sync(() => Array.from(entries.keys(), sourceOf)),
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
      ) =>
        Layer.effect(
          this,
          Effect.gen(function* () {
            const context = yield* Effect.context<R>()
            const exchange: TargetLink<Target>["exchange"] = (token, target) =>
              Effect.provideContext(link.exchange(token, target), context)
            return yield* make(yield* parent, { ...link, exchange })
          })
        )
      static readonly layer = <E, RParent, R>(
        parent: Effect.Effect<TokenSource, E, RParent>,
        link: TargetLink<Target, R>
      ) => this.layerStored(parent, link).pipe(Layer.provide(CredentialStore.layerMemory))
    }
