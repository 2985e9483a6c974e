import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { ClientAuthentication, ClientCredentials, CredentialStore, Login, TokenSource } from "keyfob"
import { issuer, json, metadata, provider, refused, scripted } from "../scripted.ts"

const secret = Redacted.make("s3cret")
const options = {
  issuer,
  clientId: "billing",
  authentication: ClientAuthentication.secretPost(secret),
  scopes: ["read", "write"]
}
const flow = ClientCredentials.make(options)
const granted = (n: number, extra?: object) => json({ access_token: `access-${n}`, expires_in: 3600, ...extra })
const at = (...replies: ReadonlyArray<ReturnType<typeof json>>) =>
  scripted({ ...provider, [metadata.token_endpoint]: replies })

class Api extends TokenSource.Service<Api>()("test/Api") {}
const token = Effect.flatMap(Api, (api) => Effect.map(api.token, ({ value }) => Redacted.value(value)))

describe("ClientCredentials", () => {
  it.effect(
    "C-16 R7 a token is asked for once and used until it is due, then the next is fetched without anybody asking",
    () => {
      const http = at(granted(1), granted(2), granted(3))
      return Effect.gen(function* () {
        for (const _ of [1, 2, 3]) assert.strictEqual(yield* token, "access-1")
        yield* TestClock.adjust("58 minutes")
        assert.strictEqual(yield* token, "access-1")
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(yield* token, "access-2")
        yield* TestClock.adjust("14 days")
        assert.strictEqual(yield* token, "access-3")
        assert.lengthOf(http.to(metadata.token_endpoint), 3)
      }).pipe(Effect.provide(Api.layer(flow)), Effect.provide(http.layer))
    }
  )

  it.effect("C-16 R7 the next run on the same store asks for none while the token lives", () => {
    const http = at(granted(1))
    const run = token.pipe(Effect.provide(Api.layerStored(flow)))
    return Effect.gen(function* () {
      assert.strictEqual(yield* run, "access-1")
      yield* TestClock.adjust("50 minutes")
      assert.strictEqual(yield* run, "access-1")
      assert.lengthOf(http.to(metadata.token_endpoint), 1)
    }).pipe(Effect.provide([CredentialStore.layerMemory, http.layer]))
  })

  it.effect("A-15 sends the given id and secret, scope, audience, resource and parameters", () => {
    const http = at(granted(1))
    const flow = ClientCredentials.make({
      ...options,
      audience: "https://api.example",
      resource: ["https://files.example"],
      params: { organization: "acme", grant_type: "password", client_id: "evil", client_assertion: "forged" }
    })
    return Effect.gen(function* () {
      yield* token
      assert.deepStrictEqual(http.to(metadata.token_endpoint)[0]?.form, {
        grant_type: "client_credentials",
        client_id: "billing",
        client_secret: "s3cret",
        scope: "read write",
        audience: "https://api.example",
        resource: "https://files.example",
        organization: "acme"
      })
    }).pipe(Effect.provide(Api.layer(flow)), Effect.provide(http.layer))
  })

  it.effect("without scopes none are sent, and the granted ones are those the answer names", () => {
    const http = at(granted(1, { scope: "invoices:read" }))
    return Effect.gen(function* () {
      const credential = yield* Login.login(ClientCredentials.make({ issuer, clientId: "billing" }))
      assert.isFalse(Object.hasOwn(http.to(metadata.token_endpoint)[0]?.form ?? {}, "scope"))
      assert.deepStrictEqual(credential.token.scopes, ["invoices:read"])
    }).pipe(Effect.provide([CredentialStore.layerMemory, http.layer]))
  })

  it.effect("A-17 a wrong secret is a typed refusal, and the next call asks again", () => {
    const http = at(refused("invalid_client", 401), granted(1))
    return Effect.gen(function* () {
      const api = yield* Api
      assert.deepInclude(yield* Effect.flip(api.token), { _tag: "ProviderRefused", reason: "InvalidClient" })
      assert.strictEqual(yield* token, "access-1")
    }).pipe(Effect.provide(Api.layer(flow)), Effect.provide(http.layer))
  })

  it.effect("a secret that is not configured is a typed error when the layer is built, before any request", () => {
    const http = at()
    const flow = ClientCredentials.make({
      ...options,
      authentication: ClientAuthentication.secretBasic(Config.Redacted("BILLING_SECRET"))
    })
    return Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(token, Api.layer(flow)))
      assert.deepInclude(error, { _tag: "ConfigurationInvalid", reason: "MissingValue" })
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide([http.layer, ConfigProvider.layer(ConfigProvider.fromUnknown({}))]))
  })

  it.effect("a lifetime is counted from the request, on Clock", () => {
    const slow = (request: Parameters<ReturnType<typeof json>>[0]) => Effect.delay(granted(1)(request), "10 seconds")
    const http = scripted({ ...provider, [metadata.token_endpoint]: [slow] })
    return Effect.gen(function* () {
      yield* TestClock.setTime(1_000_000)
      const login = yield* Effect.forkChild(Login.login(flow))
      yield* TestClock.adjust("10 seconds")
      const credential = yield* Fiber.join(login)
      assert.strictEqual(credential.issuedAt.epochMilliseconds, 1_000_000)
      assert.strictEqual(credential.token.expiresAt?.epochMilliseconds, 4_600_000)
    }).pipe(Effect.provide([CredentialStore.layerMemory, http.layer]))
  })
})
