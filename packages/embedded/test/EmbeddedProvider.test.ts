import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Exit, Schema, Scope } from "effect"
import { createHash, randomBytes } from "node:crypto"
import { connect, type Socket } from "node:net"
import { clients, EmbeddedProvider, Person } from "../src/index.ts"

// The provider is what other tests trust, so it is spoken to with `fetch` here and not with Keyfob.
const Metadata = Schema.Struct({
  issuer: Schema.String,
  token_endpoint: Schema.String,
  authorization_endpoint: Schema.String,
  device_authorization_endpoint: Schema.String,
  revocation_endpoint: Schema.String,
  introspection_endpoint: Schema.String,
  userinfo_endpoint: Schema.String,
  end_session_endpoint: Schema.String,
  jwks_uri: Schema.String
})
const Tokens = Schema.Struct({
  access_token: Schema.String,
  refresh_token: Schema.optionalKey(Schema.String),
  id_token: Schema.optionalKey(Schema.String),
  scope: Schema.optionalKey(Schema.String),
  expires_in: Schema.Finite
})
const OAuthError = Schema.Struct({ error: Schema.String })
const Device = Schema.Struct({
  device_code: Schema.String,
  user_code: Schema.String,
  verification_uri: Schema.String,
  verification_uri_complete: Schema.String,
  interval: Schema.optionalKey(Schema.Finite)
})

