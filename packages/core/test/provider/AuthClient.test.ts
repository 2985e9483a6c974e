import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Duration, Effect, Layer, Option, Redacted, Result, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { exportJWK, generateKeyPair } from "jose"
import {
  AccessToken,
  AuthClient,
  type AuthClientOptions,
  type AuthError,
  AuthProvider,
  Basic,
  ClientAuthentication,
  ClientCredentials,
  ConfigurationInvalid,
  Credential,
  CredentialKey,
  CredentialStore,
  LoginFailed,
  noHeaderLine,
  OAuth,
  ProviderCredential,
  ProviderRegistry,
  ProviderType,
  RedirectReceiver,
  SigningKey,
  Static,
  StoreFailed,
  UserPrompt
} from "keyfob"
import { issuer, json, metadata, named, provider, refused, type Reply, scripted, status } from "../scripted.ts"

const loginUrl = "https://archive.example/login"
const oauth = { type: "oauth", issuer, client_id: "billing", flow: "client_credentials", client_secret: "s" }
const basic = { type: "basic", login_url: loginUrl, username: "alice", password: "canary-password" }
const fixed = { type: "static", token: "canary-token" }

/** Nobody has to be asked here. */
const person = Layer.mergeAll(Layer.mock(UserPrompt, {}), Layer.mock(RedirectReceiver, {}))

const scene = (
  options: AuthClientOptions,
  script: Readonly<Record<string, Reply | ReadonlyArray<Reply>>> = {},
  store: Layer.Layer<CredentialStore> = CredentialStore.layerMemory
) => {
  const http = scripted({
    ...provider,
    [metadata.token_endpoint]: json({ access_token: "access", expires_in: 3600 }),
    [metadata.revocation_endpoint]: status(200),
    [loginUrl]: status(204),
    ...script
  })
  const layer = AuthClient.layer(options).pipe(
    Layer.provide(ProviderRegistry.layer(OAuth.type, Basic.type, Static.type)),
    Layer.provideMerge(Layer.mergeAll(http.layer, store, person))
  )
  return { ...http, layer }
}

const one = (providers: AuthClientOptions["contexts"][string]["providers"]) => ({ contexts: { work: { providers } } })
const valueOf = ({ value }: AccessToken) => Redacted.value(value)

