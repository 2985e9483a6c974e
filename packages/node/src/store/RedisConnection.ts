/**
 * A connection to Redis that neither begins nor ends later than it should. What node-redis does on its own, at the start and
 * when it is closed, waits for the answers of a server that hangs, however long.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Redis from "effect/persistence/Redis"
import * as Scope from "effect/Scope"
import { StoreFailed } from "keyfob"
import { answerWithin } from "./FencedStore.ts"
import { failureOf } from "./RedisCredentialStore.ts"

const unavailable = new StoreFailed({
  reason: "Unavailable",
  store: "redis",
  location: "redis",
  detail: `no answer in ${Duration.toSeconds(answerWithin)} s`
})

const connected = Effect.fnUntraced(function* (options: Parameters<typeof NodeRedis.layer>[0]) {
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer((exit) => Effect.forkDetach(Scope.close(scope, exit)))
  const connecting = yield* Effect.forkDetach(Layer.buildWithScope(NodeRedis.layer(options), scope))
  const context = yield* Effect.interruptible(Fiber.join(connecting)).pipe(
    Effect.mapError((error) => failureOf(error)),
    Effect.timeoutOrElse({ duration: answerWithin, orElse: () => unavailable })
  )
  const { client } = Context.get(context, NodeRedis.NodeRedis)
  yield* Effect.addFinalizer(() => Effect.sync(() => (client.isOpen ? client.destroy() : undefined)))
  return context
})

/**
 * `NodeRedis.layer` of `@effect/platform-node` with its options, for `RedisCredentialStore`. Fails as the store does: with
 * `Unavailable` where there is no answer within 5 s. Closing it waits for nobody.
 */
export const layer = (
  options: Parameters<typeof NodeRedis.layer>[0]
): Layer.Layer<Redis.Redis | NodeRedis.NodeRedis, StoreFailed> => Layer.effectContext(connected(options))