const send = Effect.fnUntraced(function* (url: string, init: RequestInit = {}) {
  return yield* Effect.tryPromise(async (signal) => {
    const response = await fetch(url, { ...init, signal })
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json().catch(() => undefined)) as unknown
    }
  })
})
const post = (url: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
  send(url, { method: "POST", body: new URLSearchParams(form), headers })
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

const discover = Effect.gen(function* () {
  const { issuer } = yield* EmbeddedProvider
  const { body } = yield* send(`${issuer}/.well-known/openid-configuration`)
  return yield* Schema.decodeUnknownEffect(Metadata)(body)
})
const errorOf = (reply: { readonly body: unknown }) =>
  Effect.map(Schema.decodeUnknownEffect(OAuthError)(reply.body), ({ error }) => error)
const tokensOf = (reply: { readonly body: unknown }) => Schema.decodeUnknownEffect(Tokens)(reply.body)

const askForDevice = Effect.fnUntraced(function* (scope: string) {
  const { device_authorization_endpoint } = yield* discover
  const { body } = yield* post(device_authorization_endpoint, { client_id: clients.cli.id, scope })
  return yield* Schema.decodeUnknownEffect(Device)(body)
})
const poll = Effect.fnUntraced(function* (device_code: string) {
  const { token_endpoint } = yield* discover
  const grant_type = "urn:ietf:params:oauth:grant-type:device_code"
  return yield* post(token_endpoint, { client_id: clients.cli.id, grant_type, device_code })
})
const refresh = Effect.fnUntraced(function* (refresh_token: string | undefined) {
  const { token_endpoint } = yield* discover
  return yield* post(token_endpoint, {
    client_id: clients.cli.id,
    grant_type: "refresh_token",
    refresh_token: refresh_token ?? ""
  })
})
const signIn = Effect.fnUntraced(function* (scope = "openid profile email offline_access") {
  const device = yield* askForDevice(scope)
  yield* Person.approve(device.verification_uri_complete)
  return yield* tokensOf(yield* poll(device.device_code))
})

const formEncode = (text: string) => new URLSearchParams({ x: text }).toString().slice(2)
const basic = (id: string, secret: string, encode = formEncode) => ({
  authorization: `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString("base64")}`
})

layer(EmbeddedProvider.layer())("EmbeddedProvider", (it) => {
  it.effect("describes itself, by its own address", () =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      assert.match(issuer, /^http:\/\/127\.0\.0\.1:\d+$/)
      assert.strictEqual((yield* discover).issuer, issuer)
    })
  )

  it.effect("a person approves a device, and the API knows who it is", () =>
    Effect.gen(function* () {
      const { apiUrl } = yield* EmbeddedProvider
      const device = yield* askForDevice("openid profile email offline_access")
      assert.isUndefined(device.interval)
      assert.strictEqual(yield* errorOf(yield* poll(device.device_code)), "authorization_pending")

      yield* Person.approve(
        { verificationUri: device.verification_uri, userCode: device.user_code },
        { account: "bob" }
      )
      const tokens = yield* tokensOf(yield* poll(device.device_code))
      assert.isDefined(tokens.refresh_token)
      assert.isDefined(tokens.id_token)

      const me = yield* send(apiUrl, bearer(tokens.access_token))
      assert.strictEqual(me.status, 200)
      assert.deepInclude(me.body, { sub: "bob", name: "Bob Example", token: "opaque" })
      const userinfo = yield* send((yield* discover).userinfo_endpoint, bearer(tokens.access_token))
      assert.deepInclude(userinfo.body, { sub: "bob", email: "bob@example.com" })
    })
  )

  it.effect("a person says no to a device", () =>
    Effect.gen(function* () {
      const device = yield* askForDevice("openid")
      yield* Person.deny(device.verification_uri_complete)
      assert.strictEqual(yield* errorOf(yield* poll(device.device_code)), "access_denied")
    })
  )

  it.effect("a person with a code nobody gave out is refused", () =>
    Effect.gen(function* () {
      const { verification_uri } = yield* askForDevice("openid")
      const error = yield* Effect.flip(Person.approve({ verificationUri: verification_uri, userCode: "AAAA-AAAA" }))
      assert.strictEqual(error.reason._tag, "Refused")
    })
  )

  it.effect("a browser comes back with a code, good for tokens with the right verifier", () =>
    Effect.gen(function* () {
      const { authorization_endpoint, issuer, token_endpoint } = yield* discover
      const verifier = randomBytes(32).toString("base64url")
      const redirect_uri = "http://127.0.0.1:50123/callback" // any port: the client is a native one
      const url = `${authorization_endpoint}?${new URLSearchParams({
        client_id: clients.cli.id,
        response_type: "code",
        redirect_uri,
        scope: "openid offline_access",
        prompt: "consent", // OpenID Connect Core, 11: without it offline_access is dropped
        state: "abc",
        code_challenge: createHash("sha256").update(verifier).digest("base64url"),
        code_challenge_method: "S256"
      })}`

      const no = new URL((yield* Person.deny(url, { followRedirect: false })).url)
      assert.strictEqual(no.searchParams.get("error"), "access_denied")

      const yes = new URL((yield* Person.approve(url, { followRedirect: false })).url)
      assert.strictEqual(yes.origin + yes.pathname, redirect_uri)
      assert.strictEqual(yes.searchParams.get("state"), "abc")
      assert.strictEqual(yes.searchParams.get("iss"), issuer)
      const exchange = {
        client_id: clients.cli.id,
        grant_type: "authorization_code",
        redirect_uri,
        code: yes.searchParams.get("code") ?? ""
      }
      assert.strictEqual(
        yield* errorOf(yield* post(token_endpoint, { ...exchange, code_verifier: "x".repeat(43) })),
        "invalid_grant"
      )
      const again = new URL((yield* Person.approve(url, { followRedirect: false })).url)
      const tokens = yield* tokensOf(
        yield* post(token_endpoint, {
          ...exchange,
          code: again.searchParams.get("code") ?? "",
          code_verifier: verifier
        })
      )
      assert.isDefined(tokens.refresh_token)
    })
  )

  it.effect("a refresh token is good once; its second use ends the grant", () =>
    Effect.gen(function* () {
      const { apiUrl } = yield* EmbeddedProvider
      const first = yield* signIn()
      const second = yield* tokensOf(yield* refresh(first.refresh_token))
      assert.notStrictEqual(second.access_token, first.access_token)
      assert.notStrictEqual(second.refresh_token, first.refresh_token)
      assert.strictEqual((yield* send(apiUrl, bearer(second.access_token))).status, 200)

      assert.strictEqual(yield* errorOf(yield* refresh(first.refresh_token)), "invalid_grant")
      assert.strictEqual(yield* errorOf(yield* refresh(second.refresh_token)), "invalid_grant")
      assert.strictEqual((yield* send(apiUrl, bearer(second.access_token))).status, 401)
    })
  )

  it.effect("the API refuses a revoked token, and says how to authenticate", () =>
    Effect.gen(function* () {
      const { apiUrl } = yield* EmbeddedProvider
      const { introspection_endpoint, revocation_endpoint } = yield* discover
      const { access_token, refresh_token } = yield* signIn()
      const ask = post(introspection_endpoint, { client_id: clients.cli.id, token: access_token })
      assert.deepInclude((yield* ask).body, { active: true, sub: "alice" })

      // revoking the refresh token takes the access token along
      yield* post(revocation_endpoint, { client_id: clients.cli.id, token: refresh_token ?? "" })
      assert.deepEqual((yield* ask).body, { active: false })
      const refused = yield* send(apiUrl, bearer(access_token))
      assert.strictEqual(refused.status, 401)
      assert.include(refused.headers.get("www-authenticate") ?? "", 'error="invalid_token"')

      const anonymous = yield* send(apiUrl)
      assert.strictEqual(anonymous.headers.get("www-authenticate"), 'Bearer realm="api"')
    })
  )

  describe("a machine gets a JWT for the API", () => {
    const form = { grant_type: "client_credentials", scope: "api:read" }
    const { billing, billingPost } = clients

    it.effect("by HTTP Basic, id and secret form-encoded first", () =>
      Effect.gen(function* () {
        const { apiUrl } = yield* EmbeddedProvider
        const { token_endpoint } = yield* discover
        const tokens = yield* tokensOf(yield* post(token_endpoint, form, basic(billing.id, billing.secret)))
        assert.strictEqual(tokens.scope, "api:read")
        assert.isUndefined(tokens.refresh_token)
        const me = yield* send(apiUrl, bearer(tokens.access_token))
        assert.deepInclude(me.body, { sub: "billing", scope: "api:read", token: "jwt" })
        const forged = tokens.access_token.replace(/\.[^.]{8}/, ".AAAAAAAA")
        assert.strictEqual((yield* send(apiUrl, bearer(forged))).status, 401)
      })
    )

    it.effect("but not with the secret as it is, nor with a wrong one", () =>
      Effect.gen(function* () {
        const { token_endpoint } = yield* discover
        const raw = yield* post(
          token_endpoint,
          form,
          basic(billing.id, billing.secret, (text) => text)
        )
        assert.strictEqual(yield* errorOf(raw), "invalid_request")
        const wrong = yield* post(token_endpoint, form, basic(billing.id, "guess"))
        assert.strictEqual(wrong.status, 401)
        assert.strictEqual(yield* errorOf(wrong), "invalid_client")
        assert.match(wrong.headers.get("www-authenticate") ?? "", /^Basic /)
      })
    )

    it.effect("by client_secret_post, with the resource named or not", () =>
      Effect.gen(function* () {
        const { audience } = yield* EmbeddedProvider
        const { token_endpoint } = yield* discover
        const secret = { client_id: billingPost.id, client_secret: billingPost.secret }
        yield* tokensOf(yield* post(token_endpoint, { ...form, ...secret }))
        yield* tokensOf(yield* post(token_endpoint, { ...form, ...secret, resource: audience }))
        const elsewhere = yield* post(token_endpoint, { ...form, ...secret, resource: "https://other.example/" })
        assert.strictEqual(yield* errorOf(elsewhere), "invalid_target")
      })
    )
  })
})

