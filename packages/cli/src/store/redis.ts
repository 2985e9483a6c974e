/** Credentials in Redis, by its URL. */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as RedisCredentialStore from "@keyfob/node/RedisCredentialStore"
import { type CredentialStore, StoreFailed } from "keyfob"

const unavailable = new StoreFailed({
  reason: "Unavailable",
  store: "redis",
  location: "redis",
  detail: "no answer in 5 s"
})

/**
 * A connection that neither begins nor ends later than it should: what the client does on its own waits for the answers
 * of a server that hangs, however long.
 */
const connected = Effect.fnUntraced(function* (options: Parameters<typeof NodeRedis.layer>[0]) {
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer((exit) => Effect.forkDetach(Scope.close(scope, exit)))
  const connecting = yield* Effect.forkDetach(Layer.buildWithScope(NodeRedis.layer(options), scope))
  const context = yield* Effect.interruptible(Fiber.join(connecting)).pipe(
    Effect.mapError((error) => RedisCredentialStore.failureOf(error)),
    Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => unavailable })
  )
  const { client } = Context.get(context, NodeRedis.NodeRedis)
  yield* Effect.addFinalizer(() => Effect.sync(() => (client.isOpen ? client.destroy() : undefined)))
  return context
})

export const layer = (
  url: Redacted.Redacted,
  ca: ReadonlyArray<string> | undefined
): Layer.Layer<CredentialStore, StoreFailed> => {
  const address = Redacted.value(url)
  const tls = ca !== undefined && address.startsWith("rediss:") ? { socket: { tls: true as const, ca: [...ca] } } : {}
  return RedisCredentialStore.layer.pipe(
    Layer.provide(Layer.effectContext(connected({ url: address, ...tls }))),
    // What the client logs, the store's error says.
    Layer.provide(Logger.layer([]))
  )
}
