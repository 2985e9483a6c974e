/** The stores that hosts share, by their URL. */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as RedisCredentialStore from "@keyfob/node/RedisCredentialStore"
import * as SqlCredentialStore from "@keyfob/node/SqlCredentialStore"
import { Layer, Redacted } from "effect"
import type { CredentialStore } from "keyfob"

export const sharedStores = {
  redis: (url: string) => RedisCredentialStore.layer.pipe(Layer.provide(NodeRedis.layer({ url })), Layer.orDie),
  sql: (url: string) =>
    SqlCredentialStore.layer.pipe(
      Layer.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 2 })),
      Layer.orDie
    )
} satisfies Record<string, (url: string) => Layer.Layer<CredentialStore>>

export type SharedStoreName = keyof typeof sharedStores

export const isSharedStoreName = (name: string): name is SharedStoreName => Object.hasOwn(sharedStores, name)
