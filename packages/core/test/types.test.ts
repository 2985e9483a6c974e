/**
 * What the public signatures say, held by the compiler (`npm run typecheck`): an error or a requirement that grows by
 * accident breaks callers, and no test at run time sees it.
 */
import { Effect, Layer } from "effect"
import type { Config, Exit, Redacted, Scope, Stream } from "effect"
import type { HttpClient, HttpClientError } from "effect/http"
import {
  type AuthClient,
  AuthorizationCode,
  AuthorizedHttpClient,
  AuthProvider,
  Auto,
  BrowserCredentialStore,
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  DeviceCode,
  JwtBearer,
  KeepWarm,
  Login,
  Logout,
  OAuth,
  OAuthClient,
  TokenChain,
  OAuthSettings,
  ProviderCredential,
  ProviderRegistry,
  ProviderType,
  SansIo,
  SigningKey,
  TokenExchange,
  TokenSource,
  TokenTargets
} from "keyfob"
import type {
  AccessToken,
  AnswerRejected,
  AssertionSource,
  AttendedFlow,
  AuthError,
  Begun,
  ConfigurationInvalid,
  Credential,
  EndSession,
  Flow,
  FlowParts,
  Granted,
  Introspection,
  Jwt,
  LoginFailed,
  LoginRequired,
  PendingAuthorization,
  ProviderRefused,
  ProviderUnavailable,
  RedirectReceiver,
  StepUpRequired,
  StoreFailed,
  TokenRejected,
  UnattendedFlow,
  Userinfo,
  UserPrompt,
  Withheld
} from "keyfob"
import { describe, expectTypeOf, it } from "vitest"

const options = { issuer: "https://id.example", clientId: "app" }
const person = DeviceCode.make(options)
const machine = ClientCredentials.make(options)
class Api extends TokenSource.Service<Api>()("test/Api") {}

type Provider = ConfigurationInvalid | ProviderUnavailable | ProviderRefused | AnswerRejected
type Metadata = ConfigurationInvalid | ProviderUnavailable | AnswerRejected
type Renewal = Provider | TokenRejected | LoginRequired | StoreFailed

