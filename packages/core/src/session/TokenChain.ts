/**
 * Derived tokens: each is had in exchange for its parent's token. A chain is made of sources, each with the margins, the
 * single flight and the background renewal of any source. A layer names its parent, so a chain without one does not compile.
 *
 *     class Network extends TokenSource.Service<Network>()("app/Network") {}
 *     class Discovery extends TokenChain.Service<Discovery>()("app/Discovery") {}
 *     const DiscoveryLive = Discovery.layer(Network, { name: "discovery", exchange: (network) => … })
 *
 * A derived token belongs to the parent's session. When the parent renews its token, nothing changes below it; when the
 * parent is signed out, or signed in as somebody else, what was derived is dropped. If an exchange fails because the parent's
 * token is refused, it is tried once more with a new one.
 */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as HttpClient from "effect/http/HttpClient"
import { type ConfigurationInvalid, LoginRequired } from "../AuthError.ts"
import { type Credential, CredentialKey } from "../Credential.ts"
import type { Assigned, UnattendedFlow } from "../flow/Flow.ts"
import type { Granted } from "../protocol/TokenEndpoint.ts"
import { CredentialStore, type Slot } from "../store/CredentialStore.ts"
import { AccessToken } from "../Token.ts"
import { type Fresh, make as makeSource, type Renewed, type TokenError, type TokenSource } from "./TokenSource.ts"

/** One step of a chain. `R` is what its exchange needs: taken from the context when the layer is made. */
export interface Link<R = never> {
  /** What the step is called where the chain is shown: `discovery`. */
  readonly name: string
  /** A token for a token of the parent's, by whatever request the system has for that (RFC 8693 is one). */
  readonly exchange: (parent: AccessToken) => Effect.Effect<Granted, TokenError, R>
  /** How long before its end a token is renewed at the latest, as {@link UnattendedFlow} has it. */
  readonly margin?: UnattendedFlow["margin"]
  /** Whether the system ends these tokens with the parent's session, whatever they say of themselves. Default: false. */
  readonly endsWithParent?: boolean
}

/** A link as it is made: for one of many targets (`TokenTargets`), or without any. */
interface Step extends Link {
  readonly target?: string
}

/** What a link's tokens are kept under. */
export const keyOf = (parent: TokenSource, { name, target }: Pick<Step, "name" | "target">): CredentialKey => {
  const at = target === undefined ? [name] : [name, target]
  return CredentialKey.make({ ...parent.key, links: [...(parent.key.links ?? []), ...at] })
}

/** A source of tokens that are derived from the parent's. They are kept in the store of the context. */
export const make = Effect.fnUntraced(function* (
  parent: TokenSource,
  link: Step
): Effect.fn.Return<TokenSource, ConfigurationInvalid, HttpClient.HttpClient | CredentialStore | Scope.Scope> {
  const { issuer, clientId, account } = parent.key
  const key = keyOf(parent, link)
  const unsettled = new LoginRequired({ reason: "NoCredential", issuer, account })

  /** The parent's credential that has the token just asked for, so that it is known whose that is. */
  const lent = Effect.fnUntraced(function* (ask: Effect.Effect<AccessToken, TokenError>) {
    for (let round = 0; round < rounds; round++) {
      const token = yield* round === 0 ? ask : parent.token
      const current = yield* parent.current
      if (Option.isSome(current) && Equal.equals(current.value.token.value, token.value)) return current.value
    }
    return yield* unsettled
  })

  const obtain = Effect.gen(function* () {
    const first = yield* lent(parent.token)
    const exchanged = yield* link.exchange(first.token).pipe(
      Effect.map((granted) => assigned(granted, first, link)),
      Effect.catchIf(isAboutParent, () =>
        Effect.flatMap(lent(parent.renewedSince(first.token)), (next) =>
          Effect.map(link.exchange(next.token), (granted) => assigned(granted, next, link))
        )
      )
    )
    return exchanged
  })

  const flow: UnattendedFlow = {
    attended: false,
    key,
    client: { issuer, clientId },
    margin: link.margin,
    obtain: () => obtain
  }
  const store = yield* CredentialStore

  const isStale = (mine: Option.Option<Credential>, theirs: Option.Option<Credential>) =>
    Option.isSome(mine) && !isSameSession(mine.value, theirs)
  const dropStaleIn = (slot: Slot) =>
    Effect.flatMap(Effect.zip(slot.read, parent.current), ([mine, theirs]) =>
      isStale(mine, theirs) ? slot.remove : Effect.void
    )
  // What is not stale is written once more, unchanged: another process may have put it there, and a source of this process
  // that still remembers the stale one looks at the store again only after a write of this process.
  const dropStale = store.modify(key, (slot) =>
    Effect.flatMap(
      Effect.andThen(dropStaleIn(slot), slot.read),
      Option.match({ onNone: () => slot.remove, onSome: slot.write })
    )
  )
  // Also after every exchange, under its lease: whoever asked for it may be gone by then, and their session too.
  const swept = CredentialStore.of({
    ...store,
    modify: (key, use) => store.modify(key, (slot) => Effect.tap(use(slot), () => Effect.ignore(dropStaleIn(slot))))
  })
  const source = yield* Effect.provideService(makeSource(flow), CredentialStore, swept)
  const stale = Effect.zipWith(source.current, parent.current, isStale)
  const current = Effect.zipWith(source.current, parent.current, (mine, theirs) =>
    isStale(mine, theirs) ? Option.none() : mine
  )

  /** Asks until the answer is of the parent's present session: what was begun in one session is not handed out in another. */
  const inSession = <A>(
    ask: Effect.Effect<A, TokenError>,
    tokenOf: (answer: A) => AccessToken
  ): Effect.Effect<A, TokenError> =>
    Effect.gen(function* () {
      for (let round = 0; round < rounds; round++) {
        if (yield* stale) yield* dropStale
        const answer = yield* ask
        const now = yield* current
        const token = tokenOf(answer)
        const isInSession = Option.isSome(now) && Equal.equals(now.value.token.value, token.value)
        // To look may take as long as the token lives, with a slow store or on a machine that sleeps.
        if (isInSession && !(yield* token.isExpired())) return answer
      }
      return yield* unsettled
    })
  const tokenInSession = (ask: Effect.Effect<AccessToken, TokenError>) => inSession(ask, identity)
  const tokenOfRenewal = ({ credential }: Renewed | Fresh) => credential.token

  return {
    ...source,
    origin: {
      _tag: "Link",
      parent,
      name: link.name,
      ...(link.target === undefined ? {} : { target: link.target })
    },
    current,
    token: tokenInSession(source.token),
    tokenValidFor: (minValidity) => tokenInSession(source.tokenValidFor(minValidity)),
    renew: inSession(source.renew, tokenOfRenewal),
    renewIfDue: inSession(source.renewIfDue, tokenOfRenewal),
    renewedSince: (refused) => tokenInSession(source.renewedSince(refused))
  }
})

