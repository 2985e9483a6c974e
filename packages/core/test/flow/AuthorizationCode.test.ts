import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted, Schema } from "effect"
import { WebCrypto } from "effect/crypto"
import { TestClock } from "effect/testing"
import {
  AuthorizationCode,
  type BrowserPrompt,
  CredentialStore,
  Login,
  PendingAuthorization,
  RedirectReceiver,
  UserPrompt
} from "keyfob"
import {
  clients,
  Fault,
  patiently,
  type PersonScript,
  type ProviderOptions,
  SimulatedBrowser,
  SimulatedPerson,
  SimulatedProvider
} from "@keyfob/testing"
import { named } from "../scripted.ts"

const issuer = "https://id.simulated.test"
const base = { issuer, clientId: clients.cli.client_id, scopes: ["openid", "offline_access"] }
const flow = AuthorizationCode.make(base)
const redirectUri = "http://127.0.0.1:49152/callback"

const scene = (script: PersonScript = { person: "alice" }, options?: ProviderOptions) =>
  SimulatedPerson.layer(script).pipe(
    Layer.provideMerge([CredentialStore.layerMemory, SimulatedProvider.layer(options)])
  )

/** What a login ends with, in one word, where the provider does one thing differently. */
const endsWith = (fault: Fault.Fault, options: Partial<AuthorizationCode.AuthorizationCodeOptions> = {}) =>
  Effect.gen(function* () {
    yield* (yield* SimulatedProvider).faults(fault)
    const exit = yield* Effect.result(patiently(Login.login(AuthorizationCode.make({ ...base, ...options }))))
    return exit._tag === "Success" ? "signed in" : named(exit.failure)
  })

const onAuthorization = (params: Readonly<Record<string, string | undefined>>) =>
  Fault.onRequest({ endpoint: "authorization" }, Fault.callback(params))
const onToken = (lie: Parameters<typeof Fault.idToken>[0]) => Fault.onRequest({ endpoint: "token" }, Fault.idToken(lie))
const onDiscovery = (members: Readonly<Record<string, unknown>>) =>
  Fault.onRequest({ endpoint: "discovery", times: 9 }, Fault.altered(members))

/** The parameters of the request a flow sends a browser out with. */
const requestOf = (options: Partial<AuthorizationCode.AuthorizationCodeOptions>) =>
  Effect.map(Login.begin(AuthorizationCode.make({ ...base, ...options }), { redirectUri }), ({ pending, url }) => {
    const { origin, pathname, searchParams } = new URL(Redacted.value(url))
    return { pending, page: `${origin}${pathname}`, query: Object.fromEntries(searchParams), all: searchParams }
  })

/** The answer a person's browser brings, as an address. */
const answerTo = (url: Redacted.Redacted, person = "alice") =>
  Effect.map(SimulatedBrowser.visit(Redacted.value(url), { person, decision: "approve" }), ({ href }) => href)

