import { assert, describe, it } from "@effect/vitest"
import { Fault, patiently, SimulatedPerson } from "@keyfob/testing/Provider"
import { Effect, Layer, Redacted, Result } from "effect"
import { Base64Url } from "effect/encoding"
import { TestClock } from "effect/testing"
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from "jose"
import { AuthClient, CredentialStore, Login, ProviderRegistry, RedirectReceiver, TokenSource } from "keyfob"
import { Aqt, Arnica } from "../src/index.ts"
import { arnicaUrl, deviceClientId, FakeArnica, is, issuer, jobId, machine } from "./FakeArnica.ts"
import { settingsOf } from "./settings.ts"

/** There is no browser flow here. */
const noBrowser = Layer.mock(RedirectReceiver, {})

class Tokens extends TokenSource.Service<Tokens>()("test/aqt") {}

const given = (overrides: Parameters<typeof settingsOf>[0] = {}, fake = FakeArnica.layer()) =>
  Arnica.layer(Tokens, { arnicaUrl }).pipe(
    Layer.provideMerge(Tokens.layerStored(Aqt.flow(settingsOf(overrides), "test"))),
    Layer.provideMerge([CredentialStore.layerMemory, SimulatedPerson.layer()]),
    Layer.provideMerge(fake)
  )
const login = patiently(Login.login(Aqt.flow(settingsOf(), "test")))
const encode = (part: object) => Base64Url.encode(JSON.stringify(part))
const claimsOf = (token: Redacted.Redacted) => decodeJwt(Redacted.value(token))

describe("a person's login", () => {
  it.effect("asks as documented, and its bearer is the ID token (A-09, A-11, A-14, A-40, A-62)", () =>
    Effect.gen(function* () {
      const { idp, seen } = yield* FakeArnica
      yield* idp.approve("alice", { afterPolls: 2 })
      const { account, idToken, refreshToken, token } = yield* login
      assert.isDefined(refreshToken)
      const [prompt] = yield* (yield* SimulatedPerson).shown
      const page = new URL(prompt?.verificationUriComplete ?? "")
      assert.strictEqual(page.host, new URL(issuer).host)
      assert.strictEqual(page.searchParams.get("user_code"), prompt?.userCode)
      assert.match(prompt?.userCode ?? "", /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
      assert.isAbove(prompt?.interval ?? 0, 0)
      assert.strictEqual(Redacted.value(token.value), idToken === undefined ? "" : Redacted.value(idToken))
      assert.deepInclude(claimsOf(token.value), { aud: deviceClientId, iss: issuer, sub: account?.sub ?? "" })
      const [device, ...polls] = seen.filter(({ path }) => path.startsWith("/oauth/"))
      assert.strictEqual(device?.path, "/oauth/device/code")
      assert.include(device?.type, "application/x-www-form-urlencoded")
      assert.deepStrictEqual(device?.form, { client_id: deviceClientId, scope: "openid profile offline_access" })
      assert.strictEqual(polls.length, 3)
      for (const { form, type } of polls) {
        assert.include(type, "application/x-www-form-urlencoded")
        assert.hasAllKeys(form, ["grant_type", "device_code", "client_id"])
      }
    }).pipe(Effect.provide(given()))
  )

  it.effect(
    "keeps the refresh token, renews by it with its own client, and goes on with the ID token (A.8#1, A.8#2)",
    () =>
      Effect.gen(function* () {
        const { brought, idp, jobs, seen } = yield* FakeArnica
        yield* idp.approve("alice")
        const first = yield* login
        yield* TestClock.adjust("3 hours")
        jobs(is({ status: "queued" }))
        yield* (yield* Arnica).fetchJobState(jobId)
        const { token } = { token: yield* (yield* Tokens).token }
        assert.notStrictEqual(Redacted.value(token.value), Redacted.value(first.token.value))
        assert.deepInclude(claimsOf(token.value), { aud: deviceClientId })
        assert.deepStrictEqual(brought, [Redacted.value(token.value)], "Arnica took it at once")
        const refresh = seen.find(({ form }) => form["grant_type"] === "refresh_token")
        assert.hasAllKeys(refresh?.form, ["grant_type", "refresh_token", "client_id"])
        assert.strictEqual(refresh?.form["client_id"], deviceClientId)
      }).pipe(Effect.provide(given()))
  )

  it.effect("follows a refresh token that was revoked, and does not fail for good (A.8#3)", () =>
    Effect.gen(function* () {
      const { idp } = yield* FakeArnica
      yield* idp.approve("alice")
      yield* login
      yield* idp.revokeAll
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* Effect.flip((yield* Tokens).token))._tag, "LoginRequired")
      yield* login
      assert.strictEqual(claimsOf((yield* (yield* Tokens).token).value).aud, deviceClientId)
    }).pipe(Effect.provide(given()))
  )

  it.effect("ends where the ID token is for somebody else (A-12)", () =>
    Effect.gen(function* () {
      const { idp } = yield* FakeArnica
      yield* idp.approve("alice")
      yield* idp.faults(
        Fault.onRequest(
          { grant: "urn:ietf:params:oauth:grant-type:device_code", times: 9 },
          Fault.idToken({ claims: { aud: "another" } })
        )
      )
      const error = yield* Effect.flip(login)
      assert.deepInclude(error, { _tag: "TokenRejected", reason: "Audience" })
    }).pipe(Effect.provide(given()))
  )

  it.effect("ends where the ID token is signed as Arnica takes none (A-12)", () =>
    Effect.gen(function* () {
      const { idp } = yield* FakeArnica
      yield* idp.approve("alice")
      assert.deepInclude(yield* Effect.flip(login), { _tag: "TokenRejected", reason: "Algorithm" })
      assert.deepInclude(yield* Effect.flip((yield* Tokens).token), { _tag: "LoginRequired" })
    }).pipe(Effect.provide(given({}, FakeArnica.layer(issuer, "5 seconds", "PS256"))))
  )

  it.effect("ends with a renewal whose ID token is signed so, which goes on no request (A-19)", () =>
    Effect.gen(function* () {
      const { brought, idp } = yield* FakeArnica
      yield* idp.approve("alice")
      yield* login
      yield* TestClock.adjust("3 hours")
      const { privateKey } = yield* Effect.promise(() => generateKeyPair("PS256"))
      const id_token = yield* Effect.promise(() =>
        new SignJWT({ iss: issuer, aud: deviceClientId, sub: "alice", iat: 10_800, exp: 14_400 })
          .setProtectedHeader({ alg: "PS256" })
          .sign(privateKey)
      )
      yield* idp.faults(Fault.onRequest({ grant: "refresh_token" }, Fault.altered({ id_token })))
      const error = yield* Effect.flip((yield* Arnica).fetchJobState(jobId))
      assert.deepInclude(error, { _tag: "TokenRejected", reason: "Algorithm" })
      assert.isEmpty(brought)
    }).pipe(Effect.provide(given()))
  )
})

