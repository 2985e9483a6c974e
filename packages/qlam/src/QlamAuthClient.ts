import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import {
  type AccessToken,
  AuthClient,
  type AuthProvider,
  Basic,
  type ConfigurationInvalid,
  type CredentialStore,
  Jwt,
  type Login,
  printable,
  ProviderRegistry,
  type ProvidersOfContext,
  Static,
  type TokenSource
} from "keyfob"
import * as Qlam from "./Qlam.ts"
import * as QshFile from "./QshFile.ts"

/** The access token says nobody's user id: a machine's does not, or the deployment has another claim for it. */
export class UserIdMissing extends Schema.TaggedError<UserIdMissing>("@keyfob/qlam/UserIdMissing")("UserIdMissing", {
  context: Schema.String,
  provider: Schema.String
}) {
  override get message(): string {
    return `the access token of provider ${printable(this.provider)} in context ${printable(this.context)} has no user id`
  }
}

export interface UserInfo {
  readonly userId: string
}

export interface AuthRefreshOptions<E> {
  /** The provider whose token the request carries. Default: the one that the context has for `plugin`, else its only one. */
  readonly provider?: string
  /** The part of the program that makes the request. */
  readonly plugin?: string
  /** Whether a failure is about the token. Default: a 401, told by `HttpClientError` or a member `status`. */
  readonly isRefused?: (error: E) => boolean
  /** Whether a 403 counts as well: where a gateway answers so to a token that has ended. Default: false. */
  readonly forbidden?: boolean
}

/** What qlam-core's `AuthClient` and Bloqade's wrapper do: the providers of a context, and what QLAM has beside them. */
export interface QlamProviders extends ProvidersOfContext {
  readonly apiBaseUrl: Option.Option<string>
  readonly qpu: Option.Option<string>
  readonly qpuMode: Option.Option<string>
  /** The group of a plugin's request: the task's own, else the plugin's, else the context's default, else none. */
  readonly groupFor: (plugin: string, own?: string) => Option.Option<string>
  /** Signs in to those that nobody is signed in to, and asks nobody else. */
  readonly authenticate: Effect.Effect<void, Login.LoginError, AuthProvider.Person>
  /** Who the provider's access token is about, by its claim `user_id` or one that ends so. */
  readonly userInfo: (name: string) => Effect.Effect<UserInfo, UserIdMissing | TokenSource.TokenError>
  /**
   * Runs a request to the API; if it is refused for its token, renews that provider's, where that needs no person, and runs
   * it once more if another came of it. All who were refused with one token share its renewal.
   */
  readonly withAuthRefresh: <A, E, R>(
    request: Effect.Effect<A, E, R>,
    options?: AuthRefreshOptions<E>
  ) => Effect.Effect<A, E | ConfigurationInvalid, R>
}

/** A context of `~/.qsh/config.json`, ready for use. */
export class QlamAuthClient extends Context.Service<QlamAuthClient, QlamProviders>()("@keyfob/qlam/QlamAuthClient") {
  /** @param options.context instead of the file's current one */
  static readonly layer = (
    options: { readonly context?: string } = {}
  ): Layer.Layer<
    QlamAuthClient,
    ConfigurationInvalid,
    FileSystem.FileSystem | Path.Path | HttpClient.HttpClient | CredentialStore
  > =>
    Layer.unwrap(
      Effect.gen(function* () {
        const context = yield* QshFile.contextOf(yield* QshFile.read, options.context)
        return Layer.effect(QlamAuthClient, make(context)).pipe(
          Layer.provide(AuthClient.layer(QshFile.clientOptions(context))),
          Layer.provide(ProviderRegistry.layer(Qlam.type, Basic.type, Static.type))
        )
      })
    )
}

const make = Effect.fnUntraced(function* ({
  auth_providers = [],
  defaults,
  name: context,
  plugins,
  qpu
}: QshFile.QshContext) {
  const auth = yield* AuthClient
  const names = auth_providers.map(({ name }) => name)

  const missing = (provider: string) => new UserIdMissing({ context, provider })
  const userInfo = Effect.fn("keyfob.qlam.userInfo")(function* (name: string) {
    const { value } = yield* auth.token(name)
    const { claims } = yield* Effect.mapError(Jwt.decode(Redacted.value(value)), () => missing(name))
    const found = Object.entries(claims).find(([claim, id]) => /(^|\/)user_id$/.test(claim) && Predicate.isString(id))
    return found === undefined ? yield* missing(name) : { userId: String(found[1]) }
  })

  const withAuthRefresh = Effect.fnUntraced(function* <A, E, R>(
    request: Effect.Effect<A, E, R>,
    options: AuthRefreshOptions<E> = {}
  ) {
    const { forbidden = false, isRefused = isRefusedBy(forbidden), plugin = "withAuthRefresh", provider } = options
    const { source } = yield* provider === undefined ? auth.providerFor(plugin) : auth.provider(provider)
    const tokens = source === undefined ? undefined : yield* source
    const before = tokens === undefined ? Option.none() : yield* Effect.orElseSucceed(tokens.current, Option.none)
    const first = yield* Effect.result(request)
    if (Result.isSuccess(first)) return first.success
    const isHelped =
      tokens !== undefined && Option.isSome(before) && isRefused(first.failure)
        ? yield* isRenewed(tokens, before.value.token)
        : false
    return isHelped ? yield* request : yield* Effect.fail(first.failure)
  })

  return QlamAuthClient.of({
    ...auth,
    apiBaseUrl: Option.fromNullishOr(defaults?.api_base_url),
    qpu: Option.fromNullishOr(qpu),
    qpuMode: Option.fromNullishOr(defaults?.qpu_mode),
    groupFor: (plugin, own) => Option.fromNullishOr(own ?? plugins?.[plugin]?.group ?? defaults?.group),
    authenticate: Effect.forEach(
      names,
      (name) =>
        Effect.flatMap(auth.isAuthenticated(name), (is) => (is ? Effect.void : Effect.asVoid(auth.login(name)))),
      { discard: true }
    ),
    userInfo,
    withAuthRefresh
  })
})

/** Whether another token came after the one that was refused. */
const isRenewed = ({ renewedSince }: TokenSource.TokenSource, refused: AccessToken) =>
  Effect.match(renewedSince(refused), {
    onFailure: () => false,
    onSuccess: ({ value }) => Redacted.value(value) !== Redacted.value(refused.value)
  })

const isRefusedBy = (forbidden: boolean) => (error: unknown) => {
  const status = HttpClientError.isHttpClientError(error)
    ? error.response?.status
    : Predicate.hasProperty(error, "status")
      ? error.status
      : undefined
  return status === 401 || (forbidden && status === 403)
}