describe("AuthClient", () => {
  it.effect("C-10 signs in to one or to all, with a result for each, and out again", () => {
    const { layer, to } = scene(one({ api: oauth, archive: basic, key: fixed }))
    return Effect.gen(function* () {
      const auth = yield* AuthClient
      assert.strictEqual(valueOf((yield* auth.login("api")).token), "access")
      const all = yield* auth.loginAll()
      assert.deepStrictEqual(Object.keys(all), ["api", "archive", "key"])
      assert.isTrue(Object.values(all).every(Result.isSuccess))
      assert.isTrue(yield* auth.isAuthenticated("archive"))
      const out = yield* auth.logoutAll
      assert.isTrue(Object.values(out).every((one) => Result.isSuccess(one) && one.success.removed))
      assert.lengthOf(to(metadata.revocation_endpoint), 1)
      assert.isFalse(yield* auth.isAnyAuthenticated)
    }).pipe(Effect.provide(layer))
  })

  it.effect("C-11 what fails for one is its error; of all, it is a result, and the others go on", () => {
    const { layer } = scene(one({ api: oauth, archive: basic, broken: { type: "basic" } }), {
      [metadata.token_endpoint]: refused("invalid_client", 401)
    })
    return Effect.gen(function* () {
      const { login, loginAll } = yield* AuthClient
      assert.strictEqual(named(yield* Effect.flip(login("api"))), "ProviderRefused.InvalidClient")
      const { api, archive, broken } = yield* loginAll()
      assert.isTrue(
        api !== undefined && Result.isFailure(api) && named(api.failure) === "ProviderRefused.InvalidClient"
      )
      assert.isTrue(archive !== undefined && Result.isSuccess(archive))
      assert.isTrue(
        broken !== undefined &&
          Result.isFailure(broken) &&
          named(broken.failure) === "ConfigurationInvalid.MissingValue"
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "C-12 C.8#4 whether somebody is signed in: any is best effort, of one a mistake is told and no false",
    () => {
      const { layer } = scene(one({ broken: { type: "basic", username: "alice" }, key: fixed, odd: { type: "odd" } }))
      return Effect.gen(function* () {
        const { credential, isAnyAuthenticated, isAuthenticated, login } = yield* AuthClient
        assert.isFalse(yield* isAuthenticated("key"))
        assert.isFalse(yield* isAnyAuthenticated)
        yield* login("key")
        assert.isTrue(yield* isAnyAuthenticated)
        const asks: ReadonlyArray<(name: string) => Effect.Effect<unknown, AuthError, UserPrompt | RedirectReceiver>> =
          [isAuthenticated, credential, login]
        for (const ask of asks) {
          const missing = yield* Effect.flip(ask("broken"))
          assert.strictEqual(named(missing), "ConfigurationInvalid.MissingValue")
          assert.include(missing.message, "work.broken.login_url")
          assert.include((yield* Effect.flip(ask("odd"))).message, "provider type odd; there is oauth, basic, static")
          assert.include((yield* Effect.flip(ask("nobody"))).message, "provider nobody; there is broken, key, odd")
        }
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("C-12 a store that fails is no false either", () => {
    const failed = new StoreFailed({ reason: "Unavailable", store: "test", location: "here" })
    const { layer } = scene(one({ key: fixed }), {}, Layer.mock(CredentialStore, { name: "test", get: () => failed }))
    return Effect.gen(function* () {
      const { isAnyAuthenticated, isAuthenticated, list } = yield* AuthClient
      assert.strictEqual(yield* Effect.flip(isAuthenticated("key")), failed)
      assert.isFalse(yield* isAnyAuthenticated)
      assert.deepInclude((yield* list)[0], { name: "key", type: "static", status: "error", error: failed })
    }).pipe(Effect.provide(layer))
  })

  it.effect("C-13 lists how all stand, and nothing where nothing is configured; talks to nobody", () => {
    const { layer, requests } = scene(
      one({ api: oauth, archive: basic, broken: { type: "basic" }, key: { ...fixed, header: "X-Key" } })
    )
    return Effect.gen(function* () {
      const { list, login } = yield* AuthClient
      yield* login("key")
      const rows = yield* list
      assert.deepStrictEqual(
        rows.map(({ name, status, type }) => [name, type, status]),
        [
          ["api", "oauth", "login_required"],
          ["archive", "basic", "login_required"],
          ["broken", "basic", "error"],
          ["key", "static", "authenticated"]
        ]
      )
      assert.deepStrictEqual(rows[1]?.extra, { username: "alice" })
      assert.isNotEmpty(rows[2]?.description)
      assert.notInclude(JSON.stringify(rows), "canary")
      assert.lengthOf(requests, 0)
      const none = yield* AuthClient.use(({ list }) => list).pipe(Effect.provide(scene(one({})).layer))
      assert.deepStrictEqual(none, [])
    }).pipe(Effect.provide(layer))
  })

  it.effect("C-14 a credential that does not serve any more is an answer, told by its status", () => {
    const jwt = `e30.${btoa(JSON.stringify({ exp: 60 }))}.x`
    const { layer } = scene(one({ api: oauth, key: { type: "static", token: jwt } }))
    return Effect.gen(function* () {
      const { credential, isAuthenticated, login, token } = yield* AuthClient
      assert.isTrue(Option.isNone(yield* credential("key")))
      yield* login("key")
      assert.strictEqual(valueOf(yield* token("key", Duration.seconds(30))), jwt)
      const longer = token("key", Duration.seconds(90))
      assert.strictEqual(named(yield* Effect.flip(longer)), "LoginRequired.NotRenewable")
      yield* TestClock.adjust("61 seconds")
      const found = Option.getOrThrow(yield* credential("key"))
      assert.deepInclude(found, { _tag: "StaticToken", status: "login_required" })
      assert.isFalse(yield* isAuthenticated("key"))
      assert.strictEqual(named(yield* Effect.flip(token("key"))), "LoginRequired.NotRenewable")
      yield* login("api")
      assert.deepInclude(Option.getOrThrow(yield* credential("api")), {
        _tag: "OAuth",
        status: "authenticated",
        refreshable: true
      })
    }).pipe(Effect.provide(layer))
  })

  it.effect("C-15 a provider that cannot renew is never asked to", () => {
    const { layer } = scene(one({ api: oauth, key: fixed }))
    return Effect.gen(function* () {
      const { loginAll, provider, refresh, refreshAll } = yield* AuthClient
      yield* loginAll()
      assert.deepStrictEqual(Object.keys(yield* refreshAll({ force: true })), ["api"])
      assert.isUndefined((yield* provider("key")).refresh)
      const error = yield* Effect.flip(refresh("key"))
      assert.strictEqual(named(error), "ConfigurationInvalid.NotSupported")
      assert.include(error.message, "provider key has no refresh")
    }).pipe(Effect.provide(layer))
  })

  it.effect("refreshes what is due, with force whatever is there", () => {
    const { layer, to } = scene(one({ api: oauth }))
    return Effect.gen(function* () {
      const { refresh } = yield* AuthClient
      assert.strictEqual((yield* refresh("api")).outcome, "renewed")
      assert.strictEqual((yield* refresh("api")).outcome, "fresh")
      assert.strictEqual((yield* refresh("api", { force: true })).outcome, "renewed")
      assert.lengthOf(to(metadata.token_endpoint), 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("C-19 R15 two contexts with equal provider names never share, not even on one store", () => {
    const contexts = { work: { providers: { api: fixed } }, home: { providers: { api: { ...fixed, token: "other" } } } }
    const store = Layer.succeed(
      CredentialStore,
      Effect.runSync(Effect.provide(CredentialStore, CredentialStore.layerMemory))
    )
    const within = (current: string) => Effect.provide(scene({ contexts, current }, {}, store).layer)
    return Effect.gen(function* () {
      const first = AuthClient.use(({ login }) => login("api"))
      yield* within("work")(first)
      const home = AuthClient.use(({ token }) => token("api")).pipe(within("home"))
      assert.strictEqual(named(yield* Effect.flip(home)), "LoginRequired.NoCredential")
      yield* within("home")(first)
      assert.strictEqual(valueOf(yield* home), "other")
      assert.strictEqual(
        valueOf(yield* AuthClient.use(({ token }) => token("api")).pipe(within("work"))),
        "canary-token"
      )
    })
  })

  it("R15 names with slashes in them are not each other's", () => {
    assert.notStrictEqual(
      ProviderType.accountOf({ context: "a/b", name: "c" }),
      ProviderType.accountOf({ context: "a", name: "b/c" })
    )
  })

  it.effect(
    "R15 a static token that was changed: what was kept of the one before is nobody's, until somebody signs in",
    () => {
      const header = "X-Api-Key"
      const { layer } = scene(one({}))
      const using = <A, E>(key: object, use: Effect.Effect<A, E, AuthClient | AuthProvider.Person>) =>
        Effect.provide(
          use,
          Layer.fresh(
            AuthClient.layer(one({ key: { type: "static", ...key } })).pipe(
              Layer.provide(ProviderRegistry.layer(Static.type))
            )
          )
        )
      const login = AuthClient.use(({ login }) => login("key"))
      const token = AuthClient.use(({ token }) => Effect.map(token("key"), valueOf))
      const headers = AuthClient.use(({ headers }) => headers("key"))
      const isAuthenticated = AuthClient.use(({ isAuthenticated }) => isAuthenticated("key"))
      return Effect.gen(function* () {
        for (const kind of [{}, { header }]) {
          const [a, b] = [
            { ...kind, token: "of-alice" },
            { ...kind, token: "of-bob" }
          ]
          yield* using(a, login)
          assert.strictEqual(yield* using(a, token), "of-alice")
          for (const ask of [Effect.asVoid(token), Effect.asVoid(headers)]) {
            assert.deepInclude(yield* Effect.flip(using(b, ask)), { _tag: "LoginRequired", reason: "NoCredential" })
          }
          assert.deepStrictEqual([yield* using(b, isAuthenticated), yield* using(a, isAuthenticated)], [false, true])
          assert.strictEqual(yield* using(kind, token), "of-alice")
          yield* using(b, login)
          assert.strictEqual(yield* using(b, token), "of-bob")
          assert.strictEqual(yield* using(kind, token), "of-bob")
          assert.isFalse(yield* using(a, isAuthenticated))
        }
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("C-20 works in the context that is named, else in the only one; else it must be said", () => {
    const contexts = { work: { providers: {} }, home: { providers: {} } }
    const contextOf = (options: AuthClientOptions) =>
      AuthClient.useSync(({ context }) => context).pipe(Effect.provide(scene(options).layer))
    return Effect.gen(function* () {
      assert.strictEqual(yield* contextOf({ contexts, current: "home" }), "home")
      assert.strictEqual(yield* contextOf(one({})), "work")
      assert.include((yield* Effect.flip(contextOf({ contexts }))).message, "there is work, home")
      assert.include((yield* Effect.flip(contextOf({ contexts, current: "toString" }))).message, "context toString")
    })
  })

  it.effect("a part of the program has the provider that the context chose for it", () => {
    const providers = { api: oauth, key: fixed }
    const { layer } = scene({ contexts: { work: { providers, plugins: { tasks: "key", results: "gone" } } } })
    return Effect.gen(function* () {
      const { providerFor } = yield* AuthClient
      assert.strictEqual((yield* providerFor("tasks")).key.account, "work/key")
      assert.strictEqual(named(yield* Effect.flip(providerFor("results"))), "ConfigurationInvalid.UnknownName")
      for (const unchosen of ["other", "toString"]) {
        assert.strictEqual(named(yield* Effect.flip(providerFor(unchosen))), "ConfigurationInvalid.MissingValue")
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "a type of one's own has what it gives, and nothing else; what it needs is needed where it is registered",
    () => {
      class CardReader extends Context.Service<CardReader, { readonly swipe: Effect.Effect<string> }>()(
        "test/Reader"
      ) {}
      let connections = 0
      const Badge = ProviderType.make({
        name: "badge",
        description: "Corporate badge",
        settings: Schema.Struct({ site: Schema.NonEmptyString }),
        identify: ({ site }, account) => ({
          key: CredentialKey.make({
            issuer: site,
            clientId: "badge",
            account,
            subject: "user",
            scopes: [],
            resource: [],
            params: {}
          }),
          extra: { site }
        }),
        make: Effect.fnUntraced(function* (_, { key }) {
          const { swipe } = yield* CardReader
          if (connections++ === 0)
            return yield* new ConfigurationInvalid({ reason: "NotSupported", detail: "no reader" })
          return yield* AuthProvider.simple({
            key,
            login: () =>
              Effect.map(swipe, (card) => ({
                token: AccessToken.make({ value: Redacted.make(card), type: "Badge", scopes: [] })
              })),
            headers: ({ value }) => ({ "X-Badge": value }),
            model: ProviderCredential.apiKey("X-Badge")
          })
        })
      })
      const reader = Layer.succeed(CardReader, { swipe: Effect.succeed("42") })
      const layer = AuthClient.layer(one({ door: { type: "badge", site: "north" }, gate: { type: "badge" } })).pipe(
        Layer.provide(Layer.provide(ProviderRegistry.layer(Badge), reader)),
        Layer.provideMerge(Layer.mergeAll(scripted({}).layer, CredentialStore.layerMemory, person))
      )
      return Effect.gen(function* () {
        const { headers, list, login, refresh } = yield* AuthClient
        assert.include((yield* Effect.flip(login("door"))).message, "no reader")
        yield* login("door") // what could not be made is made anew
        assert.strictEqual(Redacted.value((yield* headers("door"))["X-Badge"] ?? Redacted.make("")), "42")
        assert.strictEqual(named(yield* Effect.flip(refresh("door"))), "ConfigurationInvalid.NotSupported")
        const [door, gate] = yield* list
        assert.deepInclude(door, { description: "Corporate badge", extra: { site: "north" }, status: "authenticated" })
        assert.include(gate?.error?.message, "work.gate.site")
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("attack: what an earlier server's credential is revoked with is not this one's secret", () => {
    const older = "https://old.example"
    const { layer, to } = scene(one({ api: oauth }), {
      [`${older}/.well-known/openid-configuration`]: json({
        ...metadata,
        issuer: older,
        token_endpoint: `${older}/token`,
        revocation_endpoint: `${older}/revoke`
      }),
      [`${older}/revoke`]: status(200)
    })
    return Effect.gen(function* () {
      const { login, provider } = yield* AuthClient
      const { key, ...credential } = yield* login("api")
      const left = Credential.make({ ...credential, key: CredentialKey.make({ ...key, issuer: older }) })
      yield* CredentialStore.use(({ modify }) => modify(left.key, ({ write }) => write(left)))
      const { logout } = yield* provider("api")
      assert.deepInclude(yield* logout?.({ key: left.key }) ?? Effect.die("it can"), { removed: true, revoked: true })
      const [request] = to(`${older}/revoke`)
      assert.deepStrictEqual(request?.form, { token: "access", token_type_hint: "access_token", client_id: "billing" })
      assert.notProperty(request?.headers, "authorization")
    }).pipe(Effect.provide(layer))
  })

  it.effect("a key that is not there yet is looked for again, until it is", () => {
    const { layer, to } = scene({ contexts: { none: { providers: {} } } })
    let isThere = false
    const made = Effect.promise(async () =>
      exportJWK((await generateKeyPair("ES256", { extractable: true })).privateKey)
    )
    const key = Effect.suspend(() =>
      isThere
        ? Effect.flatMap(made, SigningKey.fromJwk)
        : Effect.fail(new ConfigurationInvalid({ reason: "Unreadable", detail: "the key" }))
    )
    const authentication = ClientAuthentication.privateKeyJwt(key)
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { token } = yield* AuthProvider.fromFlow(() =>
        ClientCredentials.make({ issuer, clientId: "billing", authentication })
      ).pipe(Scope.provide(scope))
      assert.strictEqual((yield* Effect.flip(token()))._tag, "ConfigurationInvalid")
      assert.strictEqual(scope.state._tag, "Empty", "a look that finds none leaves nothing behind")
      isThere = true
      yield* token()
      yield* token()
      assert.lengthOf(to(metadata.token_endpoint), 1)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("a token that needs proofs is in no header line", () => {
    const { layer } = scene(one({ api: { ...oauth, dpop: true } }), {
      [metadata.token_endpoint]: json({ access_token: "access", token_type: "DPoP", expires_in: 3600 })
    })
    return Effect.gen(function* () {
      const { headers, login } = yield* AuthClient
      yield* login("api")
      const error = yield* Effect.flip(headers("api"))
      assert.strictEqual(named(error), "ConfigurationInvalid.NotSupported")
      assert.include(error.message, noHeaderLine)
    }).pipe(Effect.provide(layer))
  })
})

describe("basic", () => {
  const proof = `Basic ${btoa("alice:canary-password")}`
  const headerOf = (headers: Readonly<Record<string, Redacted.Redacted>>) =>
    Redacted.value(headers["Authorization"] ?? Redacted.make(""))

  it.effect("checks name and password at the login endpoint, and sends them from then on", () => {
    const { layer, to } = scene(one({ archive: basic }))
    return Effect.gen(function* () {
      const { credential, headers, login } = yield* AuthClient
      yield* TestClock.adjust("1 minute")
      yield* login("archive")
      assert.deepInclude(to(loginUrl)[0], { method: "POST", body: "" })
      assert.strictEqual(to(loginUrl)[0]?.headers["authorization"], proof)
      assert.strictEqual(headerOf(yield* headers("archive")), proof)
      assert.deepInclude(Option.getOrThrow(yield* credential("archive")), {
        _tag: "Basic",
        username: "alice",
        status: "authenticated",
        signedInAt: DateTime.makeUnsafe(60_000)
      })
    }).pipe(Effect.provide(layer))
  })

  it.effect("keeps the session that the endpoint opens, and not the password", () => {
    const { layer } = scene(one({ archive: basic }), { [loginUrl]: json({ access_token: "session", expires_in: 60 }) })
    return Effect.gen(function* () {
      const { headers, login, token } = yield* AuthClient
      yield* login("archive")
      assert.strictEqual(headerOf(yield* headers("archive")), "Bearer session")
      const [kept] = yield* CredentialStore.use(({ list }) => list)
      assert.isDefined(kept)
      const clear = JSON.stringify(Schema.encodeSync(Schema.toCodecJson(Credential))(kept))
      assert.include(clear, "session")
      assert.notInclude(clear, "canary-password")
      assert.notInclude(clear, btoa("alice:canary-password"))
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(named(yield* Effect.flip(token("archive"))), "LoginRequired.NotRenewable")
    }).pipe(Effect.provide(layer))
  })

  it.effect("a wrong password is a denial, trouble is trouble, and nothing is kept or told of either", () => {
    const { layer } = scene(one({ archive: basic }), {
      [loginUrl]: [
        status(401),
        status(403),
        refused("canary-password", 400),
        json({ access_token: "" }),
        status(302),
        json({ error: "invalid_password" })
      ]
    })
    return Effect.gen(function* () {
      const { credential, login } = yield* AuthClient
      const errors = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => Effect.flip(login("archive")))
      assert.deepStrictEqual(errors.map(named), [
        "LoginFailed.Denied",
        "LoginFailed.Denied",
        "ProviderRefused.Other",
        "AnswerRejected.Malformed",
        "AnswerRejected.Redirected",
        "ProviderRefused.Other"
      ])
      assert.isTrue(Schema.is(LoginFailed)(errors[0]))
      assert.notInclude(errors.map(String).join(), "canary")
      assert.isTrue(Option.isNone(yield* credential("archive")))
    }).pipe(Effect.provide(layer))
  })

  it.effect("sends a password to https alone, and no name that would end early", () => {
    const wrong = {
      http: { ...basic, login_url: "http://archive.example/login" },
      colon: { ...basic, username: "a:b" },
      silent: { type: "basic", login_url: loginUrl, username: "alice" }
    }
    const { layer, requests } = scene(one(wrong))
    return Effect.gen(function* () {
      const { login } = yield* AuthClient
      const errors = yield* Effect.forEach(["http", "colon", "silent"], (name) => Effect.flip(login(name)))
      assert.deepStrictEqual(errors.map(named), [
        "ConfigurationInvalid.InsecureUrl",
        "ConfigurationInvalid.InvalidValue",
        "ConfigurationInvalid.MissingValue"
      ])
      assert.lengthOf(requests, 0)
    }).pipe(Effect.provide(layer))
  })
})
