import { assert, describe, it } from "@effect/vitest"
import { QlamAuthClient, UserIdMissing } from "@keyfob/qlam"
import { Fault } from "@keyfob/testing"
import { SimulatedPerson } from "@keyfob/testing/Provider"
import { ConfigProvider, Effect, Layer, Option, Redacted, Schedule, type Scope } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { exportJWK, exportPKCS8, generateKeyPair } from "jose"
import { type AccessToken, type AuthError, CredentialStore } from "keyfob"
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { FakeQlam, machine, nodeWith, qshDirectory, userId } from "./FakeQlam.ts"

const named = (error: AuthError) => `${error._tag}.${error.reason}`
const valueOf = ({ value }: AccessToken) => Redacted.value(value)

/** A person's provider and a machine's, in the words of the file. */
const file = (url: string, different: object) => ({
  current_context: "gemini",
  contexts: [
    {
      name: "gemini",
      qpu: "gemini-1",
      defaults: { api_base_url: "https://api.example", qpu_mode: "logical", group: "everyone" },
      auth_providers: [
        { name: "quera", provider: "oauth", client_id: "shell", grant_type: "device_code", issuer: url, ...different },
        {
          name: "batch",
          provider: "oauth",
          ...machine,
          grant_type: "client_credentials",
          auth_base_url: `${url}/`,
          audience: "https://v2/demo"
        }
      ],
      plugins: { tasks: { auth_provider: "quera", group: "tasks" }, results: { auth_provider: "batch" } }
    },
    {
      name: "other",
      auth_providers: [{ name: "quera", provider: "oauth", client_id: "shell", grant_type: "device_code", issuer: url }]
    }
  ]
})

/** Runs a program on a node of its own, in the home given. */
const on = (home: string, options: { readonly context?: string } = {}) =>
  Effect.provide(
    QlamAuthClient.layer(options).pipe(
      Layer.provideMerge(nodeWith(home)),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { QSH_CONFIG_DIR: home, HOME: home } })))
    )
  )

const scene = Effect.fnUntraced(function* (different: object = {}) {
  const qlam = yield* FakeQlam
  const home = yield* qshDirectory(file(qlam.url, different))
  yield* qlam.idp.approve("alice")
  const refreshes = () => qlam.forms("/oauth/token").filter((form) => form["grant_type"] === "refresh_token")
  return { ...qlam, home, refreshes }
})

const login = QlamAuthClient.use(({ login }) => login("quera"))
const token = QlamAuthClient.use(({ token }) => token("quera"))
const quera = { provider: "quera" }

type Around = Layer.Success<ReturnType<typeof FakeQlam.layer>> | Scope.Scope

const live = (title: string, test: Effect.Effect<void, unknown, Around>) =>
  it.live(title, () => test.pipe(Effect.scoped, Effect.provide(FakeQlam.layer())), 60_000)