describe("AuthorizationCode: the request", () => {
  it.effect("is code with S256, and has state, nonce and challenge of its own each time", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* requestOf({}), yield* requestOf({})]
      assert.strictEqual(one.page, `${issuer}/authorize`)
      assert.deepInclude(one.query, {
        response_type: "code",
        client_id: "keyfob-cli",
        redirect_uri: redirectUri,
        scope: "openid offline_access",
        code_challenge_method: "S256"
      })
      for (const name of ["state", "nonce", "code_challenge"]) {
        assert.match(one.query[name] ?? "", /^[\w-]{43}$/, name)
        assert.notStrictEqual(one.query[name], other.query[name])
      }
    }).pipe(Effect.provide(scene()))
  )

  it.effect("draws from the WebCrypto reference: equal chance, equal request", () =>
    Effect.gen(function* () {
      const zeros = { getRandomValues: (bytes: Uint8Array) => bytes.fill(0), subtle: globalThis.crypto.subtle }
      const { query } = yield* requestOf({}).pipe(
        // The two members that are used.
        Effect.provideService(WebCrypto.WebCrypto, zeros as unknown as Crypto)
      )
      assert.strictEqual(query["state"], "A".repeat(43))
      // SHA-256 of 43 letters A, as base64url.
      assert.strictEqual(query["code_challenge"], "DwBzhbb51LfusnSGBa_hqYSgo7-j8BTQnip4TOnlzRo")
    }).pipe(Effect.provide(scene()))
  )

  it.effect("asks for consent where it asks for offline_access, but not where nobody may be asked", () =>
    Effect.gen(function* () {
      const promptOf = (options: Partial<AuthorizationCode.AuthorizationCodeOptions>) =>
        Effect.map(requestOf(options), ({ query }) => query["prompt"])
      assert.strictEqual(yield* promptOf({}), "consent")
      assert.strictEqual(yield* promptOf({ prompt: ["login"] }), "login consent")
      assert.strictEqual(yield* promptOf({ prompt: ["consent", "login"] }), "consent login")
      assert.strictEqual(yield* promptOf({ prompt: ["none"] }), "none")
      assert.isUndefined(yield* promptOf({ scopes: ["openid"] }))
    }).pipe(Effect.provide(scene()))
  )

  it.effect("says what is asked of the person and the token", () =>
    Effect.gen(function* () {
      const { all, query } = yield* requestOf({
        loginHint: "alice@example.com",
        maxAge: "5 minutes",
        acrValues: ["phr", "mfa"],
        uiLocales: ["de-AT", "en"],
        audience: "https://api.example",
        resource: ["https://one.example", "https://two.example"],
        responseMode: "form_post",
        params: {
          tenant: "blue",
          state: "mine",
          response_type: "token",
          code_challenge_method: "plain",
          nonce: "n",
          request: "e30."
        }
      })
      assert.deepInclude(query, {
        login_hint: "alice@example.com",
        max_age: "300",
        acr_values: "phr mfa",
        ui_locales: "de-AT en",
        audience: "https://api.example",
        response_mode: "form_post",
        tenant: "blue",
        response_type: "code",
        code_challenge_method: "S256"
      })
      assert.notProperty(query, "request", "it would replace all the others (RFC 9101)")
      assert.deepStrictEqual(all.getAll("resource"), ["https://one.example", "https://two.example"])
      for (const name of ["state", "nonce"]) assert.match(query[name] ?? "", /^[\w-]{43}$/)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("has no nonce where no ID token is asked for", () =>
    Effect.gen(function* () {
      const { pending, query } = yield* requestOf({ scopes: ["api:read"] })
      assert.notProperty(query, "nonce")
      assert.isUndefined(pending.nonce)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("keeps a query that the endpoint has already", () =>
    Effect.gen(function* () {
      yield* (yield* SimulatedProvider).faults(
        onDiscovery({ authorization_endpoint: `${issuer}/authorize?tenant=blue&scope=wrong` })
      )
      const { all } = yield* requestOf({})
      assert.strictEqual(all.get("tenant"), "blue")
      assert.deepStrictEqual(all.getAll("scope"), ["openid offline_access"])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("is pushed first where the provider requires it, and the browser carries a reference alone", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.faults(onDiscovery({ require_pushed_authorization_requests: true }))
      const { query } = yield* requestOf({})
      assert.hasAllKeys(query, ["client_id", "request_uri"])
      assert.match(query["request_uri"] ?? "", /^urn:ietf:params:oauth:request_uri:/)
      const { account } = yield* patiently(Login.login(flow))
      assert.strictEqual(account?.sub, "alice")
      yield* idp.expectRequests([{}, {}], { endpoint: "pushed_authorization_request" })
    }).pipe(Effect.provide(scene()))
  )

  for (const [what, methods, end] of [
    ["plain alone", ["plain"], "ConfigurationInvalid.NotSupported"],
    ["no method", [], "ConfigurationInvalid.NotSupported"],
    // Silence is common among providers that do it: it is sent all the same, and the nonce binds the answer too.
    ["nothing about it", undefined, "signed in"]
  ] as const) {
    it.effect(`attack: PKCE downgrade, where the metadata lists ${what}: ${end}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* endsWith(onDiscovery({ code_challenge_methods_supported: methods })), end)
      }).pipe(Effect.provide(scene()))
    )
  }

  it.effect("a redirect URI that is none is a configuration to correct", () =>
    Effect.gen(function* () {
      for (const wrong of ["callback", "https://app.example/callback#here"]) {
        const error = yield* Effect.flip(Login.begin(flow, { redirectUri: wrong }))
        assert.strictEqual(named(error), "ConfigurationInvalid.InvalidValue")
      }
    }).pipe(Effect.provide(scene()))
  )
})

describe("AuthorizationCode: the answer", () => {
  it.effect(
    "signs a person in: R1, the credential is kept; the code is sent once, with the verifier and the resource",
    () =>
      Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        const credential = yield* patiently(Login.login(flow))
        assert.strictEqual(credential.account?.sub, "alice")
        assert.isTrue(yield* idp.accepts(credential.token))
        const { get } = yield* CredentialStore
        assert.isTrue((yield* get(flow.key))._tag === "Some")
        const [exchange, ...more] = (yield* idp.requests).filter(({ endpoint }) => endpoint === "token")
        assert.deepStrictEqual(more, [])
        assert.deepInclude(exchange?.params, { grant_type: "authorization_code", redirect_uri: redirectUri })
        assert.isTrue(Redacted.isRedacted(exchange?.params["code_verifier"]))
      }).pipe(Effect.provide(scene()))
  )

  it.effect("a person says no: Denied", () =>
    Effect.gen(function* () {
      assert.strictEqual(named(yield* Effect.flip(patiently(Login.login(flow)))), "LoginFailed.Denied")
    }).pipe(Effect.provide(scene({ person: "alice", decision: "deny" })))
  )

  for (const [code, end] of [
    ["access_denied", "LoginFailed.Denied"],
    ["login_required", "ProviderRefused.LoginRequired"],
    ["interaction_required", "ProviderRefused.InteractionRequired"],
    ["consent_required", "ProviderRefused.ConsentRequired"],
    ["account_selection_required", "ProviderRefused.AccountSelectionRequired"],
    ["unmet_authentication_requirements", "ProviderRefused.UnmetAuthenticationRequirements"],
    ["invalid_scope", "ProviderRefused.InvalidScope"],
    ["invalid_target", "ProviderRefused.InvalidTarget"],
    ["unauthorized_client", "ProviderRefused.UnauthorizedClient"],
    ["unsupported_response_type", "ProviderRefused.UnsupportedGrantType"],
    ["temporarily_unavailable", "ProviderUnavailable.ServerError"],
    ["something_new", "ProviderRefused.Other"]
  ] as const) {
    it.effect(`the error ${code} is ${end}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* endsWith(onAuthorization({ code: undefined, error: code })), end)
        yield* (yield* SimulatedProvider).expectRequests([], { endpoint: "token" })
      }).pipe(Effect.provide(scene()))
    )
  }

  it.effect("prompt=none where nobody is signed in: typed, and nobody is asked", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* endsWith(Fault.onRequest({ endpoint: "userinfo" }, Fault.half), { prompt: ["none"] }),
        "ProviderRefused.LoginRequired"
      )
    }).pipe(Effect.provide(scene()))
  )

  for (const [attack, fault, end] of [
    ["mix-up: another issuer answers (RFC 9207)", onAuthorization({ iss: "https://attacker.test" }), "IssuerMismatch"],
    ["mix-up: no issuer, though one is promised", onAuthorization({ iss: undefined }), "IssuerMismatch"],
    [
      "mix-up: another issuer answers with an error",
      onAuthorization({ iss: "https://attacker.test", code: undefined, error: "access_denied" }),
      "IssuerMismatch"
    ],
    ["an issuer that differs by a slash", onAuthorization({ iss: `${issuer}/` }), "IssuerMismatch"],
    ["no code and no error", onAuthorization({ code: undefined }), "Malformed"],
    ["an access token in front", onAuthorization({ access_token: "t" }), "Malformed"],
    ["an ID token in front", onAuthorization({ id_token: "t" }), "Malformed"],
    ["a JWT instead of an answer", onAuthorization({ code: undefined, response: "e30.e30.e30" }), "Malformed"]
  ] as const) {
    it.effect(`attack: ${attack}: AnswerRejected.${end}, and no code is spent`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* endsWith(fault), `AnswerRejected.${end}`)
        yield* (yield* SimulatedProvider).expectRequests([], { endpoint: "token" })
      }).pipe(Effect.provide(scene()))
    )
  }

  it.effect("attack: mix-up at a provider that does not promise an issuer: a wrong one is refused, none is fine", () =>
    Effect.gen(function* () {
      const silent = { authorization_response_iss_parameter_supported: undefined }
      const idp = yield* SimulatedProvider
      yield* idp.faults(onDiscovery(silent))
      assert.strictEqual(yield* endsWith(onAuthorization({ iss: undefined })), "signed in")
      assert.strictEqual(
        yield* endsWith(onAuthorization({ iss: "https://attacker.test" })),
        "AnswerRejected.IssuerMismatch"
      )
    }).pipe(Effect.provide(scene()))
  )

  for (const [module, fault, end] of [
    ["oidcc-client-test-nonce-invalid", onToken({ claims: { nonce: "of another login" } }), "TokenRejected.Nonce"],
    ["a nonce is missing", onToken({ claims: { nonce: undefined } }), "TokenRejected.Nonce"],
    ["oidcc-client-test-invalid-iss", onToken({ claims: { iss: "https://attacker.test" } }), "TokenRejected.Issuer"],
    ["oidcc-client-test-invalid-aud", onToken({ claims: { aud: "another-client" } }), "TokenRejected.Audience"],
    ["oidcc-client-test-missing-sub", onToken({ claims: { sub: undefined } }), "TokenRejected.MissingClaim"],
    ["oidcc-client-test-missing-iat", onToken({ claims: { iat: undefined } }), "TokenRejected.MissingClaim"],
    ["oidcc-client-test-idtoken-sig-none", onToken({ signature: "none" }), "TokenRejected.Algorithm"],
    [
      "no ID token at all",
      Fault.onRequest({ endpoint: "token" }, Fault.altered({ id_token: undefined })),
      "AnswerRejected.Malformed"
    ]
  ] as const) {
    it.effect(`attack: ${module}: ${end}, and nobody is signed in`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* endsWith(fault), end)
        assert.deepStrictEqual(yield* (yield* CredentialStore).list, [])
      }).pipe(Effect.provide(scene()))
    )
  }

  for (const [what, claims, options, end] of [
    ["no auth_time", { auth_time: undefined }, { maxAge: "1 minute" }, "TokenRejected.MissingClaim"],
    ["an auth_time too long ago", { auth_time: -91 }, { maxAge: "1 minute" }, "TokenRejected.AuthenticationTime"],
    ["an auth_time at the tolerance's end", { auth_time: -90 }, { maxAge: "1 minute" }, "signed in"],
    ["no acr", { acr: undefined }, { acrValues: ["mfa"] }, "TokenRejected.AuthenticationContext"],
    ["another acr", { acr: "pwd" }, { acrValues: ["phr", "mfa"] }, "TokenRejected.AuthenticationContext"],
    [
      "no auth_time, where an extra parameter asks",
      { auth_time: undefined },
      { params: { max_age: "60" } },
      "TokenRejected.MissingClaim"
    ],
    [
      "another acr, where an extra parameter asks",
      { acr: "pwd" },
      { params: { acr_values: "phr mfa" } },
      "TokenRejected.AuthenticationContext"
    ],
    ["one that an extra parameter names", { acr: "mfa" }, { params: { acr_values: "phr mfa" } }, "signed in"],
    ["one of the acr values", { acr: "mfa" }, { acrValues: ["phr", "mfa"] }, "signed in"],
    ["any acr and auth_time where none is asked", { acr: "pwd", auth_time: -9e9 }, {}, "signed in"]
  ] as const) {
    it.effect(`max_age and acr_values are checked: ${what}: ${end}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* endsWith(onToken({ claims }), options), end)
      }).pipe(Effect.provide(scene()))
    )
  }

  it.effect("R6 a code whose exchange got no answer is not sent again: it may be spent", () =>
    Effect.gen(function* () {
      const end = yield* endsWith(Fault.onRequest({ endpoint: "token", times: 9 }, Fault.resetAfter))
      assert.strictEqual(end, "ProviderUnavailable.AnswerLost")
      yield* (yield* SimulatedProvider).expectRequests([{}], { endpoint: "token" })
    }).pipe(Effect.provide(scene()))
  )
})

describe("AuthorizationCode in two halves, for a web app", () => {
  const Stored = Schema.fromJsonString(Schema.toCodecJson(PendingAuthorization))

  it.effect("begins, is remembered as text, and completes; what is remembered is hidden where it is printed", () =>
    Effect.gen(function* () {
      const { pending, url } = yield* Login.begin(flow, { redirectUri })
      const text = yield* Schema.encodeEffect(Stored)(pending)
      const state = Redacted.value(pending.state)
      assert.include(text, state)
      assert.notInclude(`${pending} ${JSON.stringify(pending)} ${url}`, state)
      const remembered = yield* Schema.decodeEffect(Stored)(text)
      const credential = yield* Login.complete(
        flow,
        remembered,
        (yield* answerTo(url)).slice("http://127.0.0.1:49152".length)
      )
      assert.strictEqual(credential.account?.sub, "alice")
    }).pipe(Effect.provide(scene()))
  )

  it.effect("takes the form that a browser posted", () =>
    Effect.gen(function* () {
      const posting = AuthorizationCode.make({ ...base, responseMode: "form_post" })
      const { pending, url } = yield* Login.begin(posting, { redirectUri })
      const form = new URL(yield* answerTo(url)).search.slice(1)
      assert.strictEqual((yield* Login.complete(posting, pending, form)).account?.sub, "alice")
    }).pipe(Effect.provide(scene()))
  )

  it.effect("C-18 attack: CSRF, the answer to somebody else's login is refused before its code is spent", () =>
    Effect.gen(function* () {
      const mine = yield* Login.begin(flow, { redirectUri })
      const theirs = yield* Login.begin(flow, { redirectUri })
      const answer = yield* answerTo(theirs.url, "bob")
      for (const wrong of [answer, "/callback?code=x", "", `${yield* answerTo(mine.url)}&state=x`]) {
        assert.strictEqual(
          named(yield* Effect.flip(Login.complete(flow, mine.pending, wrong))),
          "AnswerRejected.StateMismatch"
        )
      }
      yield* (yield* SimulatedProvider).expectRequests([], { endpoint: "token" })
    }).pipe(Effect.provide(scene()))
  )

  it.effect("attack: a parameter given twice is refused", () =>
    Effect.gen(function* () {
      const { pending, url } = yield* Login.begin(flow, { redirectUri })
      const answer = `${yield* answerTo(url)}&code=another`
      assert.strictEqual(named(yield* Effect.flip(Login.complete(flow, pending, answer))), "AnswerRejected.Malformed")
    }).pipe(Effect.provide(scene()))
  )

  it.effect("attack: code injection, somebody else's code with one's own state: the proof key does not fit", () =>
    Effect.gen(function* () {
      const mine = yield* Login.begin(flow, { redirectUri })
      const theirs = yield* Login.begin(flow, { redirectUri })
      const injected = new URL(yield* answerTo(theirs.url, "bob"))
      injected.searchParams.set("state", Redacted.value(mine.pending.state))
      const error = yield* Effect.flip(Login.complete(flow, mine.pending, injected.href))
      assert.strictEqual(named(error), "ProviderRefused.InvalidGrant")
      assert.deepStrictEqual(yield* (yield* CredentialStore).list, [])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("attack: code injection where the provider does not look at the proof key: the nonce does not fit", () =>
    Effect.gen(function* () {
      const theirs = yield* Login.begin(flow, { redirectUri })
      const mine = yield* Login.begin(flow, { redirectUri })
      // Such a provider is the same as one whose client shows the other's key.
      const pending = PendingAuthorization.make({ ...mine.pending, verifier: theirs.pending.verifier })
      const injected = new URL(yield* answerTo(theirs.url, "bob"))
      injected.searchParams.set("state", Redacted.value(mine.pending.state))
      const error = yield* Effect.flip(Login.complete(flow, pending, injected.href))
      assert.strictEqual(named(error), "TokenRejected.Nonce")
      assert.deepStrictEqual(yield* (yield* CredentialStore).list, [])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("attack: an answer is used once, and a replayed ID token belongs to no later login", () =>
    Effect.gen(function* () {
      const { pending, url } = yield* Login.begin(flow, { redirectUri })
      const answer = yield* answerTo(url)
      const { idToken } = yield* Login.complete(flow, pending, answer)
      assert.strictEqual(
        named(yield* Effect.flip(Login.complete(flow, pending, answer))),
        "ProviderRefused.InvalidGrant"
      )
      const next = yield* Login.begin(flow, { redirectUri })
      yield* (yield* SimulatedProvider).faults(
        Fault.onRequest(
          { endpoint: "token" },
          Fault.altered({ id_token: idToken === undefined ? undefined : Redacted.value(idToken) })
        )
      )
      const error = yield* Effect.flip(Login.complete(flow, next.pending, yield* answerTo(next.url)))
      assert.strictEqual(named(error), "TokenRejected.Nonce")
    }).pipe(Effect.provide(scene()))
  )

  it.effect("attack: mix-up, what was begun at one provider is not completed at another", () =>
    Effect.gen(function* () {
      const { pending, url } = yield* Login.begin(flow, { redirectUri })
      const elsewhere = PendingAuthorization.make({ ...pending, issuer: "https://attacker.test" })
      const error = yield* Effect.flip(Login.complete(flow, elsewhere, yield* answerTo(url)))
      assert.strictEqual(named(error), "AnswerRejected.IssuerMismatch")
    }).pipe(Effect.provide(scene()))
  )
})

describe("AuthorizationCode: a person in front of it", () => {
  /** A login under way: what was shown, a way to bring answers, and whether the place for them is open. */
  const begun = Effect.gen(function* () {
    const shown: Array<BrowserPrompt> = []
    const place: { open: boolean; bring: (text: string) => boolean; end?: Exit.Exit<unknown, unknown> } = {
      open: false,
      bring: () => false
    }
    const screen = Layer.merge(
      Layer.mock(UserPrompt, { browser: (prompt) => Effect.sync(() => void shown.push(prompt)) }),
      Layer.succeed(RedirectReceiver, {
        open: ({ recognizes }) =>
          Effect.gen(function* () {
            place.open = true
            yield* Effect.addFinalizer((exit) =>
              Effect.sync(() => {
                place.open = false
                place.end = exit
              })
            )
            const answer = Effect.callback<Redacted.Redacted>((resume) => {
              place.bring = (text) => {
                const taken = recognizes(text)
                if (taken) resume(Effect.succeed(Redacted.make(text)))
                return taken
              }
            })
            return { redirectUri, answer }
          })
      })
    )
    const fiber = yield* Login.login(flow).pipe(Effect.provide(screen), Effect.forkChild)
    yield* TestClock.adjust("1 second")
    const [prompt] = shown
    if (prompt === undefined) return assert.fail("nothing was shown")
    const answer = SimulatedBrowser.visit(prompt.url, { person: "alice", decision: "approve" })
    const paste = (text: string) => prompt.paste(Redacted.make(text))
    return { fiber, place, prompt, answer, paste }
  })

  it.effect("a wrong state is refused, and the login goes on", () =>
    Effect.gen(function* () {
      const { answer, fiber, place } = yield* begun
      const { href, searchParams } = yield* answer
      assert.isFalse(place.bring(href.replace(searchParams.get("state") ?? "", "A".repeat(43))))
      assert.isFalse(place.bring("/callback?error=access_denied"))
      assert.isTrue(place.bring(href))
      assert.strictEqual((yield* patiently(Fiber.join(fiber))).account?.sub, "alice")
    }).pipe(Effect.provide(scene()))
  )

  it.effect("the address is pasted: blanks around it do not matter, another login's does", () =>
    Effect.gen(function* () {
      const { answer, fiber, paste, place } = yield* begun
      const { href } = yield* answer
      for (const wrong of [
        "",
        "hello",
        "https://id.simulated.test/authorize",
        redirectUri,
        href.replace("state=", "state=x"),
        "yes please do"
      ]) {
        assert.isFalse(yield* paste(wrong), wrong)
      }
      assert.isTrue(yield* paste(`  ${href}\n`))
      assert.strictEqual((yield* patiently(Fiber.join(fiber))).account?.sub, "alice")
      assert.isFalse(place.open)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("the code alone is pasted; one that is none costs nothing, and the browser can still come", () =>
    Effect.gen(function* () {
      const { answer, fiber, paste } = yield* begun
      assert.isTrue(yield* paste("no-code-of-anybody"))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(fiber.pollUnsafe())
      assert.isTrue(yield* paste((yield* answer).searchParams.get("code") ?? ""))
      assert.strictEqual((yield* patiently(Fiber.join(fiber))).account?.sub, "alice")
    }).pipe(Effect.provide(scene()))
  )

  it.effect("browser and paste race: the first one counts, and its code is spent once", () =>
    Effect.gen(function* () {
      const { answer, fiber, paste, place } = yield* begun
      const { href } = yield* answer
      assert.isTrue(place.bring(href))
      yield* paste(href)
      yield* patiently(Fiber.join(fiber))
      yield* (yield* SimulatedProvider).expectRequests([{}], { endpoint: "token" })
    }).pipe(Effect.provide(scene()))
  )

  it.effect("nobody comes: Expired after ten minutes, and the place is closed", () =>
    Effect.gen(function* () {
      const { fiber, place } = yield* begun
      yield* TestClock.adjust("598 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(named(yield* Effect.flip(Fiber.join(fiber))), "LoginFailed.Expired")
      assert.isFalse(place.open)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("the place is closed with the login, and told how that ended: after the ID token was looked at", () =>
    Effect.gen(function* () {
      yield* (yield* SimulatedProvider).faults(onToken({ claims: { nonce: "another" } }))
      const { answer, fiber, place } = yield* begun
      place.bring((yield* answer).href)
      assert.strictEqual(named(yield* Effect.flip(patiently(Fiber.join(fiber)))), "TokenRejected.Nonce")
      assert.isTrue(place.end !== undefined && Exit.isFailure(place.end))
    }).pipe(Effect.provide(scene()))
  )

  it.effect("is cancelled: the place is closed at once", () =>
    Effect.gen(function* () {
      const { fiber, place } = yield* begun
      assert.isTrue(place.open)
      yield* Fiber.interrupt(fiber)
      assert.isFalse(place.open)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("nothing is opened where the provider has no page to sign in at", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* endsWith(onDiscovery({ authorization_endpoint: undefined })),
        "ConfigurationInvalid.NotSupported"
      )
    }).pipe(Effect.provide(Layer.merge(scene(), Layer.mock(RedirectReceiver, {}))))
  )
})
