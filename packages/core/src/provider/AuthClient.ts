import * as Cache from "effect/Cache"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Result from "effect/Result"
import type * as HttpClient from "effect/http/HttpClient"
import { type AuthError, ConfigurationInvalid, printable, type StoreFailed } from "../AuthError.ts"
import type { Credential } from "../Credential.ts"
import type { LoginError } from "../session/Login.ts"
import type { LogoutResult } from "../session/Logout.ts"
import type { Fresh, Renewed, TokenError } from "../session/TokenSource.ts"
import type { CredentialStore } from "../store/CredentialStore.ts"
import type { AccessToken } from "../Token.ts"
import type { AuthProvider, LoginCapability, LoginRequest, Person, RefreshCapability } from "./AuthProvider.ts"
import type { CredentialStatus, ProviderCredential } from "./ProviderCredential.ts"
import { ProviderRegistry } from "./ProviderRegistry.ts"
import { type Configured, invalidOf } from "./ProviderType.ts"

/** A provider's settings: its type, and that type's own keys. */
export type ProviderTable = { readonly type: string } & Readonly<Record<string, unknown>>

/** A named set of named providers. */
export interface ProviderContext {
  readonly providers: Readonly<Record<string, ProviderTable>>
  /** Which provider a part of the program uses, by that part's name. */
  readonly plugins?: Readonly<Record<string, string>>
}

export interface AuthClientOptions {
  readonly contexts: Readonly<Record<string, ProviderContext>>
  /** The context that holds. Default: the only one there is. */
  readonly current?: string | undefined
}

/** How a provider stands, for a list. */
export interface Listed {
  readonly name: string
  readonly type: string
  readonly description: string
  /** `error`: it cannot be said, and `error` says why. */
  readonly status: CredentialStatus | "error"
  readonly extra: Readonly<Record<string, string>>
  readonly error?: AuthError
}

/** How it went for each provider, by its name. */
export type Each<A, E> = Readonly<Record<string, Result.Result<A, E>>>

/** The providers of a context: see {@link AuthClient}. */
export interface ProvidersOfContext {
  /** The context it works in. Another context's providers are others, whatever their names. */
  readonly context: string
  readonly provider: (name: string) => Effect.Effect<AuthProvider, ConfigurationInvalid>
  /** The provider that a part of the program uses: as the context says, else its only one. */
  readonly providerFor: (plugin: string) => Effect.Effect<AuthProvider, ConfigurationInvalid>
  readonly login: (name: string, request?: LoginRequest) => Effect.Effect<Credential, LoginError, Person>
  readonly loginAll: (request?: LoginRequest) => Effect.Effect<Each<Credential, LoginError>, never, Person>
  readonly logout: (name: string) => Effect.Effect<LogoutResult, ConfigurationInvalid | StoreFailed>
  readonly logoutAll: Effect.Effect<Each<LogoutResult, ConfigurationInvalid | StoreFailed>>
  /** Renews what is due, and with `force` whatever is there. Never asks a person. */
  readonly refresh: (name: string, options?: { readonly force?: boolean }) => Effect.Effect<Renewed | Fresh, TokenError>
  readonly refreshAll: (options?: { readonly force?: boolean }) => Effect.Effect<Each<Renewed | Fresh, TokenError>>
  readonly token: (name: string, minValidity?: Duration.Duration) => Effect.Effect<AccessToken, TokenError>
  readonly headers: (name: string) => Effect.Effect<Readonly<Record<string, Redacted.Redacted>>, TokenError>
  /** How all stand; talks to nobody. */
  readonly list: Effect.Effect<ReadonlyArray<Listed>>
  /** What is kept, and how it stands. None where there is nothing at all. */
  readonly credential: (
    name: string
  ) => Effect.Effect<Option.Option<ProviderCredential>, ConfigurationInvalid | StoreFailed>
  /** Whether there is a token without a person. That the provider is not configured, or not rightly, is no `false`. */
  readonly isAuthenticated: (name: string) => Effect.Effect<boolean, ConfigurationInvalid | StoreFailed>
  /** Whether there is one of any provider. */
  readonly isAnyAuthenticated: Effect.Effect<boolean>
}

/**
 * The providers of a context, by name. What is asked of one fails with what went wrong; what is asked of all goes on to the
 * next, and has a result for each. Providers that do not have a capability are left out where all are asked.
 */
export class AuthClient extends Context.Service<AuthClient, ProvidersOfContext>()("keyfob/AuthClient") {
  static readonly layer = (
    options: AuthClientOptions
  ): Layer.Layer<AuthClient, ConfigurationInvalid, ProviderRegistry | HttpClient.HttpClient | CredentialStore> =>
    Layer.effect(AuthClient, make(options))
}

