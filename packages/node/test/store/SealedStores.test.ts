/** Shared stores whose server keeps what it cannot read. */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as PostgresServer from "@keyfob/embedded/PostgresServer"
import * as RedisServer from "@keyfob/embedded/RedisServer"
import { CredentialStoreContract } from "@keyfob/testing"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Layer, Redacted, Scope } from "effect"
import * as Redis from "effect/persistence/Redis"
import * as SqlClient from "effect/sql/SqlClient"
import { AccessToken, Credential, CredentialKey, CredentialStore, type StoreFailed } from "keyfob"
import * as Encryption from "../../src/store/Encryption.ts"
import * as EncryptionKey from "../../src/store/EncryptionKey.ts"
import * as RedisCredentialStore from "../../src/store/RedisCredentialStore.ts"
import * as SqlCredentialStore from "../../src/store/SqlCredentialStore.ts"

const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
const redisUrl = (await Effect.runPromise(Scope.provide(RedisServer.start(), scope))).url
const sqlUrl = (await Effect.runPromise(Scope.provide(PostgresServer.start(), scope))).url

const redis = NodeRedis.layer({ url: redisUrl })
const sql = PgClient.layer({ url: Redacted.make(sqlUrl) })

const keyOf = (passphrase: string) => EncryptionKey.passphrase(Redacted.make(passphrase), { cost: 10 })
const sealingWith = (passphrase: string) =>
  Encryption.make({ keys: [keyOf(passphrase)] }).pipe(Effect.provide(NodeServices.layer))
type Stores = Readonly<Record<"redis" | "sql", (passphrase: string) => Layer.Layer<CredentialStore, StoreFailed>>>
const stores: Stores = {
  redis: (passphrase) =>
    Layer.unwrap(Effect.map(sealingWith(passphrase), RedisCredentialStore.layerSealed)).pipe(
      Layer.provide(Layer.orDie(redis))
    ),
  sql: (passphrase) =>
    Layer.unwrap(Effect.map(sealingWith(passphrase), SqlCredentialStore.layerSealed)).pipe(
      Layer.provide(Layer.orDie(sql))
    )
}
/** All that the servers hold, as text. */
const held = {
  redis: Effect.gen(function* () {
    const { send } = yield* Redis.Redis
    const keys = (yield* send("KEYS", "*")) as ReadonlyArray<string> // as Redis answers KEYS
    const hashes = yield* Effect.forEach(keys, (key) => Effect.orElseSucceed(send("HGETALL", key), () => ""))
    return JSON.stringify(hashes)
  }).pipe(Effect.provide(redis)),
  sql: SqlClient.SqlClient.use((sql) => sql`SELECT value, damaged FROM keyfob_credentials`).pipe(
    Effect.map((rows) => JSON.stringify(rows)),
    Effect.provide(sql)
  )
}

const key = CredentialKey.make({
  issuer: "https://login.example.com",
  clientId: "app",
  account: "sealed",
  subject: "user",
  scopes: [],
  resource: [],
  params: {}
})
const credential = Credential.make({
  key,
  generation: 1,
  token: AccessToken.make({ value: Redacted.make("canary-access"), type: "Bearer", scopes: [] }),
  issuedAt: DateTime.makeUnsafe(0),
  refreshToken: Redacted.make("canary-refresh")
})

for (const name of ["redis", "sql"] as const) {
  CredentialStoreContract.suite(`${name}, sealed`, stores[name]("right"), { durable: true })

  describe(`${name}, sealed`, () => {
    it.live("the server holds no token, and another key neither reads, replaces nor removes one", () =>
      Effect.gen(function* () {
        const write = CredentialStore.use(({ modify }) => modify(key, (slot) => slot.write(credential)))
        const remove = CredentialStore.use(({ modify }) => modify(key, (slot) => slot.remove))
        const read = CredentialStore.use(({ get }) => get(key))
        yield* Effect.provide(write, stores[name]("right"))
        const before = yield* held[name]
        assert.include(before, "nonce")
        assert.notInclude(before, "canary")
        for (const attempt of [Effect.asVoid(read), write, remove]) {
          const failure = yield* Effect.flip(Effect.provide(attempt, stores[name]("wrong")))
          assert.strictEqual(failure.reason, "Locked")
        }
        const found = yield* Effect.provide(read, stores[name]("right"))
        assert.strictEqual(found._tag === "Some" ? Redacted.value(found.value.token.value) : "", "canary-access")
      })
    )
  })
}
