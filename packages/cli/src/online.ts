/**
 * Everything that talks to a provider. Loaded when a command first needs it: the HTTP stack and the flows take longer
 * to start than a token that is fresh takes to print.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as HttpTransport from "@keyfob/node/HttpTransport"
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
  HttpExchange,
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
import { event } from "./output.ts"
import { notSupported, type Provider } from "./provider.ts"
import { registry } from "./registry.ts"

export { Jwt }

/** What is asked of whom, for `--log-level debug`: no query, no header, no body, since those hold secrets. */
const logged = (client: HttpClient.HttpClient): HttpClient.HttpClient =>
  HttpClient.transform(client, (exchange, { method, url }) =>
    Effect.flatMap(Clock.currentTimeMillis, (began) =>
      // Also when it is given up: that is what is looked for.
      Effect.onExit(exchange, (exit) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const place = URL.parse(url)
          const outcome = Exit.isSuccess(exit) ? exit.value.status : "no answer"
          return Effect.logDebug(`${method} ${place?.host}${place?.pathname}: ${outcome}, ${now - began} ms`)
        })
      )
    )
  )

/** The system's network, unless there is a client already: a test's. */
const http = ({ caFile }: Globals) =>
  Layer.unwrap(
    Effect.map(
      Effect.serviceOption(HttpClient.HttpClient),
      Option.match({
        onNone: () => HttpTransport.layer({ caFile }),
        onSome: (client) => Layer.succeed(HttpClient.HttpClient, client)
      })
    )
  ).pipe((client) =>
    Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, logged)).pipe(Layer.provideMerge(client))
  )

/** Sets the provider to work. */
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

/** For what can be done without a client secret that is not at hand. */
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

/** A session that is over takes a person: that what it began with is not at hand any more is no mistake in a setting. */
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

/** What a person would call it that a name and a password, or a token, do not have. */
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

/** Verifies a JWT with the issuer's keys. */
export const verify = Effect.fnUntraced(function* (
  jwt: Redacted.Redacted,
  expected: { readonly server: OAuthClient.ServerOptions; readonly audience: string },
  globals: Globals
): Effect.fn.Return<Jwt.Claims, AuthError> {
  return yield* Effect.gen(function* () {
    // Metadata and keys are public: the client's id is never sent.
    const client = yield* OAuthClient.make({ ...expected.server, clientId: expected.audience })
    const { issuer } = yield* client.metadata
    return yield* Jwt.verify(jwt, { jwks: yield* client.jwks, issuer, audience: expected.audience })
  }).pipe(Effect.provide(http(globals)))
})

/** Whether somebody answers at an address, whatever it is, and what time it is there. */
export const reach = Effect.fnUntraced(function* (
  url: string,
  globals: Globals
): Effect.fn.Return<DateTime.Utc | undefined, AuthError> {
  return yield* Effect.gen(function* () {
    const http = yield* HttpClient.HttpClient
    const answer = yield* HttpExchange.send(http, "discovery", HttpClientRequest.get(url), "once")
    return Option.getOrUndefined(DateTime.make(answer.headers["date"] ?? ""))
  }).pipe(
    Effect.catchTag("AnswerRejected", () => Effect.succeed(undefined)),
    Effect.provide(http(globals))
  )
})

/** What a provider's metadata request shows: the issuer as it states it, and what time it is there. */
export const inspect = Effect.fnUntraced(function* (
  server: OAuthClient.ServerOptions,
  globals: Globals
): Effect.fn.Return<{ readonly issuer: string; readonly date: DateTime.Utc | undefined }, AuthError> {
  return yield* Effect.gen(function* () {
    let date: DateTime.Utc | undefined
    const client = HttpClient.tap(yield* HttpClient.HttpClient, ({ headers }) =>
      Effect.sync(() => {
        date = Option.getOrUndefined(DateTime.make(headers["date"] ?? ""))
      })
    )
    const { metadata } = yield* OAuthClient.make({ ...server, clientId: "" }).pipe(
      Effect.provideService(HttpClient.HttpClient, client)
    )
    return { issuer: (yield* metadata).issuer, date }
  }).pipe(Effect.provide(http(globals)))
})