describe("a person's login, on a bad day", () => {
  const device = "urn:ietf:params:oauth:grant-type:device_code"

  it.effect("slows down, outlives a network that fails, and does without what RFC 8628 leaves open (A.8#9)", () =>
    Effect.gen(function* () {
      const { idp, seen } = yield* FakeArnica
      yield* idp.approve("alice", { after: "1 minute" })
      yield* idp.faults(
        Fault.onRequest({ grant: device }, Fault.answer({ status: 400, body: { error: "slow_down" } })),
        Fault.onRequest({ grant: device, nth: 2 }, Fault.resetBefore),
        Fault.onRequest(
          { endpoint: "device_authorization" },
          Fault.altered({ interval: undefined, verification_uri_complete: undefined })
        )
      )
      const { account } = yield* login
      assert.isDefined(account)
      // After 5 seconds, then every 10 and more: not once a second for a minute.
      assert.isAtMost(seen.filter(({ path }) => path === "/oauth/token").length, 8)
    }).pipe(Effect.provide(given()))
  )

  it.effect("ends when the code does, and says a denial without the provider's words (A.8#9)", () =>
    Effect.gen(function* () {
      const { idp } = yield* FakeArnica
      assert.deepInclude(yield* Effect.flip(login), { _tag: "LoginFailed", reason: "Expired" })
      yield* idp.faults(
        Fault.onRequest(
          { grant: device },
          Fault.answer({ status: 403, body: { error: "access_denied", error_description: "canary" } })
        )
      )
      const denied = yield* Effect.flip(login)
      assert.deepInclude(denied, { _tag: "LoginFailed", reason: "Denied" })
      assert.notInclude(denied.message, "canary")
    }).pipe(Effect.provide(given()))
  )

  it.effect("is no matter of the network once it is done: a token that is valid serves (A.8#10)", () =>
    Effect.gen(function* () {
      const { idp, seen } = yield* FakeArnica
      yield* idp.approve("alice")
      yield* login
      const before = seen.length
      yield* idp.outage({ for: "1 day" })
      assert.strictEqual(claimsOf((yield* (yield* Tokens).token).value).aud, deviceClientId)
      assert.strictEqual(seen.length, before)
    }).pipe(Effect.provide(given()))
  )
})

