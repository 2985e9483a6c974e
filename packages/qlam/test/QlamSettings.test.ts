import { Qlam, QlamSettings, QshFile } from "@keyfob/qlam"
import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { ProviderType } from "keyfob"

it.each([
  ["quera-identity.us.auth0.com", "https://quera-identity.us.auth0.com"],
  ["https://quera-identity.us.auth0.com", "https://quera-identity.us.auth0.com"],
  ["https://quera-identity.us.auth0.com//", "https://quera-identity.us.auth0.com"],
  ["https://https://quera-identity.us.auth0.com/", "https://quera-identity.us.auth0.com"],
  [" HTTPS://id.example/tenant/ ", "https://id.example/tenant"],
  ["http://127.0.0.1:8080/", "http://127.0.0.1:8080"]
])("C-21 %j is the issuer %s", (url, issuer) => assert.strictEqual(QlamSettings.issuerOf(url), issuer))

it.effect("C-21 C.8#6 auth_base_url and issuer say the same; without both the sentence names them", () =>
  Effect.gen(function* () {
    const place = { context: "c", name: "n" }
    const keyOf = (entry: object) =>
      Effect.map(Qlam.type.configure({ client_id: "shell", ...entry }, place), ({ key }) => key.canonical)
    assert.strictEqual(yield* keyOf({ auth_base_url: "id.example" }), yield* keyOf({ issuer: "https://id.example/" }))
    const { expected, keys } = ProviderType.complaintOf(yield* Effect.flip(keyOf({})))
    assert.deepStrictEqual([keys, expected], [["auth_base_url"], "expected auth_base_url or issuer"])
  })
)

it("the documented scope is asked for, a machine asks for none; a key outranks a secret", () => {
  const entry = { issuer: "id.example", client_id: "c" }
  assert.deepStrictEqual(QlamSettings.toOAuth(entry).scopes, ["openid", "email", "profile", "offline_access"])
  const secret = Redacted.make("s")
  const machine = QlamSettings.toOAuth({ ...entry, grant_type: "client_credentials", client_secret: secret })
  assert.deepInclude(machine, { clientAuth: "client_secret_post", flow: "client_credentials" })
  assert.deepStrictEqual(machine.scopes, [])
  const keyed = QlamSettings.toOAuth({ ...entry, client_secret: secret, private_key: Redacted.make("k") })
  assert.strictEqual(keyed.clientAuth, "private_key_jwt")
  assert.notProperty(keyed, "clientSecret")
})

it("its redirect port and its budget are OAuth's own; a secret is called for where nothing else proves who a machine is", () => {
  const entry = { issuer: "id.example", client_id: "c", redirect_port: 8400, token_budget: { limit: 1000, per: "30d" } }
  assert.deepInclude(QlamSettings.toOAuth(entry), { redirectPort: 8400, tokenBudget: { limit: 1000, per: "30d" } })
  const needsOf = (more: Partial<QlamSettings.QlamSettings>) =>
    QlamSettings.definition.identify({ issuer: "id.example", client_id: "c", ...more }, "a").needs
  assert.deepStrictEqual(needsOf({}), [])
  assert.deepStrictEqual(needsOf({ grant_type: "client_credentials" }), ["client_secret"])
  assert.deepStrictEqual(needsOf({ grant_type: "client_credentials", private_key: Redacted.make("k") }), [])
})

it.effect("C-20 of several contexts the one that holds must be said", () =>
  Effect.gen(function* () {
    const one = { name: "one" }
    assert.deepStrictEqual(yield* QshFile.contextOf({ contexts: [one] }), one)
    const error = yield* Effect.flip(QshFile.contextOf({ contexts: [one, { name: "two" }] }))
    assert.deepInclude(error, { _tag: "ConfigurationInvalid", reason: "MissingValue" })
    assert.include(error.message, "there is one, two")
  })
)

it("what a context has beside its providers is named, be it known or not, and no value of it", () => {
  const context = {
    name: "gemini",
    auth_providers: [{ name: "quera", provider: "oauth", client_secret: "canary" }],
    defaults: { group: "canary", qpu_mode: null, retries: 3 },
    plugins: { tasks: { auth_provider: "quera" }, results: { auth_provider: "quera", group: "canary" } },
    labels: ["canary"]
  }
  assert.deepStrictEqual(QshFile.besideProviders(context), [
    "defaults.group",
    "defaults.retries",
    "plugins.results.group",
    "labels"
  ])
  assert.deepStrictEqual(QshFile.pluginsOf(context), { tasks: "quera", results: "quera" })
})