/** How often to ask anew when the parent's session changes meanwhile. */
const rounds = 5

/** Whether an exchange failed because the parent's token was refused. */
const isAboutParent = (failure: TokenError) =>
  failure._tag === "ProviderRefused" && (failure.reason === "InvalidToken" || failure.reason === "InvalidGrant")

/** Whether a derived token is of the parent's present session. A machine has but one, and so has whoever brings one token again. */
const isSameSession = (mine: Credential, theirs: Option.Option<Credential>) => {
  if (mine.key.subject === "client") return true
  if (Option.isNone(theirs) || theirs.value.refused === true) return false
  const { account, begunWith, signedInAt } = theirs.value
  if (mine.account?.sub !== account?.sub || mine.begunWith !== begunWith) return false
  return begunWith !== undefined || Equal.equals(mine.signedInAt, signedInAt)
}

/** What an exchange brought, with what says whose session it belongs to. */
const assigned = (granted: Granted, parent: Credential, link: Link): Assigned => {
  const { account, begunWith, signedInAt } = parent
  const end = link.endsWithParent === true ? sessionEnd(parent) : undefined
  const { expiresAt } = granted.token
  const isShorter = end !== undefined && (expiresAt === undefined || DateTime.isGreaterThan(expiresAt, end))
  return {
    token: isShorter ? AccessToken.make({ ...granted.token, expiresAt: end }) : granted.token,
    issuedAt: granted.issuedAt,
    ...(granted.refreshAt === undefined ? {} : { refreshAt: granted.refreshAt }),
    ...(account === undefined ? {} : { account }),
    ...(begunWith === undefined ? {} : { begunWith }),
    ...(signedInAt === undefined ? {} : { signedInAt })
  }
}

/** When the parent's session ends, as far as known: with its refresh token or, where it has none, with its token. */
const sessionEnd = ({ key, refreshExpiresAt, refreshToken, token }: Credential) => {
  if (refreshToken !== undefined) return refreshExpiresAt
  return key.subject === "client" ? undefined : token.expiresAt
}

/** A class for a source in a chain: `class Discovery extends TokenChain.Service<Discovery>()("app/Discovery") {}`. */
export interface ServiceClass<Self, Key extends string> extends Context.ServiceClass<Self, Key, TokenSource> {
  /** The source of the tokens a link has for the parent's. They are kept in memory, for as long as the layer lives. */
  readonly layer: <E, RParent, R>(
    parent: Effect.Effect<TokenSource, E, RParent>,
    link: Link<R>
  ) => Layer.Layer<Self, E | ConfigurationInvalid, Exclude<RParent | R, Scope.Scope> | HttpClient.HttpClient>
  /** The same, kept in a store: found again by the next process. */
  readonly layerStored: <E, RParent, R>(
    parent: Effect.Effect<TokenSource, E, RParent>,
    link: Link<R>
  ) => Layer.Layer<
    Self,
    E | ConfigurationInvalid,
    Exclude<RParent | R, Scope.Scope> | HttpClient.HttpClient | CredentialStore
  >
}

export const Service =
  <Self>() =>
  <const Key extends string>(key: Key): ServiceClass<Self, Key> =>
    class extends Context.Service<Self, TokenSource>()(key) {
      static readonly layerStored = <E, RParent, R>(parent: Effect.Effect<TokenSource, E, RParent>, link: Link<R>) =>
        Layer.effect(
          this,
          Effect.gen(function* () {
            const context = yield* Effect.context<R>()
            const exchange: Link["exchange"] = (token) => Effect.provideContext(link.exchange(token), context)
            return yield* make(yield* parent, { ...link, exchange })
          })
        )
      static readonly layer = <E, RParent, R>(parent: Effect.Effect<TokenSource, E, RParent>, link: Link<R>) =>
        this.layerStored(parent, link).pipe(Layer.provide(CredentialStore.layerMemory))
    }
