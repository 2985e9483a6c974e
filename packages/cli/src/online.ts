/**
 * Everything that talks to a provider. Loaded when a command first needs it: the HTTP stack and the flows take longer
 * to start than a token that is fresh takes to print.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as HttpTransport from "@keyfob/node/HttpTransport"
import type * as Stdio from "effect/Stdio"
import {
  type AccessToken,
  type AuthError,
  AuthorizationCode,
  type AuthorizationOptions,
  Auto,
  ClientCredentials,
  type ConfigurationInvalid,
  type Credential,
  type CredentialStore,
  DeviceCode,
  EndSession,
  type Flow,
  Introspection,
  Jwt,
  JwtBearer,
  Login,
  Logout,
  OAuthClient,
  type RedirectReceiver,
  TokenSource,
  Userinfo,
  type UserPrompt
} from "keyfob"
import * as assertion from "./assertion.ts"
import { budgetOf } from "./budget.ts"
import type { Globals } from "./globals.ts"
import { event } from "./output.ts"
import * as clientAuthentication from "./clientAuthentication.ts"
import { flowOptions, type Provider, serverOf } from "./provider.ts"

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

const clientOptions = (provider: Provider) =>
  Effect.map(clientAuthentication.of(provider), (proof) => ({ ...flowOptions(provider), ...proof }))

/** What a login asks for besides what is configured, and whether its person has a browser here. */
interface Asked extends AuthorizationOptions {
  readonly browserAtHand: Effect.Effect<boolean>
}

/** Who has signed in is not asked again: a token source has no use for a browser. */
const nobody: Asked = { browserAtHand: Effect.succeed(false) }

const flowOf = Effect.fnUntraced(function* (
  provider: Provider,
  { browserAtHand, ...asked }: Asked = nobody
): Effect.fn.Return<Flow<UserPrompt | RedirectReceiver>, ConfigurationInvalid> {
  const options = yield* clientOptions(provider)
  switch (provider.settings.flow ?? "auto") {
    case "auto":
      return Auto.make({ ...options, ...asked, browserAtHand })
    case "browser":
      return AuthorizationCode.make({ ...options, ...asked })
    case "device":
      return DeviceCode.make(options)
    case "client_credentials":
      return ClientCredentials.make({ ...options, budget: budgetOf(provider) })
    case "jwt_bearer":
      return JwtBearer.make({ ...options, assertion: assertion.of(provider) })
  }
})

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
  const redirectPort = provider.settings.redirectPort ?? 0
  const screen = Screen.make(globals, { browser, opens: opensBrowser, redirectPort })
  const flow = yield* flowOf(provider, { ...asked, browserAtHand: screen.browserAtHand })
  const waiting = event(globals, { event: "waiting", for: "login" })
  const told = globals.output === "json" ? { onWaiting: waiting } : {}
  return yield* Login.login(flow, { personAsked: true, ...told }).pipe(
    Effect.provide(Layer.merge(http(globals), screen.layer))
  )
})

/** Signs one credential of the provider's out, be it kept under the provider's present settings or older ones. */
export const logout = Effect.fnUntraced(function* (
  provider: Provider,
  credential: Credential,
  globals: Globals,
  options: { readonly revoke: boolean }
): Effect.fn.Return<Logout.LogoutResult, AuthError, CredentialStore> {
  const { clientId, issuer } = credential.key
  // Endpoints, and what the client proves itself with, are for the server that is configured now.
  const isCurrent = issuer === provider.settings.issuer
  const server = isCurrent ? serverOf(provider.settings) : { issuer }
  const proof = isCurrent ? yield* Effect.orElseSucceed(clientAuthentication.of(provider), () => ({})) : {}
  const flow = { ...DeviceCode.make({ ...server, clientId, ...proof }), key: credential.key }
  return yield* Logout.logout(flow, options).pipe(Effect.provide(http(globals)))
})

/** The page where a person ends their session at the provider itself. Without a hint of who they are: a screen shows it. */
export const endSessionUrl = Effect.fnUntraced(function* (
  provider: Provider,
  globals: Globals
): Effect.fn.Return<string, AuthError> {
  const { clientId } = provider.settings
  return yield* OAuthClient.make({ ...serverOf(provider.settings), clientId }).pipe(
    Effect.flatMap((client) => EndSession.url(client)),
    Effect.map(Redacted.value),
    Effect.provide(http(globals))
  )
})

/** Uses the provider's token source. */
export const withTokens = Effect.fnUntraced(function* <A>(
  provider: Provider,
  globals: Globals,
  use: (source: TokenSource.TokenSource) => Effect.Effect<A, TokenSource.TokenError>
): Effect.fn.Return<A, AuthError, CredentialStore> {
  const flow = yield* flowOf(provider)
  return yield* TokenSource.make(flow).pipe(Effect.flatMap(use), Effect.scoped, Effect.provide(http(globals)))
})

/** Asks the provider who the token is about. */
export const userinfo = Effect.fnUntraced(function* (
  provider: Provider,
  globals: Globals,
  token: AccessToken,
  subject: string | undefined
): Effect.fn.Return<Userinfo.Userinfo, AuthError> {
  const options = yield* clientOptions(provider)
  return yield* OAuthClient.make(options).pipe(
    Effect.flatMap((client) => Userinfo.request(client, token, subject)),
    Effect.provide(http(globals))
  )
})

/** Asks the provider about the token, as the client it was given to. */
export const introspect = Effect.fnUntraced(function* (
  provider: Provider,
  globals: Globals,
  token: AccessToken
): Effect.fn.Return<Introspection.Introspection, AuthError> {
  const options = yield* clientOptions(provider)
  return yield* OAuthClient.make(options).pipe(
    Effect.flatMap((client) => Introspection.introspect(client, token.value, "access_token")),
    Effect.provide(http(globals))
  )
})

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
