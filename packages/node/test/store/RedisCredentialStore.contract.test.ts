import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as RedisServer from "@keyfob/embedded/RedisServer"
import { CredentialStoreContract } from "@keyfob/testing"
import { afterAll } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as RedisCredentialStore from "../../src/store/RedisCredentialStore.ts"

// One server for all cases: the contract builds the layer more than once over the same place.
const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
const { url } = await Effect.runPromise(Scope.provide(RedisServer.start(), scope))

CredentialStoreContract.suite("redis", RedisCredentialStore.layer.pipe(Layer.provide(NodeRedis.layer({ url }))), {
  durable: true
})
