/**
 * A provider at work: what it can do, as small records of capabilities. One that it does not have is absent, from its type
 * and from every list. Whatever kind it is, what it has of somebody is a `Credential` in a `CredentialStore`.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as HttpClient from "effect/http/HttpClient"
import { ConfigurationInvalid, LoginRequired, type StoreFailed } from "../AuthError.ts"
import { Credential, type CredentialKey } from "../Credential.ts"
import type { Flow } from "../flow/Flow.ts"
import type { RedirectReceiver } from "../flow/RedirectReceiver.ts"
import type { UserPrompt } from "../flow/UserPrompt.ts"
import type { AuthorizationOptions } from "../protocol/AuthorizationRequest.ts"
import { firstSuccess } from "../protocol/FirstSuccess.ts"
import type { ClientOptions } from "../protocol/OAuthClient.ts"
import * as Login from "../session/Login.ts"
import * as Logout from "../session/Logout.ts"
import * as RefreshPolicy from "../session/RefreshPolicy.ts"
import { keep } from "../session/SignIn.ts"
import * as Terms from "../session/Terms.ts"
import * as TokenSource from "../session/TokenSource.ts"
import { CredentialStore } from "../store/CredentialStore.ts"
import { type AccessToken, noHeaderLine } from "../Token.ts"
import * as ProviderCredential from "./ProviderCredential.ts"

/** What one login asks for besides what is configured. */
export interface LoginRequest extends AuthorizationOptions, Login.LoginOptions {
  /** Whether the person has a browser that reaches this program: not over SSH, not in a container. Default: they have. */
  readonly browserAtHand?: Effect.Effect<boolean>
}

/** How a login reaches the person it asks. */
export type Person = UserPrompt | RedirectReceiver

/** Signing in and out. */
export interface LoginCapability {
  /** Signs in now, whatever is there already. */
  readonly login: (request?: LoginRequest) => Effect.Effect<Credential, Login.LoginError, Person>
  /**
   * Has the provider take the tokens back, where it can, and forgets them.
   *
   * @param options.key the credential to forget, where earlier settings left another than the present one
   */
  readonly logout: (options?: {
    readonly revoke?: boolean
    readonly key?: CredentialKey
  }) => Effect.Effect<Logout.LogoutResult, StoreFailed>
}

/** What a request needs to carry, by the headers' names. */
export interface HeadersCapability {
  readonly headers: Effect.Effect<Readonly<Record<string, Redacted.Redacted>>, TokenSource.TokenError>
}

/** A token of the provider's. */
export interface TokenCapability {
  /** A valid token, renewed first where that is needed and can be done. Never asks a person. */
  readonly token: (minValidity?: Duration.Duration) => Effect.Effect<AccessToken, TokenSource.TokenError>
}

/** Renewing without a person. */
export interface RefreshCapability {
  /** Renews what is past its soft point; with `force` whatever is there. */
  readonly refresh: (options?: {
    readonly force?: boolean
  }) => Effect.Effect<TokenSource.Renewed | TokenSource.Fresh, TokenSource.TokenError>
}

/** Further tokens, each had for the one before. */
export interface ChainCapability {
  /** The source of a level's tokens, by the system's name for it; `target` says whose, where there are many. */
  readonly chain: (level: string, target?: string) => Effect.Effect<TokenSource.TokenSource, ConfigurationInvalid>
}

/** What every provider has. */
export interface Kept {
  /** What its credential is kept under. */
  readonly key: CredentialKey
  /** What is kept, and how it stands now; talks to nobody. None where there is nothing at all. */
  readonly credential: Effect.Effect<Option.Option<ProviderCredential.ProviderCredential>, StoreFailed>
}

/** A provider that signs in, and whose token is used. */
export type SignedInProvider = Kept & LoginCapability & HeadersCapability & TokenCapability

/** A provider of an authorization server. */
export interface OAuthProvider extends Kept, LoginCapability, HeadersCapability, TokenCapability, RefreshCapability {
  /** All that can be had of its token: for `AuthorizedHttpClient`, and to derive further tokens from it. */
  readonly source: Effect.Effect<TokenSource.TokenSource, ConfigurationInvalid>
  readonly client: ClientOptions
}

/** A provider of any kind. */
export type AuthProvider = Kept &
  Partial<
    LoginCapability &
      HeadersCapability &
      TokenCapability &
      RefreshCapability &
      ChainCapability &
      Pick<OAuthProvider, "source" | "client">
  >

/**
 * The provider that a flow makes: sign-in by the flow, renewal and revocation by its authorization server.
 *
 * @param flowFor the flow for a login; without a request, for everything else
 */
