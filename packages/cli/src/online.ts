/**
 * Everything that a configured provider is set to work for. Loaded when a command first needs it: the HTTP stack and the
 * flows take longer to start than a token that is fresh takes to print.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Stdio from "effect/Stdio"
import {
  type AccessToken,
  type AuthError,
  type AuthorizationOptions,
  type AuthProvider,
  ConfigurationInvalid,
  type Credential,
  CredentialStore,
  EndSession,
  Explain,
  Introspection,
  Jwt,
  LoginRequired,
  type Logout,
  OAuthClient,
  printable,
  type TokenSource,
  Userinfo
} from "keyfob"
import { AwsRole } from "@keyfob/aws"
import { Arnica, type JobError, type JobState, type JobUnavailable } from "@keyfob/aqt"
import { Failure } from "./failure.ts"
import type { Globals } from "./globals.ts"
import type { Level } from "./level.ts"
import { http } from "./network.ts"
import { event } from "./output.ts"
import { notSupported, type Provider } from "./provider.ts"
import { registry } from "./registry.ts"

export { Jwt }

/** Runs `use` with the provider at work, for as long as that takes. */
const working = <A, E, R>(
  provider: Provider,
  globals: Globals,
  use: (auth: AuthProvider.AuthProvider) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const type = yield* registry.get(provider.type)
    // Its table was read before, as far as types.ts knows it.
    const { make } = yield* Effect.orDie(type.configure(Redacted.value(provider.table), provider))
    return yield* Effect.flatMap(make, use)
  }).pipe(Effect.scoped, Effect.provide(http(globals)))

/** The same for what needs no client authentication: where the secret or key for that is not at hand, it is done without. */
const workingAnyhow: typeof working = (provider, globals, use) => {
  const { client_auth: _, ...table } = Redacted.value(provider.table)
  const bare = { ...provider, table: Redacted.make({ ...table, client_auth: "none" }) }
  return Effect.flatMap(
    Effect.result(working(provider, globals, () => Effect.void)),
    Result.match({
      onFailure: () => working(provider.type === "oauth" ? bare : provider, globals, use),
      onSuccess: () => working(provider, globals, use)
    })
  )
}

/** A session that has ended asks for a login: that the password or token it began with is not given any more is no mistake. */
const orLogin = <A, E, R>(provider: Provider, effect: Effect.Effect<A, E | AuthError, R>) =>
  Effect.catchIf(effect, isMissing, (error) =>
    Effect.gen(function* () {
      const { account, issuer, subject } = provider.key
      if (provider.attended || subject === "client") return yield* error
      const over = yield* CredentialStore.use(({ get }) => get(provider.key))
      if (Option.isNone(over)) return yield* error
      const reason = over.value.refused === true ? "RefreshRefused" : "NotRenewable"
      return yield* new LoginRequired({ reason, issuer, account })
    })
  )

const isMissing = (error: unknown): error is ConfigurationInvalid =>
  error instanceof ConfigurationInvalid && error.reason === "MissingValue"

/** What the provider can do, if it can. */
const able = <C extends keyof AuthProvider.AuthProvider>(
  { name }: Provider,
  auth: AuthProvider.AuthProvider,
  capability: C
): Effect.Effect<NonNullable<AuthProvider.AuthProvider[C]>, ConfigurationInvalid> => {
  const has = auth[capability]
  return has === undefined
    ? Effect.fail(notSupported(`provider ${printable(name)} has no ${named[capability] ?? capability}`))
    : Effect.succeed(has)
}

/** What a person would call the capabilities that a provider of type `basic` or `static` lacks. */
const named: { readonly [C in keyof AuthProvider.AuthProvider]?: string } = {
  client: "authorization server to ask",
  refresh: "way to renew its token",
  source: "token that is renewed or derived"
}

/** What the command line asks of one login. */
export interface LoginRequest extends AuthorizationOptions {
  readonly browser: string | undefined
  readonly opensBrowser: boolean
}

