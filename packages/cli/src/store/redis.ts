/** Credentials in Redis, by its URL. */
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as RedisConnection from "@keyfob/node/RedisConnection"
import * as RedisCredentialStore from "@keyfob/node/RedisCredentialStore"
import type { CredentialStore, StoreFailed } from "keyfob"

export const layer = (
  url: Redacted.Redacted,
  ca: ReadonlyArray<string> | undefined
): Layer.Layer<CredentialStore, StoreFailed> => {
  const address = Redacted.value(url)
  const tls = ca !== undefined && address.startsWith("rediss:") ? { socket: { tls: true as const, ca: [...ca] } } : {}
  return RedisCredentialStore.layer.pipe(
    Layer.provide(RedisConnection.layer({ url: address, ...tls })),
    // What the client logs, the store's error says.
    Layer.provide(Logger.layer([]))
  )
}