export const fromFlow = Effect.fnUntraced(function* (
  flowFor: (request?: LoginRequest) => Flow<Person>,
  model: ProviderCredential.Model = ProviderCredential.oauth
): Effect.fn.Return<OAuthProvider, ConfigurationInvalid, HttpClient.HttpClient | CredentialStore | Scope.Scope> {
  const flow = flowFor()
  const services = yield* Effect.context<HttpClient.HttpClient | CredentialStore | Scope.Scope>()
  // Made when it is first needed, since a logout can do without a client secret. A failure is not kept: a key file that is
  // missing now may be there at the next call.
  const source = yield* firstSuccess(Effect.provideContext(TokenSource.make(flow), services))
  const token = (minValidity = Duration.zero) =>
    Effect.flatMap(source, ({ tokenValidFor }) => tokenValidFor(minValidity))
  return {
    ...(yield* kept(flow, model)),
    login: (request) => Effect.provideContext(Login.login(flowFor(request), request), services),
    logout: ({ key = flow.key, revoke = true } = {}) => {
      const { clientId, issuer } = key
      // A credential of earlier settings may be another server's, which must not get this one's endpoints or secrets.
      const client = issuer === flow.key.issuer ? { ...flow.client, clientId } : { issuer, clientId }
      return Effect.provideContext(Logout.logout({ ...flow, key, client }, { revoke }), services)
    },
    headers: Effect.flatMap(token(), headersOf),
    token,
    refresh: ({ force = false } = {}) =>
      Effect.flatMap(
        source,
        ({ renew, renewIfDue }): Effect.Effect<TokenSource.Renewed | TokenSource.Fresh, TokenSource.TokenError> =>
          force ? renew : renewIfDue
      ),
    source,
    client: flow.client
  }
})

/** What a login brings where there is no authorization server: a token as it is to be sent, and until when. */
export interface Issued {
  readonly token: AccessToken
}

/** How {@link simple} signs in, and what it puts on requests. */
export interface SimpleOptions<E extends Login.LoginError> extends Pick<Terms.Terms, "brought"> {
  readonly key: CredentialKey
  /** Brings what is kept from now on. */
  readonly login: (request?: LoginRequest) => Effect.Effect<Issued, E, Person>
  /** Default: `Authorization`, with the token's type and value. */
  readonly headers?: (token: AccessToken) => Readonly<Record<string, Redacted.Redacted>>
  readonly model: ProviderCredential.Model
}

/** A provider whose credential is kept until it ends. Nothing renews it, and nobody can revoke it. */
export const simple = Effect.fnUntraced(function* <E extends Login.LoginError>(
  options: SimpleOptions<E>
): Effect.fn.Return<SignedInProvider, never, CredentialStore> {
  const { headers, key, login, model } = options
  const { get, modify } = yield* CredentialStore
  const token = Effect.fnUntraced(function* (minValidity?: Duration.Duration) {
    const stored = yield* Terms.under(options)(get(key))
    const fail = (reason: LoginRequired["reason"]) =>
      new LoginRequired({ reason, issuer: key.issuer, account: key.account })
    if (Option.isNone(stored)) return yield* fail("NoCredential")
    const now = yield* Clock.currentTimeMillis
    return RefreshPolicy.isServing(stored.value, now, minValidity) ? stored.value.token : yield* fail("NotRenewable")
  })
  return {
    ...(yield* kept(options, model)),
    login: Effect.fnUntraced(function* (request) {
      const issuedAt = yield* DateTime.now
      const issued = yield* login(request)
      const marks = { signedInAt: yield* DateTime.now, ...(yield* Terms.marksOf(options)) }
      const signedIn = Credential.make({ key, generation: 1, ...issued, issuedAt, ...marks })
      return yield* Effect.uninterruptible(modify(key, (slot) => keep(slot, signedIn)))
    }),
    logout: (options) =>
      modify(options?.key ?? key, ({ read, remove }) =>
        Effect.flatMap(read, (found) => {
          const gone = { removed: Option.isSome(found), revoked: false }
          return gone.removed ? Effect.as(remove, gone) : Effect.succeed(gone)
        })
      ),
    headers: headers === undefined ? Effect.flatMap(token(), headersOf) : Effect.map(token(), headers),
    token
  }
})

const kept = Effect.fnUntraced(function* (
  terms: Terms.Terms & { readonly key: CredentialKey },
  model: ProviderCredential.Model
) {
  const { key } = terms
  const { get } = yield* CredentialStore
  const stored = Terms.under(terms)(get(key))
  const credential: Kept["credential"] = Effect.zipWith(stored, Clock.currentTimeMillis, (stored, now) =>
    Option.map(stored, (found) => model(found, now))
  )
  return { key, credential }
})

const headersOf = (token: AccessToken) =>
  token.dpopKey === undefined
    ? Effect.succeed({ Authorization: token.authorization })
    : Effect.fail(new ConfigurationInvalid({ reason: "NotSupported", detail: noHeaderLine }))
