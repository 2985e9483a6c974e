import { assert, it } from "@effect/vitest"
import { CredentialStoreContract } from "@keyfob/testing"
import { DateTime, Effect, Layer, Option, Redacted } from "effect"
import { AccessToken, Credential, CredentialKey, CredentialStore } from "keyfob"

const credentialOf = (account: string) =>
  Credential.make({
    key: CredentialKey.make({ issuer: "https://id.example", clientId: "app", account, subject: "client" }),
    generation: 1,
    issuedAt: DateTime.makeUnsafe(0),
    token: AccessToken.bearer(Redacted.make(`token of ${account}`))
  })
const [spared, other] = [credentialOf("spared"), credentialOf("other")]

CredentialStoreContract.suite("memory", CredentialStore.layerMemory)
CredentialStoreContract.suite(
  "memory, one key spared",
  Layer.provide(CredentialStore.layerSparing(spared.key), CredentialStore.layerMemory)
)

it.effect("R11 a key that is spared is found by who spares it, and kept nowhere else", () =>
  Effect.gen(function* () {
    const kept = yield* CredentialStore
    const around = yield* Effect.provide(CredentialStore, CredentialStore.layerSparing(spared.key))
    for (const one of [spared, other]) yield* around.modify(one.key, ({ write }) => write(one))
    assert.deepStrictEqual(yield* around.get(spared.key), Option.some(spared))
    assert.deepStrictEqual(yield* around.list, [other])
    assert.deepStrictEqual(yield* kept.list, [other])
    assert.strictEqual(yield* around.revisionOf(spared.key), 1)
    yield* around.modify(spared.key, ({ remove }) => remove)
    assert.deepStrictEqual(yield* around.get(spared.key), Option.none())
    assert.deepStrictEqual(yield* kept.get(other.key), Option.some(other))
  }).pipe(Effect.provide(CredentialStore.layerMemory))
)

it.effect("a slot holds the credential of its own key, whatever the store", () =>
  Effect.gen(function* () {
    const { list, modify } = yield* CredentialStore
    const exit = yield* Effect.exit(modify(spared.key, ({ write }) => write(other)))
    assert.match(String(exit), /a slot holds the credential of its own key/)
    assert.deepStrictEqual(yield* list, [])
  }).pipe(Effect.provide(CredentialStore.layerMemory))
)
