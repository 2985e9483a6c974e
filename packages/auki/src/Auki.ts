import * as Array from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as HttpClient from "effect/http/HttpClient"
import {
  AnswerRejected,
  type ConfigurationInvalid,
  CredentialStore,
  Explain,
  HttpExchange,
  type Login,
  Logout,
  SavedSession,
  type StoreFailed,
  TokenChain,
  TokenSource,
  TokenTargets
} from "keyfob"
import * as Api from "./Api.ts"
import * as AukiState from "./AukiState.ts"
import { type Domain, domainOf } from "./DomainAccess.ts"
import * as DomainList from "./DomainList.ts"
import * as Network from "./Network.ts"
import { serviceAt, type Settings, termsOf } from "./Settings.ts"

/** How access to one of several domains went. */
export interface EachDomain {
  readonly id: string
  readonly result: Result.Result<Domain, TokenSource.TokenError>
}

/** Network, discovery and domains, each had for the one before it. */
export interface Shape {
  readonly network: TokenSource.TokenSource
  readonly discovery: TokenSource.TokenSource
  readonly domains: TokenTargets.TokenTargets<string>
  /** Access to a domain, from memory where that is still good; else whatever is needed is asked for. */
  readonly domain: (id: string) => Effect.Effect<Domain, TokenSource.TokenError>
  /** Access to several, with a result for each. */
  readonly domainsOf: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<EachDomain>>
  /** The domains that may be entered, page by page as they are read. */
  readonly accessible: Stream.Stream<DomainList.ListedDomain, TokenSource.TokenError>
  /**
   * Signs in anew, with the settings' own credentials or others of the same account. Nothing is left of the session before.
   * Somebody else has settings of their own, and so a chain of their own: nothing of theirs is kept under this account.
   */
  readonly login: (credentials?: Partial<Settings>) => Effect.Effect<void, Login.LoginError>
  /** Forgets all three levels, and what the settings sign in with, unless that is an app's: then `login` alone goes on here. */
  readonly logout: Effect.Effect<void, StoreFailed>
  /** What happens at every level. Slow readers miss the oldest. */
  readonly events: Stream.Stream<TokenSource.TokenEvent>
  /** What asking for these domains, or for the discovery token, would do now. */
  readonly plan: (ids?: ReadonlyArray<string>) => Effect.Effect<Explain.Plan, StoreFailed>
  /** The session as text, with its secrets in clear, for a host that keeps it. An app's secret is not in it. */
  readonly save: Effect.Effect<string, StoreFailed>
  /** Takes up a session that was saved, by this library or by its predecessor, for these services, client and account. */
  readonly restore: (state: string) => Effect.Effect<void, ConfigurationInvalid | StoreFailed>
}

/** The chain of these settings, its tokens kept in the store of the context; an app's own secret never is. */
export const make = (
  settings: Settings,
  account = "default"
): Effect.Effect<Shape, ConfigurationInvalid, HttpClient.HttpClient | CredentialStore | Scope.Scope> =>
  Effect.provide(chain(settings, account), Network.storeOf(settings, account))

const chain = Effect.fnUntraced(function* (
  settings: Settings,
  account: string
): Effect.fn.Return<Shape, ConfigurationInvalid, HttpClient.HttpClient | CredentialStore | Scope.Scope> {
  const { flow, login } = yield* Network.session(settings, account)
  const ddsUrl = yield* serviceAt("dds_url", settings.dds_url)
  const services = yield* Effect.context<HttpClient.HttpClient | CredentialStore>()
  const http = yield* HttpClient.HttpClient
  const owner: SavedSession.Owner = {
    key: flow.key,
    ...Network.accountOf(settings),
    get brought() {
      return flow.brought
    }
  }
  const network = yield* TokenSource.make(flow)
  const { discovery, domains } = yield* linksOf(settings, network)

  const domain = Effect.fnUntraced(function* (id: string): Effect.fn.Return<Domain, TokenSource.TokenError> {
    const found = domainOf(yield* domains.token(id))
    if (Option.isSome(found)) return found.value
    // Only a store that somebody else has written to.
    const host = HttpExchange.hostOf(ddsUrl)
    return yield* new AnswerRejected({ reason: "Malformed", endpoint: "token", host, detail: "no domain with it" })
  })

  const here = <A, E>(effect: Effect.Effect<A, E, HttpClient.HttpClient | CredentialStore>) =>
    Effect.provideContext(effect, services)

  return {
    network,
    discovery,
    domains,
    domain,
    domainsOf: (ids) =>
      Effect.forEach(ids, (id) => Effect.map(Effect.result(domain(id)), (result) => ({ id, result })), {
        concurrency: "unbounded"
      }),
    accessible: DomainList.list(http, ddsUrl, discovery),
    login: (credentials) => here(Effect.andThen(login(credentials), Logout.forgetDerived(flow.key))),
    // These services take no token back.
    logout: here(Effect.asVoid(Logout.logout(flow, { revoke: false }))),
    events: Stream.mergeAll([network.events, discovery.events, domains.events], { concurrency: "unbounded" }),
    plan: (ids = []) => Explain.plan(ids.length === 0 ? [discovery] : Array.map(ids, domains.source)),
    save: here(SavedSession.save(owner)),
    restore: (state) => here(AukiState.restore(state, owner))
  }
})

/** What is had for the network's token. */
export const linksOf = Effect.fnUntraced(function* (
  settings: Settings,
  network: TokenSource.TokenSource
): Effect.fn.Return<
  Pick<Shape, "discovery" | "domains">,
  ConfigurationInvalid,
  HttpClient.HttpClient | CredentialStore | Scope.Scope
> {
  const apiUrl = yield* serviceAt("api_url", settings.api_url)
  const ddsUrl = yield* serviceAt("dds_url", settings.dds_url)
  const http = yield* HttpClient.HttpClient
  const { margin } = termsOf(settings)
  const discovery = yield* TokenChain.make(network, {
    name: "discovery",
    margin,
    exchange: (token) => Api.discovery(http, apiUrl, token)
  })
  const domains = yield* TokenTargets.make(discovery, {
    name: "domain",
    margin,
    exchange: (token, id) => Api.domain(http, { clientId: settings.client_id, ddsUrl, id }, token)
  })
  return { discovery, domains }
})

/** The three levels of Auki's network for one account. */
export class Auki extends Context.Service<Auki, Shape>()("keyfob/auki/Auki") {
  /** Tokens are kept in memory, for as long as the layer lives. */
  static readonly layer = (settings: Settings): Layer.Layer<Auki, ConfigurationInvalid, HttpClient.HttpClient> =>
    Auki.layerStored(settings).pipe(Layer.provide(Layer.fresh(CredentialStore.layerMemory)))

  /** Tokens are kept in a store: found again by the next process, shared with siblings. */
  static readonly layerStored = (
    settings: Settings,
    account?: string
  ): Layer.Layer<Auki, ConfigurationInvalid, HttpClient.HttpClient | CredentialStore> =>
    Layer.effect(Auki, make(settings, account))
}