describe("signing in", () => {
  live(
    "C-09 C-20 reads the directory that QSH_CONFIG_DIR names, and the context that is asked for",
    Effect.gen(function* () {
      const { home } = yield* scene()
      const another = yield* qshDirectory({ contexts: [{ name: "elsewhere" }] })
      const found = QlamAuthClient.useSync(({ context, qpu }) => [context, Option.getOrUndefined(qpu)])
      assert.deepStrictEqual(yield* found.pipe(on(home)), ["gemini", "gemini-1"])
      assert.deepStrictEqual(yield* found.pipe(on(another)), ["elsewhere", undefined])
      assert.deepStrictEqual(yield* found.pipe(on(home, { context: "other" })), ["other", undefined])
      const unknown = yield* Effect.flip(found.pipe(on(home, { context: "lost" })))
      assert.include(unknown.message, "context lost; there is gemini, other")
      const nowhere = yield* Effect.flip(found.pipe(on(join(home, "nowhere"))))
      assert.strictEqual(named(nowhere), "ConfigurationInvalid.Unreadable")
      const broken = yield* Effect.flip(found.pipe(on(yield* qshDirectory({ contexts: [{ name: { canary: 1 } }] }))))
      assert.strictEqual(named(broken), "ConfigurationInvalid.InvalidValue")
      assert.notInclude(broken.message, "canary")
    })
  )

  live(
    "C-22 C.8#6 a device shows a code, a browser its page, always with PKCE; unsaid, by what is at hand",
    Effect.gen(function* () {
      const asked = Effect.fnUntraced(function* (grant_type: string | undefined, browserAtHand: boolean) {
        const { home } = yield* scene({ grant_type })
        return yield* Effect.gen(function* () {
          const { login } = yield* QlamAuthClient
          const { pages, shown } = yield* SimulatedPerson
          const { account } = yield* login("quera", { browserAtHand: Effect.succeed(browserAtHand) })
          assert.strictEqual(account?.sub, "alice")
          return [(yield* shown).length, (yield* pages).length]
        }).pipe(on(home))
      })
      assert.deepStrictEqual(yield* asked("device_code", true), [1, 0])
      assert.deepStrictEqual(yield* asked("authorization_code", false), [0, 1])
      assert.deepStrictEqual(yield* asked(undefined, true), [0, 1])
      assert.deepStrictEqual(yield* asked(undefined, false), [1, 0])
      const { forms } = yield* FakeQlam
      const [page = {}] = forms("/authorize")
      assert.deepInclude(page, { code_challenge_method: "S256", scope: "openid email profile offline_access" })
    })
  )

  live(
    "C-18 a callback with another state signs nobody in",
    Effect.gen(function* () {
      const { home, idp } = yield* scene({ grant_type: "authorization_code" })
      yield* idp.faults(Fault.onRequest({ endpoint: "authorization" }, Fault.callback({ state: "forged" })))
      const { forms } = yield* FakeQlam
      const answered = Effect.sync(() => forms("/authorize").length).pipe(
        Effect.repeat({ until: (pages) => pages > 0, schedule: Schedule.spaced("10 millis") }),
        Effect.andThen(Effect.sleep("200 millis")) // for what it brought to be looked at
      )
      yield* Effect.raceFirst(Effect.asVoid(login), answered).pipe(on(home))
      assert.strictEqual(named(yield* Effect.flip(token.pipe(on(home)))), "LoginRequired.NoCredential")
    })
  )

  live(
    "C-10 signs in who is not, and asks nobody twice",
    Effect.gen(function* () {
      const { forms, home } = yield* scene()
      const rows = yield* Effect.gen(function* () {
        const { authenticate, list } = yield* QlamAuthClient
        yield* authenticate
        yield* authenticate
        return yield* list
      }).pipe(on(home))
      assert.deepStrictEqual(
        rows.map(({ name, status, type }) => [name, type, status]),
        [
          ["quera", "qlam", "authenticated"],
          ["batch", "qlam", "authenticated"]
        ]
      )
      assert.lengthOf(forms("/oauth/device/code"), 1)
    })
  )

  live(
    "C-19 C.8#3 equal names in two contexts are two",
    Effect.gen(function* () {
      const { home } = yield* scene()
      yield* login.pipe(on(home))
      const other = token.pipe(on(home, { context: "other" }))
      assert.strictEqual(named(yield* Effect.flip(other)), "LoginRequired.NoCredential")
    })
  )
})

