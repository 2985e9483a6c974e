import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Redacted } from "effect"
import { ClientAuthentication } from "keyfob"
import { prove, resolve } from "../../src/protocol/ClientAuthentication.ts"
import { metadata, named } from "../scripted.ts"

const secret = Redacted.make("s3cret")
const supporting = (...methods: ReadonlyArray<string>) => ({
  ...metadata,
  token_endpoint_auth_methods_supported: methods
})

const proofOf = Effect.fnUntraced(function* (
  authentication: ClientAuthentication.ClientAuthentication,
  clientId = "app",
  provider: Parameters<typeof prove>[2] = metadata
) {
  return yield* prove(yield* resolve(authentication), clientId, provider, 0)
})

const basic = (credentials: string) => ({ headers: { authorization: `Basic ${btoa(credentials)}` }, form: {} })
const inBody = { headers: {}, form: { client_id: "app", client_secret: "s3cret" } }

describe("ClientAuthentication", () => {
  it.effect("a public client sends its id and nothing else", () =>
    Effect.gen(function* () {
      const proof = { headers: {}, form: { client_id: "app" } }
      assert.deepStrictEqual(yield* proofOf(ClientAuthentication.none), proof)
      const silent = supporting("client_secret_basic") // servers leave "none" out though they have public clients
      assert.deepStrictEqual(yield* proofOf(ClientAuthentication.none, "app", silent), proof)
    })
  )

  it.effect("A-15 client_secret_basic puts id and secret in the header alone", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* proofOf(ClientAuthentication.secretBasic(secret)), basic("app:s3cret"))
    })
  )

  it.effect("A-15 client_secret_post puts id and secret in the body alone", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* proofOf(ClientAuthentication.secretPost(secret)), inBody)
    })
  )

  for (const [id, text, encoded] of [
    ["app", "a:b", "app:a%3Ab"],
    ["a:b", "c", "a%3Ab:c"],
    ["app", '+ %&=/~"\\', "app:%2B+%25%26%3D%2F%7E%22%5C"],
    ["app", "*-._", "app:*-._"],
    ["app", "ü€𝄞", "app:%C3%BC%E2%82%AC%F0%9D%84%9E"],
    ["https://client.example/id", "x", "https%3A%2F%2Fclient.example%2Fid:x"]
  ] as const) {
    it.effect(`X-16 basic credentials are form-encoded first (RFC 6749 section 2.3.1): ${id} ${text}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(
          yield* proofOf(ClientAuthentication.secretBasic(Redacted.make(text)), id),
          basic(encoded)
        )
      })
    )
  }

  for (const [methods, expected] of [
    [["client_secret_post", "client_secret_basic"], inBody],
    [["private_key_jwt", "client_secret_basic", "client_secret_post"], basic("app:s3cret")],
    [["client_secret_post"], inBody]
  ] as const) {
    it.effect(`a secret goes where the provider lists it first: ${methods.join(", ")}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(
          yield* proofOf(ClientAuthentication.secret(secret), "app", supporting(...methods)),
          expected
        )
      })
    )
  }

  it.effect("a secret goes into the header where the provider lists nothing (OpenID Connect Discovery section 3)", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* proofOf(ClientAuthentication.secret(secret)), basic("app:s3cret"))
    })
  )

  for (const authentication of [
    ClientAuthentication.secret(secret),
    ClientAuthentication.secretBasic(secret),
    ClientAuthentication.secretPost(secret)
  ]) {
    it.effect(`${authentication.method} is not tried at a provider that does not offer it`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(proofOf(authentication, "app", supporting("private_key_jwt", "x\u001b[2J")))
        assert.strictEqual(named(error), "ConfigurationInvalid.NotSupported")
        assert.include(error.message, "private_key_jwt")
        assert.notInclude(error.message, "\u001b")
        assert.notInclude(error.message, "s3cret")
      })
    )
  }

  it.effect("R12 a secret may come from configuration", () =>
    Effect.gen(function* () {
      const configured = ClientAuthentication.secretPost(Config.Redacted("secret"))
      const provided = ConfigProvider.layer(ConfigProvider.fromUnknown({ secret: "s3cret" }))
      assert.deepStrictEqual(yield* Effect.provide(proofOf(configured), provided), inBody)
      const missing = yield* Effect.flip(
        Effect.provide(proofOf(configured), ConfigProvider.layer(ConfigProvider.fromUnknown({})))
      )
      assert.strictEqual(named(missing), "ConfigurationInvalid.MissingValue")
    })
  )

  it("X-23 an authentication that is printed does not show its secret", () => {
    const authentication = ClientAuthentication.secretBasic(secret)
    assert.notInclude(JSON.stringify(authentication) + String(authentication.method), "s3cret")
  })
})
