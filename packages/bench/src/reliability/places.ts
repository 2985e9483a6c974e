/** Where a store keeps what it keeps, for as long as a scope lasts: its location, for stores.ts. */
import * as PostgresServer from "@keyfob/embedded/PostgresServer"
import * as RedisServer from "@keyfob/embedded/RedisServer"
import { Effect, type Scope } from "effect"
import { directory } from "./processes.ts"
import type { StoreName } from "./stores.ts"

export const places: Readonly<Record<StoreName, Effect.Effect<string, unknown, Scope.Scope>>> = {
  file: directory,
  encrypted_file: directory,
  /** Of the keychain this process has: run it under one of its own (`dbus-run-session`). */
  keychain: directory,
  redis: Effect.map(RedisServer.start(), ({ url }) => url),
  sql: Effect.map(PostgresServer.start(["max_connections=300"]), ({ url }) => url)
}
