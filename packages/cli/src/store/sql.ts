/** Credentials in PostgreSQL, by its URL. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlCredentialStore from "@keyfob/node/SqlCredentialStore"
import { CredentialStore, type StoreFailed } from "keyfob"

export const layer = (
  url: Redacted.Redacted,
  ca: ReadonlyArray<string> | undefined
): Layer.Layer<CredentialStore, StoreFailed> => {
  const mode = URL.parse(Redacted.value(url))?.searchParams.get("sslmode")
  const tls = ca !== undefined && mode !== null && mode !== "disable" ? { ssl: { ca: [...ca] } } : {}
  // A renewal has two things to say at once at most: its own, and the lease's heartbeat.
  const connection = PgClient.layer({ url, maxConnections: 2, ...tls })
  return SqlCredentialStore.layer.pipe(
    Layer.provide(connection),
    Layer.catchTag("SqlError", (error) => Layer.effect(CredentialStore, SqlCredentialStore.failureOf(error)))
  )
}