describe("types", () => {
  it("a token source fails with exactly what it says, and needs nothing more", () => {
    expectTypeOf<TokenSource.TokenError>().toEqualTypeOf<Renewal>()
    expectTypeOf<TokenSource.TokenSource["token"]>().toEqualTypeOf<Effect.Effect<AccessToken, Renewal>>()
    expectTypeOf<ReturnType<TokenSource.TokenSource["tokenValidFor"]>>().toEqualTypeOf<
      Effect.Effect<AccessToken, Renewal>
    >()
    expectTypeOf<ReturnType<TokenSource.TokenSource["renewedSince"]>>().toEqualTypeOf<
      Effect.Effect<AccessToken, Renewal>
    >()
    expectTypeOf<TokenSource.TokenSource["renewIfDue"]>().toEqualTypeOf<
      Effect.Effect<TokenSource.Renewed | TokenSource.Fresh, Renewal>
    >()
    expectTypeOf<TokenSource.TokenSource["events"]>().toEqualTypeOf<Stream.Stream<TokenSource.TokenEvent>>()
    expectTypeOf<TokenSource.TokenSource["renew"]>().toEqualTypeOf<Effect.Effect<TokenSource.Renewed, Renewal>>()
    expectTypeOf(TokenSource.make(machine)).toEqualTypeOf<
      Effect.Effect<
        TokenSource.TokenSource,
        ConfigurationInvalid,
        HttpClient.HttpClient | CredentialStore | Scope.Scope
      >
    >()
  })

  it("a machine's source needs an HTTP client; a kept one a store too, and never a person", () => {
    expectTypeOf(Api.layer(machine)).toEqualTypeOf<Layer.Layer<Api, ConfigurationInvalid, HttpClient.HttpClient>>()
    type Stored = Layer.Layer<Api, ConfigurationInvalid, HttpClient.HttpClient | CredentialStore>
    expectTypeOf(Api.layerStored(machine)).toEqualTypeOf<Stored>()
    expectTypeOf(Api.layerStored(person)).toEqualTypeOf<Stored>()
  })

  it("what is kept warm needs its sources, fails as they do, and never later", () => {
    class Other extends TokenSource.Service<Other>()("test/Other") {}
    expectTypeOf(KeepWarm.layer([Api, Other])).toEqualTypeOf<Layer.Layer<KeepWarm, never, Api | Other>>()
    expectTypeOf(KeepWarm.layer([TokenSource.make(machine)])).toEqualTypeOf<
      Layer.Layer<KeepWarm, ConfigurationInvalid, HttpClient.HttpClient | CredentialStore>
    >()
    expectTypeOf(KeepWarm.events).toEqualTypeOf<Stream.Stream<TokenSource.TokenEvent, never, KeepWarm>>()
    expectTypeOf<KeepWarm["Service"]["add"]>().returns.toEqualTypeOf<Effect.Effect<void, never, Scope.Scope>>()
    expectTypeOf<TokenSource.TokenEvent["_tag"]>().toEqualTypeOf<
      "Renewed" | "Adopted" | "Transient" | "LoginRequired" | "RefreshTokenEndsSoon"
    >()
  })

  it("a client's key is text, read, or where it comes from; what others say of it may be asked for by HTTP", () => {
    type Key = SigningKey.SigningKey
    type Text = Redacted.Redacted
    expectTypeOf(ClientAuthentication.privateKeyJwt)
      .parameter(0)
      .toEqualTypeOf<Text | Config.Config<Text> | Key | Effect.Effect<Key, ConfigurationInvalid>>()
    expectTypeOf(SigningKey.fromText).returns.toEqualTypeOf<Effect.Effect<Key, ConfigurationInvalid>>()
    expectTypeOf<AssertionSource>().toEqualTypeOf<Effect.Effect<Text, Metadata, HttpClient.HttpClient>>()
    // @ts-expect-error -- a key in clear
    const clear = () => ClientAuthentication.privateKeyJwt("-----BEGIN PRIVATE KEY-----")
    // @ts-expect-error -- an HMAC by a private key
    const hmac = (key: Key) => ClientAuthentication.privateKeyJwt(key, { algorithm: "HS256" })
    expectTypeOf([clear, hmac]).toBeArray()
  })

  it("a chain needs its parent, and what its exchange needs; one that bites its own tail never has all", () => {
    class Discovery extends TokenChain.Service<Discovery>()("test/Discovery") {}
    class Domains extends TokenTargets.Service<Domains>()("test/Domains") {}
    type Link = TokenChain.Link<CredentialStore>
    const link = { name: "discovery", exchange: () => Effect.never } satisfies TokenChain.Link
    const needing = (link: Link) => Discovery.layer(Api, link)
    expectTypeOf(Discovery.layer(Api, link)).toEqualTypeOf<
      Layer.Layer<Discovery, ConfigurationInvalid, Api | HttpClient.HttpClient>
    >()
    expectTypeOf(needing).returns.toEqualTypeOf<
      Layer.Layer<Discovery, ConfigurationInvalid, Api | HttpClient.HttpClient | CredentialStore>
    >()
    expectTypeOf(Domains.layer(Discovery, link)).toEqualTypeOf<
      Layer.Layer<Domains, never, Discovery | HttpClient.HttpClient>
    >()
    expectTypeOf<ReturnType<Domains["Service"]["token"]>>().toEqualTypeOf<Effect.Effect<AccessToken, Renewal>>()
    class Other extends TokenChain.Service<Other>()("test/Other") {}
    const around = Layer.merge(Discovery.layer(Other, link), Other.layer(Discovery, link))
    expectTypeOf<Layer.Services<typeof around>>().toEqualTypeOf<Discovery | Other | HttpClient.HttpClient>()
    // @ts-expect-error -- derived from nothing
    const orphan = () => Discovery.layer(link)
    // @ts-expect-error -- an exchange for a target says which one its token is for
    const unsaid = () => Domains.layer(Discovery, { name: "domain", exchange: () => Discovery.use((one) => one.renew) })
    expectTypeOf([orphan, unsaid]).toBeArray()
  })

  it("a person's flow cannot be the source of a process without a store", () => {
    // @ts-expect-error -- nobody could ever have signed in
    const wrong = () => Api.layer(person)
    expectTypeOf(wrong).toBeFunction()
    expectTypeOf(Api.layer).parameter(0).toEqualTypeOf<UnattendedFlow>()
  })

  it("tabs that share a store say that they know what it costs, and hand over locks", () => {
    expectTypeOf(BrowserCredentialStore.layer).returns.toEqualTypeOf<
      Layer.Layer<CredentialStore, ConfigurationInvalid>
    >()
    const { localStorage: storage, navigator } = globalThis
    // @ts-expect-error -- the price is not named
    const silent = () => BrowserCredentialStore.layer({ storage, locks: navigator.locks })
    expectTypeOf(silent).toBeFunction()
  })

  it("a login needs the person its flow asks, and a machine's needs none", () => {
    expectTypeOf(person).toEqualTypeOf<AttendedFlow<UserPrompt>>()
    expectTypeOf(machine).toEqualTypeOf<UnattendedFlow>()
    // A flow that needs nobody may be made of a token whose owner has to sign in.
    type Failure = Provider | LoginFailed | TokenRejected | StoreFailed | LoginRequired
    const asked = Login.login(person)
    expectTypeOf(asked).toEqualTypeOf<
      Effect.Effect<Credential, Failure, UserPrompt | HttpClient.HttpClient | CredentialStore>
    >()
    const alone = Login.login(machine)
    expectTypeOf<Effect.Services<typeof alone>>().toEqualTypeOf<HttpClient.HttpClient | CredentialStore>()
    expectTypeOf<Login.LoginError>().toEqualTypeOf<Failure>()
  })

  it("a program for a host of another kind needs what the host gives, and fails as it does anywhere", () => {
    const login = Login.login(person)
    // @ts-expect-error -- a store that outlives the program is not replayed
    const stored = () => SansIo.start(login, { now: 0 })
    expectTypeOf(stored).toBeFunction()
    const start = (program: Effect.Effect<Credential, Login.LoginError, SansIo.Provided>) =>
      SansIo.start(program, { now: 0 })
    expectTypeOf<ReturnType<typeof start>>().toEqualTypeOf<
      Effect.Effect<SansIo.Machine<Credential, Login.LoginError>, ConfigurationInvalid>
    >()
    const machine = start(Effect.provide(login, CredentialStore.layerMemory))
    expectTypeOf<Effect.Success<typeof machine>["exit"]>().toEqualTypeOf<
      Exit.Exit<Credential, Login.LoginError> | undefined
    >()
  })

  it("a flow on somebody's token takes a source's, a platform's, and nothing that fails otherwise", () => {
    const source = Effect.map(
      Effect.flatMap(Api, ({ token }) => token),
      ({ value }) => value
    ).pipe(Effect.provide(Api.layer(machine)))
    expectTypeOf(TokenExchange.make({ ...options, subject: { token: source } })).toEqualTypeOf<UnattendedFlow>()
    const platform: AssertionSource = source as never // a signature alone: nothing is run
    expectTypeOf(JwtBearer.make({ ...options, assertion: platform })).toEqualTypeOf<UnattendedFlow>()
    // @ts-expect-error -- a failure nobody downstream knows
    const strange = () => JwtBearer.make({ ...options, assertion: Effect.fail("no") })
    expectTypeOf(strange).toBeFunction()
  })

  it("a login by browser needs the person and a place to come back to; its halves need neither", () => {
    const page = AuthorizationCode.make(options)
    expectTypeOf(page).toExtend<AttendedFlow<UserPrompt | RedirectReceiver>>()
    const auto = Auto.make({ ...options, browserAtHand: Effect.succeed(true) })
    expectTypeOf(auto).toEqualTypeOf<AttendedFlow<UserPrompt | RedirectReceiver>>()
    const asked = Login.login(page)
    expectTypeOf<Effect.Services<typeof asked>>().toEqualTypeOf<
      UserPrompt | RedirectReceiver | HttpClient.HttpClient | CredentialStore
    >()
    expectTypeOf(Login.begin(page, { redirectUri: "" })).toEqualTypeOf<
      Effect.Effect<Begun, Provider, HttpClient.HttpClient>
    >()
    const completed = (pending: PendingAuthorization) => Login.complete(page, pending, "")
    expectTypeOf<ReturnType<typeof completed>>().toEqualTypeOf<
      Effect.Effect<Credential, Login.LoginError, HttpClient.HttpClient | CredentialStore>
    >()
    expectTypeOf<Begun["url"]>().toEqualTypeOf<Redacted.Redacted>()
    expectTypeOf<PendingAuthorization["verifier"]>().toEqualTypeOf<Redacted.Redacted>()
    // @ts-expect-error -- a device code has no halves
    const wrong = () => Login.begin(person, { redirectUri: "" })
    expectTypeOf(wrong).toBeFunction()
  })

  it("a logout fails for its store alone: what the provider says is part of the result", () => {
    expectTypeOf(Logout.logout(person)).toEqualTypeOf<
      Effect.Effect<Logout.LogoutResult, StoreFailed, HttpClient.HttpClient | CredentialStore>
    >()
    expectTypeOf<NonNullable<Logout.LogoutResult["revocationError"]>>().toEqualTypeOf<Provider>()
  })

  it("an authorized client adds the source's errors and the API's wishes to the client's own", () => {
    const made = AuthorizedHttpClient.make(Api, { origins: [] })
    expectTypeOf(made).toEqualTypeOf<
      Effect.Effect<
        HttpClient.HttpClient.With<HttpClientError.HttpClientError | Renewal | StepUpRequired>,
        ConfigurationInvalid,
        Api | HttpClient.HttpClient
      >
    >()
  })

  it("a client at work fails with what its provider does", () => {
    expectTypeOf(OAuthClient.make(options)).toEqualTypeOf<
      Effect.Effect<OAuthClient.OAuthClient, ConfigurationInvalid, HttpClient.HttpClient>
    >()
    expectTypeOf<Effect.Error<OAuthClient.OAuthClient["metadata"]>>().toEqualTypeOf<Metadata>()
    expectTypeOf<Effect.Error<ReturnType<OAuthClient.OAuthClient["post"]>>>().toEqualTypeOf<Provider>()
    expectTypeOf<ReturnType<typeof Userinfo.request>>().toEqualTypeOf<Effect.Effect<Userinfo.Userinfo, Provider>>()
    expectTypeOf<ReturnType<typeof Introspection.introspect>>().toEqualTypeOf<
      Effect.Effect<Introspection.Introspection, Provider>
    >()
    expectTypeOf<ReturnType<typeof EndSession.url>>().toEqualTypeOf<Effect.Effect<Redacted.Redacted, Metadata>>()
  })

  it("verification needs nothing, and an ID token that is verified has a subject", () => {
    type Failure = TokenRejected | ProviderUnavailable | AnswerRejected
    expectTypeOf<ReturnType<typeof Jwt.verify>>().toEqualTypeOf<Effect.Effect<Jwt.Claims, Failure>>()
    expectTypeOf<ReturnType<typeof Jwt.verifyIdToken>>().toEqualTypeOf<
      Effect.Effect<Jwt.Claims & { readonly sub: string }, Failure>
    >()
  })

  it("no list of algorithms can name none or an HMAC", () => {
    type Listed = NonNullable<Jwt.Expected["algorithms"]>[number]
    expectTypeOf<"none" & Listed>().toBeNever()
    expectTypeOf<"HS256" & Listed>().toBeNever()
    expectTypeOf<Extract<Listed, `HS${string}`>>().toBeNever()
  })

  it("an ID token is for one client, any other token may be for one of several", () => {
    expectTypeOf<Parameters<typeof Jwt.verifyIdToken>[1]["audience"]>().toEqualTypeOf<string>()
    expectTypeOf<Jwt.Expected["audience"]>().toEqualTypeOf<string | ReadonlyArray<string>>()
  })

  it("an option that is left out is left out, not undefined", () => {
    // @ts-expect-error -- exactOptionalPropertyTypes
    const wrong = () => DeviceCode.make({ ...options, audience: undefined })
    expectTypeOf(wrong).toBeFunction()
    expectTypeOf<Flow<UserPrompt>>().toEqualTypeOf<UnattendedFlow | AttendedFlow<UserPrompt>>()
  })

  it("a renewal may bring a refresh token alone, and says why", () => {
    type Brought = Effect.Success<ReturnType<NonNullable<FlowParts["refresh"]>>>
    expectTypeOf<Brought>().toEqualTypeOf<Granted | Withheld>()
    expectTypeOf<Withheld["reason"]>().toEqualTypeOf<AnswerRejected>()
    expectTypeOf<Withheld>().not.toHaveProperty("token")
  })

  it("a token of our own is told from anybody's by its type", () => {
    expectTypeOf<Parameters<typeof Introspection.introspect>[1]>().toEqualTypeOf<Redacted.Redacted | AccessToken>()
  })

  it("a credential's secrets are Redacted", () => {
    expectTypeOf<Credential["refreshToken"]>().toEqualTypeOf<Redacted.Redacted | undefined>()
    expectTypeOf<Credential["idToken"]>().toEqualTypeOf<Redacted.Redacted | undefined>()
    expectTypeOf<AccessToken["value"]>().toEqualTypeOf<Redacted.Redacted>()
    expectTypeOf<AccessToken["authorization"]>().toEqualTypeOf<Redacted.Redacted>()
  })

  it("every error is one of nine", () => {
    expectTypeOf<AuthError["_tag"]>().toEqualTypeOf<
      | "ConfigurationInvalid"
      | "ProviderUnavailable"
      | "ProviderRefused"
      | "AnswerRejected"
      | "TokenRejected"
      | "LoginRequired"
      | "LoginFailed"
      | "StepUpRequired"
      | "StoreFailed"
    >()
  })

  it("a provider's capability that is not given is absent from its type", () => {
    const simple = AuthProvider.simple({
      key: person.key,
      login: () => Effect.never,
      model: ProviderCredential.staticToken
    })
    expectTypeOf(simple).toEqualTypeOf<Effect.Effect<AuthProvider.SignedInProvider, never, CredentialStore>>()
    expectTypeOf<AuthProvider.SignedInProvider>().not.toHaveProperty("refresh")
    expectTypeOf(AuthProvider.fromFlow(() => person)).toEqualTypeOf<
      Effect.Effect<
        AuthProvider.OAuthProvider,
        ConfigurationInvalid,
        HttpClient.HttpClient | CredentialStore | Scope.Scope
      >
    >()
    expectTypeOf<ReturnType<AuthClient["Service"]["token"]>>().toEqualTypeOf<Effect.Effect<AccessToken, Renewal>>()
    expectTypeOf<ReturnType<AuthClient["Service"]["login"]>>().toEqualTypeOf<
      Effect.Effect<Credential, Login.LoginError, UserPrompt | RedirectReceiver>
    >()
  })

  it("what a type needs of its own, its registry needs", () => {
    const type = ProviderType.make({
      ...OAuthSettings.definition,
      make: (settings, identity) => Effect.andThen(Api, OAuth.make(settings, identity))
    })
    expectTypeOf(ProviderRegistry.layer(type)).toEqualTypeOf<Layer.Layer<ProviderRegistry, never, Api>>()
    expectTypeOf(ProviderRegistry.layer(OAuth.type)).toEqualTypeOf<Layer.Layer<ProviderRegistry>>()
  })
})