describe("EmbeddedProvider, one for each test", () => {
  const machine = { grant_type: "client_credentials" }
  const credentials = basic(clients.billing.id, clients.billing.secret)

  it.live("faults meet the next requests for their path, in order, and nothing else", () =>
    Effect.gen(function* () {
      const provider = yield* EmbeddedProvider
      const { issuer, token_endpoint } = yield* discover
      yield* provider.clearRequests
      yield* provider.failNext("/token", {
        status: 503,
        headers: { "retry-after": "1" },
        body: { error: "temporarily_unavailable" }
      })
      yield* provider.failNext("/token", "reset")
      yield* provider.failNext("/token", "lost")

      assert.strictEqual((yield* send(`${issuer}/jwks`)).status, 200)
      const unavailable = yield* post(token_endpoint, machine, credentials)
      assert.strictEqual(unavailable.status, 503)
      assert.strictEqual(unavailable.headers.get("retry-after"), "1")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(post(token_endpoint, machine, credentials))))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(post(token_endpoint, machine, credentials))))
      assert.strictEqual((yield* post(token_endpoint, machine, credentials)).status, 200)

      const token = { method: "POST", path: "/token", grantType: "client_credentials" }
      assert.deepEqual(yield* provider.requests, [
        { method: "GET", path: "/jwks", status: 200 },
        { ...token, status: 503 },
        { ...token, status: "reset" },
        { ...token, status: "lost" },
        { ...token, status: 200 }
      ])
    }).pipe(Effect.provide(EmbeddedProvider.layer()))
  )

  it.live("a refresh whose answer is lost has rotated the token all the same", () =>
    Effect.gen(function* () {
      const provider = yield* EmbeddedProvider
      const { refresh_token } = yield* signIn()
      yield* provider.failNext("/token", "lost")
      yield* Effect.exit(refresh(refresh_token))
      assert.strictEqual(yield* errorOf(yield* refresh(refresh_token)), "invalid_grant")
    }).pipe(Effect.provide(EmbeddedProvider.layer()))
  )

  it.live("without rotation a refresh token stays good", () =>
    Effect.gen(function* () {
      const { refresh_token } = yield* signIn()
      assert.strictEqual((yield* tokensOf(yield* refresh(refresh_token))).refresh_token, refresh_token)
      yield* tokensOf(yield* refresh(refresh_token))
    }).pipe(Effect.provide(EmbeddedProvider.layer({ rotateRefreshTokens: false })))
  )

  it.live("lifetimes and the polling interval are what was asked for", () =>
    Effect.gen(function* () {
      const { apiUrl } = yield* EmbeddedProvider
      assert.strictEqual((yield* askForDevice("openid")).interval, 2)
      const { access_token, expires_in } = yield* signIn()
      assert.strictEqual(expires_in, 1)
      yield* Effect.sleep("1100 millis")
      assert.strictEqual((yield* send(apiUrl, bearer(access_token))).status, 401)
    }).pipe(Effect.provide(EmbeddedProvider.layer({ accessTokenTtl: "1 second", deviceInterval: "2 seconds" })))
  )

  it.live("two at once know nothing of each other's tokens, and each closes with its scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const one = yield* EmbeddedProvider.start().pipe(Scope.provide(scope))
      const two = yield* EmbeddedProvider.start()
      assert.notStrictEqual(one.issuer, two.issuer)
      const { access_token } = yield* signIn().pipe(Effect.provideService(EmbeddedProvider, one))
      assert.strictEqual((yield* send(one.apiUrl, bearer(access_token))).status, 200)
      assert.strictEqual((yield* send(two.apiUrl, bearer(access_token))).status, 401)

      // Who is in the middle of a request, and stays there, must not keep the server.
      const { port } = new URL(one.issuer)
      yield* Effect.acquireRelease(
        Effect.callback<Socket>((resume) => {
          const socket = connect(Number(port), "127.0.0.1", () =>
            socket.write("GET /jwks HTTP/1.1\r\nHost", () => resume(Effect.succeed(socket)))
          ).on("error", () => {})
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(send(one.apiUrl))))
      assert.strictEqual((yield* send(two.apiUrl)).status, 401)
    })
  )
})
