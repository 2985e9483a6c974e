import { assert, describe, it } from "@effect/vitest"
import { type ProviderOptions, SimulatedProvider } from "@keyfob/testing"
import { Clock, Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { ConfigurationInvalid, CredentialStore, grantTypes, JwtBearer, Login, TokenSource } from "keyfob"
import { keys, sign } from "../protocol/signing.ts"
import { broken, inTime, issuer, json, metadata, named, provider, scripted, status } from "../scripted.ts"

class Api extends TokenSource.Service<Api>()("test/Api") {}
const token = Effect.flatMap(Api, (api) => Effect.map(api.token, ({ value }) => Redacted.value(value)))

/** A platform that rotates what it gives. */
const rotating = () => {
  let n = 0
  return Effect.sync(() => Redacted.make(`assertion-${++n}`))
}

describe("JwtBearer", () => {
  it.effect("RFC 7523 section 2.1: the assertion of the moment, again whenever the token is due", () => {
    const http = scripted({
      ...provider,
      [metadata.token_endpoint]: [1, 2].map((n) => json({ access_token: `access-${n}`, expires_in: 3600 }))
    })
    const flow = JwtBearer.make({
      issuer,
      clientId: "robot",
      scopes: ["api:read"],
      audience: "https://api.example",
      params: { assertion: "forged", grant_type: "password" },
      assertion: rotating()
    })
    return Effect.gen(function* () {
      assert.strictEqual(yield* token, "access-1")
      assert.strictEqual(yield* token, "access-1")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* token, "access-2")
      assert.deepStrictEqual(
        http.to(metadata.token_endpoint).map(({ form }) => form),
        [1, 2].map((n) => ({
          scope: "api:read",
          audience: "https://api.example",
          grant_type: grantTypes.jwtBearer,
          assertion: `assertion-${n}`,
          client_id: "robot"
        }))
      )
    }).pipe(Effect.provide(Api.layer(flow)), Effect.provide(http.layer))
  })

  it.effect("an assertion is sent once more only where it was certainly not used", () => {
    const lost = scripted({ ...provider, [metadata.token_endpoint]: [broken("ECONNRESET")] })
    const refused = scripted({ ...provider, [metadata.token_endpoint]: [status(503), json({ access_token: "a" })] })
    const flow = JwtBearer.make({ issuer, clientId: "robot", assertion: rotating() })
    const login = inTime(Effect.result(Login.login(flow))).pipe(Effect.provide(CredentialStore.layerMemory))
    return Effect.gen(function* () {
      const failed = yield* Effect.flip(Effect.fromResult(yield* Effect.provide(login, lost.layer)))
      assert.strictEqual(named(failed), "ProviderUnavailable.AnswerLost")
      yield* Effect.fromResult(yield* Effect.provide(login, refused.layer))
      assert.lengthOf(refused.to(metadata.token_endpoint), 2)
    })
  })

  it.effect("an assertion that cannot be had is the failure, and the provider is not asked for a token", () => {
    const http = scripted(provider)
    const assertion = new ConfigurationInvalid({ reason: "Unreadable", detail: "/var/run/token" })
    const flow = JwtBearer.make({ issuer, clientId: "robot", assertion })
    return Effect.gen(function* () {
      assert.strictEqual(yield* Effect.flip(Login.login(flow)), assertion)
      assert.lengthOf(http.to(metadata.token_endpoint), 0)
    }).pipe(Effect.provide([CredentialStore.layerMemory, http.layer]))
  })

  it("its credential is no other grant's, and whose word it is has no part in the key", () => {
    const options = { issuer, clientId: "robot" }
    const one = JwtBearer.make({ ...options, assertion: Effect.succeed(Redacted.make("canary")) })
    const other = JwtBearer.make({ ...options, assertion: Effect.succeed(Redacted.make("another")) })
    assert.strictEqual(one.key.canonical, other.key.canonical)
    assert.include(one.key.canonical, grantTypes.jwtBearer)
    assert.notInclude(one.key.canonical, "canary")
    assert.isFalse(one.attended)
  })

  it.effect("against the simulated provider: who is trusted is believed, each assertion once", () =>
    Effect.gen(function* () {
      const key = keys.elliptic
      const options: ProviderOptions = {
        trustedIssuers: [{ issuer: "https://partner.test", jwks: { keys: [key.jwk] } }],
        clients: [{ client_id: "robot", token_endpoint_auth_method: "none", grant_types: [grantTypes.jwtBearer] }]
      }
      yield* Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        let n = 0
        const assertion = Effect.gen(function* () {
          const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
          const claims = { iss: "https://partner.test", sub: "carol", aud: idp.issuer, exp: now + 300, jti: `${++n}` }
          return yield* sign(claims, { key })
        })
        const flow = JwtBearer.make({ issuer: idp.issuer, clientId: "robot", scopes: ["api:read"], assertion })
        const source = yield* TokenSource.make(flow)
        const first = yield* source.token
        assert.isTrue(yield* idp.accepts(Redacted.value(first.value)))
        yield* TestClock.adjust("2 hours")
        const second = yield* source.token
        assert.notStrictEqual(Redacted.value(second.value), Redacted.value(first.value))
        assert.strictEqual(n, 2)
        const stranger = JwtBearer.make({
          issuer: idp.issuer,
          clientId: "robot",
          account: "stranger",
          assertion: sign({ iss: "https://stranger.test", sub: "carol", aud: idp.issuer, exp: 99_999_999 }, { key })
        })
        assert.strictEqual(named(yield* Effect.flip(Login.login(stranger))), "ProviderRefused.InvalidGrant")
      }).pipe(Effect.scoped, Effect.provide([SimulatedProvider.layer(options), CredentialStore.layerMemory]))
    })
  )
})
