import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Redacted } from "effect"
import { ClientAuthentication, ClientCredentials, CredentialStore, SigningKey, TokenSource } from "keyfob"
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from "jose"
import { prove, resolve } from "../../src/protocol/ClientAuthentication.ts"
import { json, metadata, named, openIdLocation, type Recorded, scripted } from "../scripted.ts"
import { asClient } from "./client.ts"
import { keys } from "./signing.ts"

const secret = Redacted.make("s3cret")
const supporting = (...methods: ReadonlyArray<string>) => ({
  ...metadata,
  token_endpoint_auth_methods_supported: methods
})

const proofOf = Effect.fnUntraced(
  function* (
    authentication: ClientAuthentication.ClientAuthentication,
    clientId = "app",
    provider: Parameters<typeof prove>[2] = metadata
  ) {
    return yield* prove(yield* resolve(authentication), clientId, provider, 0)
  },
  Effect.provide(scripted({}).layer)
)

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

  describe("introspection and revocation may take something else (RFC 8414 section 2)", () => {
    /** How a client authenticates where, at a provider with these lists. */
    const askedAt = Effect.fnUntraced(function* (
      authentication: ClientAuthentication.ClientAuthentication,
      lists: Readonly<Record<string, ReadonlyArray<string>>>
    ) {
      const urls = [metadata.token_endpoint, metadata.introspection_endpoint, metadata.revocation_endpoint]
      const { result, to } = asClient(
        {
          [openIdLocation]: json({ ...metadata, ...lists }),
          ...Object.fromEntries(urls.map((url) => [url, json({})]))
        },
        ({ post }) =>
          Effect.all(
            (["token", "introspection", "revocation"] as const).map((at) => Effect.exit(post(at, {}, "once")))
          ),
        { authentication }
      )
      yield* result
      return urls.map((url) => to(url)[0])
    })
    const ways = (requests: ReadonlyArray<Recorded | undefined>) =>
      requests.map((request) =>
        request === undefined ? "not at all" : request.headers["authorization"] === undefined ? "body" : "header"
      )
    const own = ClientAuthentication.secret(secret)

    for (const [name, lists, expected] of [
      [
        "each by its own list",
        {
          token_endpoint_auth_methods_supported: ["client_secret_post"],
          introspection_endpoint_auth_methods_supported: ["client_secret_basic"],
          revocation_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"]
        },
        ["body", "header", "header"]
      ],
      [
        "as at the token endpoint where they have none",
        { token_endpoint_auth_methods_supported: ["client_secret_post"] },
        ["body", "body", "body"]
      ],
      [
        "not at all where they take tokens alone",
        { introspection_endpoint_auth_methods_supported: ["Bearer"] },
        ["header", "not at all", "header"]
      ]
    ] as const) {
      it.effect(name, () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(ways(yield* askedAt(own, lists)), [...expected])
        })
      )
    }

    it.effect("and other algorithms", () =>
      Effect.gen(function* () {
        const long = ClientAuthentication.secretJwt(Redacted.make("s".repeat(64)))
        const requests = yield* askedAt(long, {
          token_endpoint_auth_signing_alg_values_supported: ["HS256"],
          introspection_endpoint_auth_signing_alg_values_supported: ["HS384"],
          revocation_endpoint_auth_signing_alg_values_supported: ["HS512"]
        })
        const algorithms = requests.map((request) => decodeProtectedHeader(request?.form["client_assertion"] ?? "").alg)
        assert.deepStrictEqual(algorithms, ["HS256", "HS384", "HS512"])
      })
    )
  })

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

  const machine = (alg: string, more: object = {}) =>
    Effect.promise(async () => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true })
      return Redacted.make(JSON.stringify({ ...(await exportJWK(privateKey)), ...more }))
    })
  const taking = (...algorithms: ReadonlyArray<string>) => ({
    ...metadata,
    token_endpoint_auth_signing_alg_values_supported: algorithms
  })
  const signedBy = (
    authentication: ClientAuthentication.ClientAuthentication,
    provider: Parameters<typeof prove>[2] = metadata
  ) =>
    Effect.map(proofOf(authentication, "app", provider), ({ form, headers }) => {
      const jwt = form["client_assertion"] ?? ""
      assert.deepStrictEqual(headers, {})
      assert.deepStrictEqual(
        { ...form, client_assertion: "" },
        {
          client_id: "app",
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion: ""
        }
      )
      return { header: decodeProtectedHeader(jwt), claims: decodeJwt(jwt) }
    })

  for (const [kind, listed, chosen] of [
    ["RS256", undefined, "RS256"],
    ["RS256", ["PS512", "PS256", "HS256"], "PS256"],
    ["RS256", ["ES256", "RS512"], "RS512"],
    ["ES384", ["HS256", "RS256", "ES384"], "ES384"],
    ["Ed25519", undefined, "EdDSA"],
    ["Ed25519", ["RS256", "Ed25519"], "Ed25519"]
  ] as const) {
    it.effect(`a ${kind} key at a provider that lists ${listed?.join(", ") ?? "nothing"} signs by ${chosen}`, () =>
      Effect.gen(function* () {
        const key = ClientAuthentication.privateKeyJwt(yield* machine(kind))
        const provider = listed === undefined ? metadata : taking(...listed)
        assert.deepStrictEqual((yield* signedBy(key, provider)).header, { alg: chosen })
      })
    )
  }

  for (const [what, listed, more, options] of [
    ["a key of another type", ["RS256", "PS256"], {}, {}],
    ["an algorithm nobody can verify", ["none", "HS256"], {}, {}],
    ["a JWK's own algorithm", ["RS256"], { alg: "ES256" }, {}],
    ["an algorithm that is asked for and not the key's", ["RS256", "ES256"], {}, { algorithm: "PS256" }]
  ] as const) {
    it.effect(`${what} that the provider does not take is said with what it takes`, () =>
      Effect.gen(function* () {
        const key = ClientAuthentication.privateKeyJwt(yield* machine("ES256", more), options)
        const error = yield* Effect.flip(signedBy(key, taking(...listed, "x\u001b[2J")))
        assert.strictEqual(named(error), "ConfigurationInvalid.NotSupported")
        assert.include(error.message, listed.join(", "))
        assert.notInclude(error.message, "\u001b")
      })
    )
  }

  it.effect("an assertion is addressed to the issuer alone; to the token endpoint where that is asked for", () =>
    Effect.gen(function* () {
      const key = yield* machine("ES256")
      const { claims } = yield* signedBy(ClientAuthentication.privateKeyJwt(key))
      const { jti, ...rest } = claims
      assert.match(String(jti), /^[\w-]{43}$/)
      assert.deepStrictEqual(rest, { iss: "app", sub: "app", aud: metadata.issuer, iat: 0, exp: 60 })
      const audience = "token_endpoint"
      for (const old of [
        ClientAuthentication.privateKeyJwt(key, { audience }),
        ClientAuthentication.secretJwt(secret, { audience })
      ]) {
        assert.strictEqual((yield* signedBy(old)).claims.aud, metadata.token_endpoint)
      }
    })
  )

  it.effect("a secret signs by the HMAC that the provider lists, and by nothing else", () =>
    Effect.gen(function* () {
      const authentication = ClientAuthentication.secretJwt(secret)
      assert.strictEqual((yield* signedBy(authentication)).header.alg, "HS256")
      assert.strictEqual((yield* signedBy(authentication, taking("RS256", "HS512"))).header.alg, "HS512")
      const error = yield* Effect.flip(signedBy(authentication, taking("RS256")))
      assert.strictEqual(named(error), "ConfigurationInvalid.NotSupported")
    })
  )

  it.effect("a key is read once, and one that cannot sign is found before any request", () =>
    Effect.gen(function* () {
      const text = yield* machine("ES256")
      let reads = 0
      const source = Effect.suspend(() => {
        reads++
        return SigningKey.fromText(text)
      })
      const resolved = yield* resolve(ClientAuthentication.privateKeyJwt(source))
      const proofs = Effect.all([1, 2].map(() => prove(resolved, "app", metadata, 0)))
      const [one, two] = yield* Effect.provide(proofs, scripted({}).layer)
      assert.strictEqual(reads, 1)
      assert.notStrictEqual(one?.form["client_assertion"], two?.form["client_assertion"])
      const bad = ClientAuthentication.privateKeyJwt(Redacted.make("canary"))
      assert.strictEqual(named(yield* Effect.flip(resolve(bad))), "ConfigurationInvalid.InvalidValue")
      const missing = ClientAuthentication.privateKeyJwt(Config.Redacted("key"))
      const nothing = ConfigProvider.layer(ConfigProvider.fromUnknown({}))
      const error = yield* Effect.flip(Effect.provide(resolve(missing), nothing))
      assert.strictEqual(named(error), "ConfigurationInvalid.MissingValue")
    })
  )

  it.effect("a token source with a key that cannot sign is not made, and nobody is asked for anything", () =>
    Effect.gen(function* () {
      const { layer, requests } = scripted({})
      const authentication = ClientAuthentication.privateKeyJwt(Redacted.make("canary"))
      const flow = ClientCredentials.make({ issuer: metadata.issuer, clientId: "app", authentication })
      const made = TokenSource.make(flow).pipe(Effect.scoped, Effect.provide([layer, CredentialStore.layerMemory]))
      assert.strictEqual(named(yield* Effect.flip(made)), "ConfigurationInvalid.InvalidValue")
      assert.isEmpty(requests)
    })
  )

  for (const [what, text] of [
    ["a public key", keys.provider.pem],
    ["a public JWK", JSON.stringify(keys.provider.jwk)],
    ["a private key", "-----BEGIN EC PRIVATE KEY-----\ncanary\n-----END EC PRIVATE KEY-----"]
  ] as const) {
    it.effect(`${what} is no client secret: it neither signs as an HMAC (RFC 8725 section 2.1) nor is it sent`, () =>
      Effect.gen(function* () {
        const { secretBasic, secretJwt, secretPost } = ClientAuthentication
        for (const method of [secretBasic, secretPost, secretJwt]) {
          const error = yield* Effect.flip(resolve(method(Redacted.make(text))))
          assert.strictEqual(named(error), "ConfigurationInvalid.InvalidValue")
          assert.notInclude(error.message, "canary")
        }
      })
    )
  }

  it.effect("what somebody else says of the client is asked for with each request", () =>
    Effect.gen(function* () {
      let asked = 0
      const authentication = ClientAuthentication.clientAssertion(
        Effect.sync(() => Redacted.make(`assertion.number.${++asked}`))
      )
      const resolved = yield* resolve(authentication)
      const proofs = Effect.all([1, 2].map(() => prove(resolved, "app", supporting("private_key_jwt"), 0)))
      const found = (yield* Effect.provide(proofs, scripted({}).layer)).map(({ form }) => form["client_assertion"])
      assert.deepStrictEqual(found, ["assertion.number.1", "assertion.number.2"])
      const error = yield* Effect.flip(proofOf(authentication, "app", supporting("client_secret_basic")))
      assert.include(error.message, "private_key_jwt")
      const page = ClientAuthentication.clientAssertion(Effect.succeed(Redacted.make("<html>canary")))
      const refused = yield* Effect.flip(proofOf(page))
      assert.strictEqual(named(refused), "ConfigurationInvalid.InvalidValue")
      assert.notInclude(refused.message, "canary")
    })
  )

  it("X-23 an authentication that is printed does not show its secret", () => {
    const authentication = ClientAuthentication.secretBasic(secret)
    assert.notInclude(JSON.stringify(authentication) + String(authentication.method), "s3cret")
  })
})
