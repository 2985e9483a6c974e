/** Options whose effect no other test would miss. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Predicate } from "effect"
import { TestClock } from "effect/testing"
import { exportJWK, generateKeyPair, SignJWT } from "jose"
import { clients, type ProviderOptions, SimulatedProvider } from "../src/provider.ts"
import { discover, get, post, postJson } from "./Caller.ts"

const issuer = "https://id.simulated.test"

const keysOf = Effect.map(get(`${issuer}/jwks`), ({ headers, json }) => ({
  age: headers["cache-control"],
  kids: Array.isArray(json["keys"])
    ? json["keys"].map((key: unknown) => Predicate.hasProperty(key, "kid") && key.kid)
    : []
}))

const cli = { client_id: clients.cli.client_id }

/** The refresh token of somebody who has just signed in. */
const signIn = Effect.gen(function* () {
  yield* (yield* SimulatedProvider).approve("alice")
  const device = yield* post(`${issuer}/device_authorization`, { ...cli, scope: "offline_access" })
  const grant_type = "urn:ietf:params:oauth:grant-type:device_code"
  const { json } = yield* post(`${issuer}/token`, {
    ...cli,
    grant_type,
    device_code: String(device.json["device_code"])
  })
  return json["refresh_token"]
})

const withOptions = (options: ProviderOptions) => Effect.provide(SimulatedProvider.layer(options), { local: true })

describe("an option", () => {
  it.effect("keysMaxAge is how long clients may keep the keys", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* withOptions({})(keysOf)).age, "public, max-age=600")
      assert.strictEqual((yield* withOptions({ keysMaxAge: "90 seconds" })(keysOf)).age, "public, max-age=90")
    })
  )

  it.effect("retiredKeysStay is how long a rotated key stays published", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const { kids: before } = yield* keysOf
      yield* idp.rotateKeys
      yield* TestClock.adjust("1000 seconds")
      yield* idp.rotateKeys
      yield* TestClock.adjust("799 seconds")
      assert.includeMembers((yield* keysOf).kids, before)
      yield* TestClock.adjust("1 second")
      const { kids } = yield* keysOf
      assert.lengthOf(kids, 2)
      assert.notIncludeMembers(kids, before)
    }).pipe(withOptions({ retiredKeysStay: "30 minutes" }))
  )

  it.effect("openRegistration: where it is false there is no such endpoint, and nobody is let in by its address", () =>
    Effect.gen(function* () {
      const form = { grant_types: ["client_credentials"] }
      const register = postJson(`${issuer}/register`, form)
      const open = yield* withOptions({})(Effect.all([discover(issuer), register]))
      assert.strictEqual(open[0]("registration_endpoint"), `${issuer}/register`)
      assert.strictEqual(open[1].status, 201)
      const closed = yield* withOptions({ openRegistration: false })(Effect.all([discover(issuer), register]))
      assert.strictEqual(closed[0]("registration_endpoint"), "undefined")
      assert.deepStrictEqual([closed[1].status, closed[1].json["error"]], [401, "invalid_token"])
      assert.strictEqual(closed[1].headers["www-authenticate"], `Bearer realm="${issuer}"`) // RFC 9110 section 15.5.2
    })
  )

  it.effect.each([
    [{ id_token_signed_response_alg: "RS256" }, "wants ID tokens in RS256, which is not in algorithms"],
    [{ redirect_uris: ["/callback"] }, "has a redirect URI that is not absolute: /callback"],
    [{ post_logout_redirect_uris: ["/"] }, "has a redirect URI that is not absolute: /"]
  ] as const)("clients: %j is told of before anybody signs in", ([metadata, told]) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(withOptions({ clients: [{ client_id: "app", ...metadata }] })(Effect.void))
      assert.include(String(exit), `the client app ${told}`)
    })
  )

  it.effect.each([true, false])(
    "refreshTokenIdle, refreshTokenLifetime: in use it slides to its end, rotation %s",
    (rotation) =>
      Effect.gen(function* () {
        let token = yield* signIn
        const refresh = () =>
          post(`${issuer}/token`, { ...cli, grant_type: "refresh_token", refresh_token: String(token) })
        for (const _ of [3, 6, 9]) {
          yield* TestClock.adjust("3 days")
          token = (yield* refresh()).json["refresh_token"]
          assert.isString(token)
        }
        const { families } = yield* (yield* SimulatedProvider).snapshot
        assert.strictEqual(families[0]?.refreshTokens.at(-1)?.expiresAt, "1970-01-11T00:00:00.000Z")
        yield* TestClock.adjust("1 day")
        assert.strictEqual((yield* refresh()).json["error"], "invalid_grant")
      }).pipe(withOptions({ rotation, refreshTokenIdle: "4 days", refreshTokenLifetime: "10 days" }))
  )

  it.effect("refreshTokenIdle, refreshTokenLifetime: what has no end at either is told as such", () =>
    Effect.gen(function* () {
      const token = String(yield* signIn)
      yield* TestClock.adjust("3650 days")
      const { families } = yield* (yield* SimulatedProvider).snapshot
      assert.strictEqual(families[0]?.refreshTokens[0]?.expiresAt, "never")
      const { json } = yield* post(`${issuer}/introspect`, { ...cli, token })
      assert.deepStrictEqual([json["active"], "exp" in json], [true, false])
    }).pipe(withOptions({ refreshTokenIdle: Infinity, refreshTokenLifetime: Infinity }))
  )

  it.effect("dpopNonceLifetime: a nonce is good in its interval and the next", () =>
    Effect.gen(function* () {
      const { privateKey, publicKey } = yield* Effect.promise(() => generateKeyPair("ES256"))
      const jwk = yield* Effect.promise(() => exportJWK(publicKey))
      const url = `${issuer}/token`
      let proofs = 0
      const ask = Effect.fnUntraced(function* (nonce: string | undefined) {
        const iat = Math.floor((yield* Clock.currentTimeMillis) / 1000)
        const claims = { htm: "POST", htu: url, jti: String(proofs++), iat, ...(nonce === undefined ? {} : { nonce }) }
        const dpop = yield* Effect.promise(() =>
          new SignJWT(claims).setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk }).sign(privateKey)
        )
        const { client_id, client_secret } = clients.billingPost
        return yield* post(url, { grant_type: "client_credentials", client_id, client_secret }, { dpop })
      })
      const nonce = (yield* ask(undefined)).headers["dpop-nonce"]
      yield* TestClock.adjust("39 seconds")
      assert.strictEqual((yield* ask(nonce)).status, 200)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* ask(nonce)).json["error"], "use_dpop_nonce")
    }).pipe(withOptions({ dpopNonces: true, dpopNonceLifetime: "20 seconds" }))
  )
})
