import { assert, describe, it } from "@effect/vitest"
import { SimulatedProvider } from "@keyfob/testing"
import { Effect, Redacted } from "effect"
import { HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import {
  AuthorizedHttpClient,
  ClientAuthentication,
  ClientCertificate,
  ClientCredentials,
  CredentialStore,
  grantTypes,
  Login,
  LoginRequired,
  TokenExchange,
  TokenSource
} from "keyfob"
import { sign } from "../protocol/signing.ts"
import { issuer, json, metadata, named, provider, refused, type Reply, scripted } from "../scripted.ts"

const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`
const subject = { token: Effect.succeed(Redacted.make("subject")) }
const options = { issuer, clientId: "gateway", subject }
const issued = { access_token: "new", token_type: "Bearer", issued_token_type: type("access_token") }

const exchange = (
  flow: ReturnType<typeof TokenExchange.make>,
  reply: Reply,
  script: Readonly<Record<string, Reply>> = {}
) => {
  const http = scripted({ ...provider, [metadata.token_endpoint]: reply, ...script })
  const result = Login.login(flow).pipe(Effect.provide([CredentialStore.layerMemory, http.layer]))
  return { result, form: () => http.to(metadata.token_endpoint)[0]?.form }
}

describe("TokenExchange", () => {
  it.effect("RFC 8693 section 2.1: subject, actor, types, and for whom, in the flow's own words", () =>
    Effect.gen(function* () {
      const flow = TokenExchange.make({
        ...options,
        subject: { ...subject, type: "id_token" },
        actor: { token: Effect.succeed(Redacted.make("actor")), type: "https://example.com/robot" },
        requestedTokenType: "access_token",
        scopes: ["read"],
        audience: "files",
        resource: ["https://files.example"],
        params: { subject_token: "forged", actor_token: "forged", requested_token_type: "forged", tenant: "acme" }
      })
      const { form, result } = exchange(flow, json(issued))
      assert.strictEqual((yield* result).token.type, "Bearer")
      assert.deepStrictEqual(form(), {
        tenant: "acme",
        scope: "read",
        audience: "files",
        resource: "https://files.example",
        grant_type: grantTypes.tokenExchange,
        subject_token_type: type("id_token"),
        actor_token_type: "https://example.com/robot",
        requested_token_type: type("access_token"),
        subject_token: "subject",
        actor_token: "actor",
        client_id: "gateway"
      })
    })
  )

  it.effect("without an actor, parameters cannot bring one in", () =>
    Effect.gen(function* () {
      const params = { actor_token: "forged", actor_token_type: type("access_token"), requested_token_type: "x" }
      const { form, result } = exchange(TokenExchange.make({ ...options, params }), json(issued))
      yield* result
      assert.deepStrictEqual(form(), {
        grant_type: grantTypes.tokenExchange,
        subject_token_type: type("access_token"),
        subject_token: "subject",
        client_id: "gateway"
      })
    })
  )

  for (const [asked, answer, expected] of [
    [undefined, issued, "Bearer"],
    [undefined, { ...issued, issued_token_type: type("jwt") }, "Bearer"],
    [undefined, { ...issued, issued_token_type: undefined }, "Bearer"],
    ["jwt", { ...issued, issued_token_type: type("jwt"), token_type: "N_A" }, "N_A"],
    ["jwt", { ...issued, issued_token_type: type("jwt") }, "Bearer"],
    ["id_token", { ...issued, issued_token_type: type("id_token"), token_type: "n_a" }, "N_A"],
    ["id_token", { ...issued, issued_token_type: type("id_token"), token_type: undefined }, "N_A"],
    ["https://example.com/t", { ...issued, issued_token_type: "https://example.com/t", token_type: "N_A" }, "N_A"],
    [undefined, { ...issued, token_type: "N_A" }, "AnswerRejected.Malformed"],
    [undefined, { ...issued, issued_token_type: type("refresh_token") }, "AnswerRejected.Malformed"],
    ["access_token", { ...issued, issued_token_type: type("id_token") }, "AnswerRejected.Malformed"],
    ["id_token", issued, "AnswerRejected.Malformed"],
    ["id_token", { ...issued, issued_token_type: undefined }, "AnswerRejected.Malformed"],
    ["id_token", { ...issued, issued_token_type: type("id_token"), token_type: "mac" }, "AnswerRejected.Malformed"]
  ] as const) {
    const said = `${answer.issued_token_type?.split(":").at(-1)}, ${answer.token_type}`
    it.effect(`asked for ${asked ?? "nothing in particular"}, got ${said}: ${expected}`, () =>
      Effect.gen(function* () {
        const flow = TokenExchange.make({ ...options, ...(asked === undefined ? {} : { requestedTokenType: asked }) })
        const result = yield* Effect.result(exchange(flow, json(answer)).result)
        assert.strictEqual(result._tag === "Success" ? result.success.token.type : named(result.failure), expected)
      })
    )
  }

  it.effect(
    "attack: one of another kind that is a bearer token, and bound to nothing, where tokens are to be bound",
    () =>
      Effect.gen(function* () {
        const certificate = { certificate: "a PEM", key: Redacted.make("canary-key"), thumbprint: "ours" }
        const asked = { ...options, requestedTokenType: "jwt" }
        const bound = TokenExchange.make({ ...asked, certificate, certificateBoundAccessTokens: true })
        for (const access_token of [Redacted.value(yield* sign({})), "opaque"]) {
          const answer = json({ ...issued, access_token, issued_token_type: type("jwt") })
          const told = { [metadata.introspection_endpoint]: json({ active: true }) }
          const error = yield* Effect.flip(exchange(bound, answer, told).result)
          assert.strictEqual(named(error), "AnswerRejected.CertificateMismatch")
          const { token } = yield* exchange(TokenExchange.make({ ...asked, dpop: true }), answer).result
          assert.strictEqual(token.type, "N_A")
        }
      }).pipe(Effect.provideService(ClientCertificate.IsPresentable, true))
  )

  it.effect("where the provider's ID tokens go on requests, what was issued is the token all the same", () =>
    Effect.gen(function* () {
      const flow = TokenExchange.make({ ...options, profile: { bearer: "id_token" } })
      const { token } = yield* exchange(flow, json(issued)).result
      assert.strictEqual(Redacted.value(token.value), "new")
      assert.isUndefined(flow.key.bearer)
    })
  )

  it.effect("what is no access token goes on no request", () =>
    Effect.gen(function* () {
      const answer = { access_token: "canary", token_type: "N_A", issued_token_type: type("jwt") }
      const http = scripted({ ...provider, [metadata.token_endpoint]: json(answer) })
      yield* Effect.gen(function* () {
        const source = TokenSource.make(TokenExchange.make({ ...options, requestedTokenType: "jwt" }))
        const client = yield* AuthorizedHttpClient.make(source, { origins: ["https://api.example"] })
        const error = yield* Effect.flip(client.execute(HttpClientRequest.get("https://api.example/x")))
        assert.strictEqual(error._tag, "ConfigurationInvalid")
        assert.lengthOf(http.to("https://api.example/x"), 0)
      }).pipe(Effect.scoped, Effect.provide([CredentialStore.layerMemory, http.layer]))
    })
  )

  it.effect("a subject token that its provider does not take is a typed refusal", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(exchange(TokenExchange.make(options), refused("invalid_request")).result)
      assert.strictEqual(named(error), "ProviderRefused.InvalidRequest")
    })
  )

  it.effect("whoever must sign in first is the failure as it is", () =>
    Effect.gen(function* () {
      const missing = new LoginRequired({ reason: "NoCredential", issuer, account: "default" })
      const flow = TokenExchange.make({ ...options, subject: { token: missing } })
      assert.strictEqual(yield* Effect.flip(exchange(flow, json(issued)).result), missing)
    })
  )

  it("other types of token are other credentials", () => {
    const keys = [
      TokenExchange.make(options),
      TokenExchange.make({ ...options, requestedTokenType: "jwt" }),
      TokenExchange.make({ ...options, actor: subject }),
      TokenExchange.make({ ...options, subject: { ...subject, type: "id_token" } }),
      ClientCredentials.make(options)
    ].map(({ key }) => key.canonical)
    assert.strictEqual(new Set(keys).size, keys.length)
    for (const key of keys) assert.notInclude(key, '"subject"')
  })

  it.effect("against the simulated provider: a source's token for a narrower one, renewed with it", () => {
    const gateway = { client_id: "gateway", client_secret: "gateway secret", grant_types: [grantTypes.tokenExchange] }
    return Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const authentication = (secret: string) => ClientAuthentication.secretBasic(Redacted.make(secret))
      const machine = yield* TokenSource.make(
        ClientCredentials.make({
          issuer: idp.issuer,
          clientId: "billing",
          authentication: authentication('s3cret:+/= %&~"\\'),
          scopes: ["api:read", "api:write"]
        })
      )
      const narrow = yield* TokenSource.make(
        TokenExchange.make({
          issuer: idp.issuer,
          clientId: "gateway",
          authentication: authentication("gateway secret"),
          scopes: ["api:read"],
          subject: { token: Effect.map(machine.token, ({ value }) => value) }
        })
      )
      const first = yield* narrow.token
      assert.deepStrictEqual(first.scopes, ["api:read"])
      assert.isTrue(yield* idp.accepts(Redacted.value(first.value)))
      yield* TestClock.adjust("2 hours")
      const second = yield* narrow.token
      assert.isTrue(yield* idp.accepts(Redacted.value(second.value)))
      assert.isFalse(yield* idp.accepts(Redacted.value(first.value)))
    }).pipe(
      Effect.scoped,
      Effect.provide([SimulatedProvider.layer({ clients: [gateway] }), CredentialStore.layerMemory])
    )
  })
})