describe("a machine's login", () => {
  it.effect("posts its four members as JSON, for the API that arnica_url names (A-15, A-61, A.8#8)", () =>
    Effect.gen(function* () {
      const { seen } = yield* FakeArnica
      const token = yield* (yield* Tokens).token
      const [{ form, path, type } = { form: {}, path: "", type: "" }] = seen
      assert.strictEqual(path, "/oauth/token")
      assert.include(type, "application/json")
      assert.deepStrictEqual(form, { ...machine, audience: arnicaUrl, grant_type: "client_credentials" })
      assert.strictEqual([claimsOf(token.value).aud].flat()[0], arnicaUrl)
    }).pipe(Effect.provide(given(machine)))
  )

  it.effect("is made again by itself when its token is due (A.8#11)", () =>
    Effect.gen(function* () {
      const { seen } = yield* FakeArnica
      const { token } = yield* Tokens
      const first = yield* token
      yield* TestClock.adjust("3 hours")
      assert.notStrictEqual(Redacted.value((yield* token).value), Redacted.value(first.value))
      assert.strictEqual(seen.filter(({ path }) => path === "/oauth/token").length, 2)
    }).pipe(Effect.provide(given(machine)))
  )

  it.effect("ends with a token that Arnica would not take, and with keys that are none (A-16, A-49)", () =>
    Effect.gen(function* () {
      const { idp } = yield* FakeArnica
      const { token } = yield* Tokens
      yield* idp.faults(Fault.onRequest({ endpoint: "jwks" }, Fault.answer({ status: 200, body: { no: "keys" } })))
      assert.deepInclude(yield* Effect.flip(token), { _tag: "AnswerRejected", endpoint: "jwks" })
      yield* TestClock.adjust("10 minutes")
      const forged = `${encode({ alg: "none" })}.${encode({ iss: issuer, aud: arnicaUrl, sub: "machine" })}.`
      yield* idp.faults(
        Fault.onRequest(
          { endpoint: "token" },
          Fault.answer({ status: 200, body: { access_token: forged, token_type: "Bearer", expires_in: 3600 } })
        )
      )
      assert.deepInclude(yield* Effect.flip(token), { _tag: "TokenRejected", reason: "Algorithm" })
    }).pipe(Effect.provide(given(machine)))
  )

  const seconds = (at: number) => ({ iss: issuer, sub: "machine", aud: arnicaUrl, iat: at, exp: at + 3600 })
  const tokens: ReadonlyArray<readonly [string, object, string, string?]> = [
    ["for several audiences, its client the authorized party", { aud: [arnicaUrl, "more"], azp: "machine" }, "taken"],
    ["for several audiences, and no party", { aud: [arnicaUrl, "more"] }, "AuthorizedParty"],
    ["for several audiences, another's", { aud: [arnicaUrl, "more"], azp: "another" }, "AuthorizedParty"],
    ["about nobody", { sub: undefined }, "MissingClaim"],
    ["of no time", { iat: undefined }, "MissingClaim"],
    ["that is not valid yet", { nbf: 3600 }, "NotYetValid"],
    ["by somebody else", { iss: "https://tenant.arnica.test" }, "Issuer"],
    ["for another API", { aud: "https://another.test" }, "Audience"],
    ["that has ended", { exp: -3600 }, "Expired"],
    ["of another algorithm", {}, "Algorithm", "ES256"]
  ]
  it.effect.each(tokens)(
    "a token %s is judged as it should be (A-16, A-47, A-51, A-52, A.8#10)",
    ([, claims, outcome, alg = "RS256"]) =>
      Effect.gen(function* () {
        const { idp } = yield* FakeArnica
        const signing = ["RS256", "ES256"].map((one) =>
          Effect.promise(() => generateKeyPair(one, { extractable: true }))
        )
        const [rsa, ec] = yield* Effect.all(signing)
        assert(rsa !== undefined && ec !== undefined)
        const { privateKey } = alg === "RS256" ? rsa : ec
        const keys = yield* Effect.forEach([ec, rsa], ({ publicKey }, index) =>
          Effect.map(
            Effect.promise(() => exportJWK(publicKey)),
            (jwk) => ({ ...jwk, kid: `key-${index}` })
          )
        )
        const access_token = yield* Effect.promise(() =>
          new SignJWT({ ...seconds(0), ...claims })
            .setProtectedHeader({ alg, kid: alg === "RS256" ? "key-1" : "key-0" })
            .sign(privateKey)
        )
        yield* idp.faults(
          Fault.onRequest({ endpoint: "jwks" }, Fault.answer({ status: 200, body: { keys } })),
          Fault.onRequest(
            { endpoint: "token" },
            Fault.answer({ status: 200, body: { access_token, expires_in: 3600 } })
          )
        )
        const result = yield* Effect.result((yield* Tokens).token)
        const reason = Result.isSuccess(result)
          ? "taken"
          : result.failure._tag === "TokenRejected" && result.failure.reason
        assert.strictEqual(reason, outcome)
      }).pipe(Effect.provide(given(machine)))
  )

  it.effect("keys that do not come are waited for no longer than anything else (A.8#10)", () =>
    Effect.gen(function* () {
      const { idp } = yield* FakeArnica
      yield* idp.faults(Fault.onRequest({ endpoint: "jwks", times: 9 }, Fault.hang))
      const error = yield* patiently(Effect.flip((yield* Tokens).token))
      assert.deepInclude(error, { _tag: "ProviderUnavailable", reason: "TimedOut", endpoint: "jwks" })
    }).pipe(Effect.provide(given(machine)))
  )

  it.effect("with a wrong secret is refused (A-17, A-42)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip((yield* Tokens).token)
      assert.deepInclude(error, { _tag: "ProviderRefused", reason: "InvalidClient" })
    }).pipe(Effect.provide(given({ ...machine, client_secret: "wrong" })))
  )
})