/** Signs in now, whatever is there already. */
export const login = Effect.fnUntraced(function* (
  provider: Provider,
  globals: Globals,
  { browser, opensBrowser, ...asked }: LoginRequest
): Effect.fn.Return<Credential, AuthError, CredentialStore | Stdio.Stdio> {
  const Screen = yield* Effect.promise(() => import("./screen.ts"))
  const screen = Screen.make(globals, { browser, opens: opensBrowser, redirectPort: provider.redirectPort ?? 0 })
  const waiting = event(globals, { event: "waiting", for: "login" })
  const told = globals.output === "json" ? { onWaiting: waiting } : {}
  const request = { ...asked, ...told, personAsked: true, browserAtHand: screen.browserAtHand }
  return yield* working(provider, globals, (auth) =>
    Effect.flatMap(able(provider, auth, "login"), (login) => login(request))
  ).pipe(Effect.provide(screen.layer))
})

/** Signs in now through whatever reaches the person: who brings the screen asked for it. */
export const loginThrough = (
  provider: Provider,
  globals: Globals,
  hasBrowser: boolean
): Effect.Effect<Credential, AuthError, CredentialStore | AuthProvider.Person> =>
  working(provider, globals, (auth) =>
    Effect.flatMap(able(provider, auth, "login"), (login) =>
      login({ personAsked: true, browserAtHand: Effect.succeed(hasBrowser) })
    )
  )

/** Signs one credential of the provider's out, be it kept under the provider's present settings or older ones. */
export const logout = (
  provider: Provider,
  { key }: Credential,
  globals: Globals,
  { revoke }: { readonly revoke: boolean }
): Effect.Effect<Logout.LogoutResult, AuthError, CredentialStore> =>
  workingAnyhow(provider, globals, (auth) =>
    Effect.flatMap(able(provider, auth, "logout"), (logout) => logout({ key, revoke }))
  )

/**
 * The page where a person ends their session at the provider itself. Without a hint of who they are: a screen shows it.
 * Their browser goes there, so that nothing is taken by which the client proves itself, and none of it need be there.
 */
export const endSessionUrl = (provider: Provider, globals: Globals): Effect.Effect<string, AuthError> =>
  workingAnyhow(provider, globals, (auth) =>
    Effect.gen(function* () {
      const { authentication: _, certificate: __, ...client } = yield* able(provider, auth, "client")
      return Redacted.value(yield* EndSession.url(yield* OAuthClient.make(client)))
    })
  ).pipe(Effect.provide(CredentialStore.layerMemory))

/** A valid token of the provider's. */
export const token = (
  provider: Provider,
  globals: Globals,
  minValidity: Duration.Duration
): Effect.Effect<AccessToken, AuthError, CredentialStore> =>
  working(provider, globals, (auth) =>
    orLogin(
      provider,
      Effect.flatMap(able(provider, auth, "token"), (token) => token(minValidity))
    )
  )

/** A valid token that is had for the provider's. */
export const derived = (
  provider: Provider,
  globals: Globals,
  at: Level,
  minValidity: Duration.Duration
): Effect.Effect<AccessToken, AuthError | Failure, CredentialStore> =>
  working(provider, globals, (auth) =>
    orLogin(
      provider,
      Effect.flatMap(sourceAt(provider, auth, at), ({ tokenValidFor }) => tokenValidFor(minValidity))
    )
  )

const sourceAt = (
  { name }: Provider,
  { chain }: AuthProvider.AuthProvider,
  { level, target }: Level
): Effect.Effect<TokenSource.TokenSource, ConfigurationInvalid | Failure> => {
  if (chain !== undefined) return chain(level, target)
  const [what, flag] = target === undefined ? ["levels", "--level"] : ["domains", "--domain"]
  const sentence = `provider ${printable(name)} has no ${what}`
  return Effect.fail(new Failure({ error: notSupported(sentence), sentence, remedy: `Leave out ${flag}` }))
}

/** Credentials of a role at AWS that are had for the provider's token. */
export const awsCredentials = (
  provider: Provider,
  globals: Globals,
  role: AwsRole.Role
): Effect.Effect<AwsRole.Credentials, AuthError, CredentialStore> =>
  working(provider, globals, (auth) =>
    orLogin(
      provider,
      Effect.gen(function* () {
        const source = yield* able(provider, auth, "source")
        const { tokenValidFor } = yield* AwsRole.make(yield* source, role)
        return yield* AwsRole.credentials(yield* tokenValidFor(Duration.zero))
      })
    )
  )