describe("machines", () => {
  live(
    "C-16 C.8#1 C.8#7 a token serves every run until it ends, from a file that its owner alone can read",
    Effect.gen(function* () {
      const { forms, home } = yield* scene()
      const run = QlamAuthClient.use(({ token }) => token("batch")).pipe(Effect.map(valueOf), on(home))
      assert.strictEqual(yield* run, yield* run)
      assert.deepStrictEqual(forms("/oauth/token"), [
        { grant_type: "client_credentials", audience: "https://v2/demo", ...machine }
      ])
      const credentials = join(home, "credentials")
      const open = readdirSync(credentials).filter((name) => (statSync(join(credentials, name)).mode & 0o077) !== 0)
      assert.isNotEmpty(readdirSync(credentials))
      assert.deepStrictEqual(open, [])
    })
  )

  it.live(
    "C.8#7 a private key takes the place of the secret: a JWT by RFC 7523, and no secret anywhere",
    () =>
      Effect.gen(function* () {
        const { privateKey, publicKey } = yield* Effect.promise(() => generateKeyPair("ES256", { extractable: true }))
        const private_key = yield* Effect.promise(() => exportPKCS8(privateKey))
        const jwk = { ...(yield* Effect.promise(() => exportJWK(publicKey))), alg: "ES256" }
        yield* Effect.gen(function* () {
          const { forms, url } = yield* FakeQlam
          const provider = { name: "key", provider: "oauth", client_id: "keyed", grant_type: "client_credentials" }
          const contexts = [{ name: "lab", auth_providers: [{ ...provider, private_key, auth_base_url: url }] }]
          const home = yield* qshDirectory({ contexts })
          yield* QlamAuthClient.use(({ token }) => token("key")).pipe(on(home))
          const [form = {}] = forms("/oauth/token")
          assert.strictEqual(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
          assert.notProperty(form, "client_secret")
        }).pipe(
          Effect.provide(
            FakeQlam.layer([
              {
                client_id: "keyed",
                token_endpoint_auth_method: "private_key_jwt",
                grant_types: ["client_credentials"],
                jwks: { keys: [jwk] }
              }
            ])
          )
        )
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("renewal", () => {
  live(
    "C-17 C.8#2 nodes that share a home make one exchange, and keep what it brought; what was spent is refused",
    Effect.gen(function* () {
      const { home, idp, refreshes, url } = yield* scene()
      yield* login.pipe(on(home))
      const before = yield* token.pipe(Effect.map(valueOf), on(home))
      const node = Effect.gen(function* () {
        const { withAuthRefresh } = yield* QlamAuthClient
        const call = Effect.flatMap(Effect.map(token, valueOf), (value) =>
          value === before ? Effect.fail({ status: 401 }) : Effect.succeed(value)
        )
        return yield* withAuthRefresh(call, quera)
      }).pipe(on(home))
      const answers = yield* Effect.all([node, node, node, node], { concurrency: "unbounded" })
      assert.strictEqual(new Set(answers).size, 1)
      assert.lengthOf(refreshes(), 1)
      assert.strictEqual(yield* idp.liveRefreshTokens, 1)

      const renewed = yield* QlamAuthClient.use(({ refresh }) => refresh("quera", { force: true })).pipe(on(home))
      assert.strictEqual(renewed.outcome, "renewed")
      const refresh_token = refreshes()[0]?.["refresh_token"] ?? ""
      const again = HttpClientRequest.bodyUrlParams(HttpClientRequest.post(`${url}/oauth/token`), {
        grant_type: "refresh_token",
        client_id: "shell",
        refresh_token
      })
      const refused = yield* HttpClient.execute(again)
      assert.strictEqual(refused.status, 403)
      assert.deepInclude(yield* refused.json, { error: "invalid_grant" })
    })
  )

  live(
    "C-17 a session the tenant has ended asks for a login, typed, and is not tried again",
    Effect.gen(function* () {
      const { forms, home, idp } = yield* scene()
      yield* login.pipe(on(home))
      yield* idp.revokeAll
      const refresh = QlamAuthClient.use(({ refresh }) => refresh("quera", { force: true })).pipe(on(home))
      assert.strictEqual(named(yield* Effect.flip(refresh)), "LoginRequired.RefreshRefused")
      const asked = forms("/oauth/token").length
      assert.strictEqual(named(yield* Effect.flip(refresh)), "LoginRequired.RefreshRefused")
      assert.lengthOf(forms("/oauth/token"), asked)
    })
  )

  live(
    "C.8#7 signing out has the tenant take the tokens back",
    Effect.gen(function* () {
      const { home, idp } = yield* scene()
      yield* login.pipe(on(home))
      const { removed, revoked } = yield* QlamAuthClient.use(({ logout }) => logout("quera")).pipe(on(home))
      assert.deepStrictEqual([removed, revoked, yield* idp.liveRefreshTokens], [true, true, 0])
    })
  )
})

describe("withAuthRefresh", () => {
  const tasks = Effect.fnUntraced(function* (url: string) {
    const http = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
    const request = HttpClientRequest.get(`${url}/v2/logical/tasks`)
    return yield* http.execute(HttpClientRequest.bearerToken(request, valueOf(yield* token)))
  })

  /** An API that answers with these, and counts. */
  const api = (...statuses: ReadonlyArray<number>) => {
    let calls = 0
    const call = Effect.suspend(() => {
      const status = statuses[calls++] ?? 200
      return status === 200 ? Effect.succeed("done") : Effect.fail({ status })
    })
    return { call, calls: () => calls }
  }

  live(
    "C-01 C-02 a success and a 500 refresh nothing",
    Effect.gen(function* () {
      const { forms, home, refreshes, url } = yield* scene()
      yield* Effect.gen(function* () {
        const { withAuthRefresh } = yield* QlamAuthClient
        yield* login
        assert.strictEqual((yield* withAuthRefresh(tasks(url), quera)).status, 200)
        assert.lengthOf(forms("/v2/logical/tasks"), 1)
        const broken = api(500)
        assert.deepStrictEqual(yield* Effect.flip(withAuthRefresh(broken.call, quera)), { status: 500 })
        assert.deepStrictEqual([broken.calls(), refreshes().length], [1, 0])
      }).pipe(on(home))
    })
  )

  live(
    "C-03 C-04 C.8#5 a 401 refreshes and is tried again; a 403 only where that is wanted",
    Effect.gen(function* () {
      const { home, refreshes } = yield* scene()
      yield* Effect.gen(function* () {
        const { withAuthRefresh } = yield* QlamAuthClient
        yield* login
        const unauthorized = api(401)
        assert.strictEqual(yield* withAuthRefresh(unauthorized.call, quera), "done")
        assert.deepStrictEqual([unauthorized.calls(), refreshes().length], [2, 1])
        const forbidden = api(403)
        assert.deepStrictEqual(yield* Effect.flip(withAuthRefresh(forbidden.call, quera)), { status: 403 })
        assert.deepStrictEqual([forbidden.calls(), refreshes().length], [1, 1])
        const wanted = api(403)
        assert.strictEqual(yield* withAuthRefresh(wanted.call, { ...quera, forbidden: true }), "done")
        assert.deepStrictEqual([wanted.calls(), refreshes().length], [2, 2])
      }).pipe(on(home))
    })
  )

  live(
    "C-05 a refresh that brings nothing: the first failure, after one call",
    Effect.gen(function* () {
      const { forms, home, idp, url } = yield* scene()
      yield* Effect.gen(function* () {
        const { withAuthRefresh } = yield* QlamAuthClient
        yield* login
        yield* idp.revokeAll
        const error = yield* Effect.flip(withAuthRefresh(tasks(url), quera))
        assert(error._tag === "HttpClientError")
        assert.strictEqual(error.response?.status, 401)
        assert.lengthOf(forms("/v2/logical/tasks"), 1)
      }).pipe(on(home))
    })
  )

  live(
    "C-05 a refresh that brings the same token again is nothing either",
    Effect.gen(function* () {
      const { home, idp, refreshes } = yield* scene()
      yield* Effect.gen(function* () {
        const { withAuthRefresh } = yield* QlamAuthClient
        yield* login
        const body = { access_token: valueOf(yield* token), token_type: "Bearer", expires_in: 86400 }
        yield* idp.faults(Fault.onRequest({ grant: "refresh_token" }, Fault.answer({ status: 200, body })))
        const unauthorized = api(401)
        assert.deepStrictEqual(yield* Effect.flip(withAuthRefresh(unauthorized.call, quera)), { status: 401 })
        assert.deepStrictEqual([unauthorized.calls(), refreshes().length], [1, 1])
      }).pipe(on(home))
    })
  )

  live(
    "C-04 a 401 of the HTTP client's is one, be the status in its answer",
    Effect.gen(function* () {
      const { forms, home, refreshes, url } = yield* scene()
      yield* Effect.gen(function* () {
        const { withAuthRefresh } = yield* QlamAuthClient
        yield* login
        const first = valueOf(yield* token)
        const http = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
        const request = HttpClientRequest.get(`${url}/v2/logical/tasks`)
        // The gateway takes the next token alone.
        const bearer = Effect.map(token, (held) => (valueOf(held) === first ? "refused" : valueOf(held)))
        const call = Effect.flatMap(bearer, (value) => http.execute(HttpClientRequest.bearerToken(request, value)))
        assert.strictEqual((yield* withAuthRefresh(call, quera)).status, 200)
        assert.deepStrictEqual([forms("/v2/logical/tasks").length, refreshes().length], [2, 1])
      }).pipe(on(home))
    })
  )

  live(
    "C-06 failing after it too: two calls, one refresh; many who are refused at once share theirs",
    Effect.gen(function* () {
      const { home, refreshes } = yield* scene()
      yield* Effect.gen(function* () {
        const { withAuthRefresh } = yield* QlamAuthClient
        yield* login
        const always = api(401, 401, 401)
        assert.deepStrictEqual(yield* Effect.flip(withAuthRefresh(always.call, quera)), { status: 401 })
        assert.deepStrictEqual([always.calls(), refreshes().length], [2, 1])
        const each = () => withAuthRefresh(api(401).call, quera)
        yield* Effect.all([each(), each(), each(), each()], { concurrency: "unbounded" })
        assert.lengthOf(refreshes(), 2)
      }).pipe(on(home))
    })
  )
})

describe("withAuthRefresh, of several providers", () => {
  const signedIn = Effect.fnUntraced(function* () {
    const { forms, home, refreshes } = yield* scene()
    const counted = () => {
      const machines = forms("/oauth/token").filter((form) => form["grant_type"] === "client_credentials")
      return { person: refreshes().length, machine: machines.length }
    }
    let calls = 0
    const refusedOnce = Effect.suspend(() =>
      calls++ % 2 === 0 ? Effect.fail({ status: 401 }) : Effect.succeed("done")
    )
    return { home, counted, refusedOnce, calls: () => calls }
  })

  live(
    "C-04 C.8#1 R16 only the one whose token was refused: a machine beside a person costs the quota nothing",
    Effect.gen(function* () {
      const { counted, home, refusedOnce } = yield* signedIn()
      yield* Effect.gen(function* () {
        const { login, withAuthRefresh } = yield* QlamAuthClient
        yield* login("quera")
        yield* login("batch")
        assert.deepStrictEqual(counted(), { person: 0, machine: 1 })
        assert.strictEqual(yield* withAuthRefresh(refusedOnce, { provider: "quera" }), "done")
        assert.deepStrictEqual(counted(), { person: 1, machine: 1 })
        assert.strictEqual(yield* withAuthRefresh(refusedOnce, { plugin: "tasks" }), "done")
        assert.deepStrictEqual(counted(), { person: 2, machine: 1 })
        assert.strictEqual(yield* withAuthRefresh(refusedOnce, { plugin: "results" }), "done")
        assert.deepStrictEqual(counted(), { person: 2, machine: 2 })
      }).pipe(on(home))
    })
  )

  live(
    "C.8#3 C.8#4 which one is said, by the call or by the context; it is not guessed, and no request is made first",
    Effect.gen(function* () {
      const { calls, counted, home, refusedOnce } = yield* signedIn()
      yield* Effect.gen(function* () {
        const { login, withAuthRefresh } = yield* QlamAuthClient
        yield* login("quera")
        for (const options of [{}, { plugin: "sweeps" }, { provider: "nobody" }]) {
          const error = yield* Effect.flip(withAuthRefresh(refusedOnce, options))
          assert("_tag" in error && error._tag === "ConfigurationInvalid")
          assert.include(error.message, "there is quera, batch")
        }
        assert.deepStrictEqual([calls(), counted().person], [0, 0])
      }).pipe(on(home))
      yield* Effect.gen(function* () {
        const { login, withAuthRefresh } = yield* QlamAuthClient
        yield* login("quera")
        assert.strictEqual(yield* withAuthRefresh(refusedOnce), "done")
        assert.strictEqual(counted().person, 1)
      }).pipe(on(home, { context: "other" }))
    })
  )
})

describe("who, and for whom", () => {
  live(
    "C-07 C-08 the user's id is a claim that ends so; without one the error names the context",
    Effect.gen(function* () {
      const { home } = yield* scene()
      yield* Effect.gen(function* () {
        const { userInfo } = yield* QlamAuthClient
        yield* login
        assert.deepStrictEqual(yield* userInfo("quera"), { userId })
        const error = yield* Effect.flip(userInfo("batch"))
        assert.deepStrictEqual(error, new UserIdMissing({ context: "gemini", provider: "batch" }))
        assert.include(error.message, "context gemini")
      }).pipe(on(home))
    })
  )

  live(
    "the group is the task's own, else the plugin's, else the context's; each plugin has its provider",
    Effect.gen(function* () {
      const { home } = yield* scene()
      yield* Effect.gen(function* () {
        const { groupFor, providerFor } = yield* QlamAuthClient
        assert.deepStrictEqual(groupFor("tasks", "mine"), Option.some("mine"))
        assert.deepStrictEqual(groupFor("tasks"), Option.some("tasks"))
        assert.deepStrictEqual(groupFor("results"), Option.some("everyone"))
        assert.strictEqual((yield* providerFor("results")).key.account, "gemini/batch")
      }).pipe(on(home))
      const none = QlamAuthClient.useSync(({ groupFor }) => groupFor("tasks")).pipe(on(home, { context: "other" }))
      assert.isTrue(Option.isNone(yield* none))
    })
  )

  live(
    "C-11 C-12 C-13 C.8#4 one mistake is one typed error, whatever is asked; the others go on",
    Effect.gen(function* () {
      const { home } = yield* scene({ client_id: undefined })
      yield* Effect.gen(function* () {
        const { credential, isAnyAuthenticated, isAuthenticated, login, refreshAll, token } = yield* QlamAuthClient
        const errors = yield* Effect.all([
          Effect.flip(login("quera")),
          Effect.flip(token("quera")),
          Effect.flip(isAuthenticated("quera")),
          Effect.flip(credential("quera"))
        ])
        for (const error of errors) {
          assert.strictEqual(named(error), "ConfigurationInvalid.MissingValue")
          assert.include(error.message, "gemini.quera.client_id")
        }
        const { batch, quera } = yield* refreshAll()
        assert.deepStrictEqual([batch?._tag, quera?._tag], ["Success", "Failure"])
        assert.isTrue(Option.isSome(yield* credential("batch")))
        assert.isTrue(yield* isAnyAuthenticated)
        assert.lengthOf(yield* CredentialStore.use(({ list }) => list), 1)
      }).pipe(on(home))
      const nobody = yield* qshDirectory({ contexts: [{ name: "empty" }] })
      assert.deepStrictEqual(yield* QlamAuthClient.use(({ list }) => list).pipe(on(nobody)), [])
    })
  )
})
