import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as RedisServer from "@keyfob/embedded/RedisServer"
import { CredentialStoreContract } from "@keyfob/testing"
import { afterAll } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import * as RedisCredentialStore from "../../src/store/RedisCredentialStore.ts"

// One server for all cases: the contract builds the layer more than once over the same place.
const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
const { url } = await Effect.runPromise(Scope.provide(RedisServer.start(), scope))

const admin = Layer.build(NodeRedis.layer({ url })).pipe(Effect.map(Context.get(Redis.Redis)), Scope.provide(scope))
const { send } = await Effect.runPromise(admin)

CredentialStoreContract.suite("redis", RedisCredentialStore.layer.pipe(Layer.provide(NodeRedis.layer({ url }))), {
  durable: true,
  endLease: (key) => send("DEL", `keyfob:${createHash("sha256").update(key.canonical).digest("hex")}:lease`)
})