describe("type = aqt", () => {
  const client = (table: object) =>
    AuthClient.layer({
      contexts: {
        lab: {
          providers: {
            arnica: { type: "aqt", arnica_url: arnicaUrl, issuer, device_client_id: deviceClientId, ...table }
          }
        }
      }
    }).pipe(
      Layer.provide(ProviderRegistry.layer(Aqt.type)),
      Layer.provideMerge([CredentialStore.layerMemory, SimulatedPerson.layer()]),
      Layer.provideMerge(FakeArnica.layer())
    )

  it.effect("signs a machine in, shows how it stands, and out again (A-26)", () =>
    Effect.gen(function* () {
      const { isAuthenticated, list, login, logout, token } = yield* AuthClient
      yield* Effect.provide(login("arnica"), noBrowser)
      assert.isTrue(yield* isAuthenticated("arnica"))
      assert.deepInclude((yield* list)[0], { type: "aqt", status: "authenticated", extra: { arnica_url: arnicaUrl } })
      assert.isDefined(yield* token("arnica"))
      const { seen } = yield* FakeArnica
      assert.deepInclude(yield* logout("arnica"), { removed: true, revoked: true })
      assert.strictEqual(seen.at(-1)?.path, "/oauth/revoke")
    }).pipe(Effect.provide(client(machine)))
  )

  it.effect("says of its settings alone who has to do something, and what is needed for it", () =>
    Effect.gen(function* () {
      const configured = (table: Readonly<Record<string, string>>) =>
        Aqt.type.configure(table, { context: "lab", name: "arnica" })
      assert.deepInclude(yield* configured({}), { attended: true, needs: [] })
      const { attended, key, needs } = yield* configured(machine)
      assert.deepStrictEqual([attended, needs, key.subject], [false, ["client_secret"], "client"])
    })
  )

  it.effect("takes the issuer's keys from where jwks_url says", () =>
    Effect.gen(function* () {
      const { seen } = yield* FakeArnica
      const { token } = yield* AuthClient
      yield* Effect.flip(token("arnica"))
      assert.includeMembers(
        seen.map(({ path }) => path),
        ["/elsewhere/keys"]
      )
    }).pipe(Effect.provide(client({ ...machine, jwks_url: `${issuer}elsewhere/keys` })))
  )

  it.effect("signs a person in where no client is configured (A-27)", () =>
    Effect.gen(function* () {
      const { idp } = yield* FakeArnica
      yield* idp.approve("alice")
      const { login } = yield* AuthClient
      const { account } = yield* patiently(Effect.provide(login("arnica"), noBrowser))
      assert.isDefined(account)
    }).pipe(Effect.provide(client({})))
  )

  for (const [half, other] of [
    [{ client_id: "machine" }, "client secret"],
    [{ client_secret: "canary" }, "lab.arnica.client_id"]
  ] as const) {
    it.effect(`without its ${other} a client is half of one: says so, and asks nobody (A.8#11)`, () =>
      Effect.gen(function* () {
        const { seen } = yield* FakeArnica
        const { login } = yield* AuthClient
        const error = yield* Effect.flip(Effect.provide(login("arnica"), noBrowser))
        assert.deepInclude(error, { _tag: "ConfigurationInvalid", reason: "MissingValue" })
        assert.include(error.message, other)
        assert.notInclude(error.message, "canary")
        assert.strictEqual(seen.length, 0)
      }).pipe(Effect.provide(client(half)))
    )
  }
})