/** How a job at Arnica stands, or has ended. */
export const job = (
  provider: Provider,
  globals: Globals,
  id: string,
  { wait }: { readonly wait: boolean }
): Effect.Effect<Result.Result<JobState, JobUnavailable>, AuthError, CredentialStore> =>
  working(provider, globals, (auth) =>
    Effect.gen(function* () {
      const source = yield* able(provider, auth, "source")
      const arnica = Arnica.layer(source, { arnicaUrl: provider.extra?.["arnica_url"] ?? "" })
      return yield* Arnica.use(({ fetchJobState, waitForFinalState }): Effect.Effect<JobState, JobError> =>
        wait ? waitForFinalState(id) : fetchJobState(id)
      ).pipe(
        Effect.map(Result.succeed),
        Effect.catchTag("JobUnavailable", (error) => Effect.succeed(Result.fail(error))),
        Effect.provide(arnica)
      )
    })
  )

/** What asking for these tokens would do, or for the provider's own. Talks to nobody. */
export const plan = (
  provider: Provider,
  globals: Globals,
  levels: ReadonlyArray<Level>
): Effect.Effect<Explain.Plan, AuthError | Failure, CredentialStore> =>
  workingAnyhow(provider, globals, (auth) =>
    (levels.length === 0
      ? Effect.map(Effect.flatten(able(provider, auth, "source")), (source) => [source])
      : Effect.forEach(levels, (at) => sourceAt(provider, auth, at))
    ).pipe(Effect.flatMap(Explain.plan))
  )

/** What a request to the provider's API carries. */
export const headers = (
  provider: Provider,
  globals: Globals
): Effect.Effect<Readonly<Record<string, Redacted.Redacted>>, AuthError, CredentialStore> =>
  working(provider, globals, (auth) => Effect.flatten(able(provider, auth, "headers")))

/** Uses the way the provider renews. */
export const renewing = <A, E, R>(
  provider: Provider,
  globals: Globals,
  use: (refresh: AuthProvider.RefreshCapability["refresh"]) => Effect.Effect<A, E, R>
) => working(provider, globals, (auth) => orLogin(provider, Effect.flatMap(able(provider, auth, "refresh"), use)))

/** The next token of a level, if the one that is there is what somebody did not take. */
export const replace = (
  provider: Provider,
  globals: Globals,
  at: Level,
  isRefused: (token: AccessToken) => boolean
): Effect.Effect<void, AuthError | Failure, CredentialStore> =>
  working(provider, globals, (auth) =>
    Effect.flatMap(sourceAt(provider, auth, at), ({ renewedSince, token }) =>
      Effect.flatMap(token, (found) => (isRefused(found) ? Effect.asVoid(renewedSince(found)) : Effect.void))
    )
  )

/** Asks the provider who the token is about. */
export const userinfo = (
  provider: Provider,
  globals: Globals,
  token: AccessToken,
  subject: string | undefined
): Effect.Effect<Userinfo.Userinfo, AuthError> =>
  asClient(provider, globals, (client) => Userinfo.request(client, token, subject))

/** Asks the provider about the token, as the client it was given to. */
export const introspect = (
  provider: Provider,
  globals: Globals,
  token: AccessToken
): Effect.Effect<Introspection.Introspection, AuthError> =>
  asClient(provider, globals, (client) => Introspection.introspect(client, token))

/** Asks the provider's authorization server. Nothing is kept of that. */
const asClient = <A>(
  provider: Provider,
  globals: Globals,
  ask: (client: OAuthClient.OAuthClient) => Effect.Effect<A, AuthError>
): Effect.Effect<A, AuthError> =>
  working(provider, globals, (auth) =>
    able(provider, auth, "client").pipe(Effect.flatMap(OAuthClient.make), Effect.flatMap(ask))
  ).pipe(Effect.provide(CredentialStore.layerMemory))