const make = Effect.fnUntraced(function* ({ contexts, current }: AuthClientOptions) {
  const registry = yield* ProviderRegistry
  const [only, ...others] = Object.keys(contexts)
  const context = current ?? (others.length === 0 ? only : undefined)
  if (context === undefined) {
    return yield* new ConfigurationInvalid({
      reason: "MissingValue",
      detail: `say which context; there is ${list(Object.keys(contexts))}`
    })
  }
  const { plugins = {}, providers } = yield* member(contexts, context, "context")
  const names = Object.keys(providers)

  const configured = Effect.fnUntraced(function* (name: string): Effect.fn.Return<Configured, ConfigurationInvalid> {
    const table = yield* member(providers, name, "provider")
    const type = yield* registry.get(table.type)
    return yield* Effect.mapError(type.configure(table, { context, name }), (error) =>
      invalidOf(error, [context, name])
    )
  })

  // Made at the first use, and once: a provider's renewals and its memory are its own.
  const made = yield* Cache.makeWith((name: string) => Effect.flatMap(configured(name), ({ make }) => make), {
    capacity: Math.max(names.length, 1),
    timeToLive: (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero),
    requireServicesAt: "construction"
  })
  const provider = (name: string) => Cache.get(made, name)

  const able = Effect.fnUntraced(function* <const C extends keyof AuthProvider>(name: string, capability: C) {
    const has = (yield* provider(name))[capability]
    if (has !== undefined) return has as NonNullable<AuthProvider[C]> // what the check says, and narrowing does not
    const detail = `provider ${printable(name)} has no ${capability}`
    return yield* new ConfigurationInvalid({ reason: "NotSupported", detail })
  })

  /** One result each of those that have the capability, or cannot be made to say so. */
  const each = Effect.fnUntraced(function* <A, E, R>(
    capability: keyof AuthProvider,
    run: (name: string) => Effect.Effect<A, E, R>
  ) {
    const asked = yield* Effect.filter(names, (name) =>
      Effect.match(provider(name), { onFailure: () => true, onSuccess: (found) => found[capability] !== undefined })
    )
    const results = yield* Effect.forEach(asked, (name) =>
      Effect.map(Effect.result(run(name)), (one) => [name, one] as const)
    )
    return Object.fromEntries(results)
  })

  const login = (name: string, request?: LoginRequest) =>
    Effect.flatMap(able(name, "login"), (login: LoginCapability["login"]) => login(request))
  const logout = (name: string) => Effect.flatMap(able(name, "logout"), (logout: LoginCapability["logout"]) => logout())
  const refresh = (name: string, options?: { readonly force?: boolean }) =>
    Effect.flatMap(able(name, "refresh"), (refresh: RefreshCapability["refresh"]) => refresh(options))
  const credential = (name: string) => Effect.flatMap(provider(name), (found) => found.credential)
  const isAuthenticated = (name: string) =>
    Effect.map(
      credential(name),
      Option.exists(({ status }) => status !== "login_required")
    )

  const listed = Effect.fnUntraced(function* (name: string) {
    const type = providers[name]?.type ?? ""
    const description = Effect.match(registry.get(type), {
      onFailure: () => "",
      onSuccess: (found) => found.description
    })
    const head = { name, type, description: yield* description }
    return yield* Effect.match(Effect.all([configured(name), credential(name)]), {
      onFailure: (error): Listed => ({ ...head, status: "error", extra: {}, error }),
      onSuccess: ([{ extra = {} }, found]): Listed => ({
        ...head,
        status: Option.match(found, { onNone: () => "login_required", onSome: ({ status }) => status }),
        extra
      })
    })
  })

  return AuthClient.of({
    context,
    provider,
    providerFor: Effect.fnUntraced(function* (plugin) {
      const chosen =
        (Object.hasOwn(plugins, plugin) ? plugins[plugin] : undefined) ?? (names.length === 1 ? names[0] : undefined)
      if (chosen !== undefined) return yield* provider(chosen)
      const detail = `the provider of ${printable(plugin)} in context ${printable(context)}; there is ${list(names)}`
      return yield* new ConfigurationInvalid({ reason: "MissingValue", detail })
    }),
    login,
    loginAll: (request) => each("login", (name) => login(name, request)),
    logout,
    logoutAll: each("logout", logout),
    refresh,
    refreshAll: (options) => each("refresh", (name) => refresh(name, options)),
    token: (name, minValidity) => Effect.flatMap(able(name, "token"), (token) => token(minValidity)),
    headers: (name) => Effect.flatten(able(name, "headers")),
    list: Effect.forEach(names, listed),
    credential,
    isAuthenticated,
    isAnyAuthenticated: Effect.map(
      Effect.forEach(names, (name) => Effect.orElseSucceed(isAuthenticated(name), () => false)),
      (all) => all.includes(true)
    )
  })
})

const member = <A>(record: Readonly<Record<string, A>>, name: string, what: string) => {
  const found = Object.hasOwn(record, name) ? record[name] : undefined
  if (found !== undefined) return Effect.succeed(found)
  const detail = `${what} ${printable(name)}; there is ${list(Object.keys(record))}`
  return Effect.fail(new ConfigurationInvalid({ reason: "UnknownName", detail }))
}

const list = (names: ReadonlyArray<string>) => (names.length === 0 ? "none" : names.map(printable).join(", "))
