import * as PgClient from "@effect/sql-pg/PgClient"
import * as PostgresServer from "@keyfob/embedded/PostgresServer"
import { CredentialStoreContract } from "@keyfob/testing"
import { afterAll } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import { createHash } from "node:crypto"
import * as SqlCredentialStore from "../../src/store/SqlCredentialStore.ts"

// One server for all cases: the contract builds the layer more than once over the same place.
const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
const { url } = await Effect.runPromise(Scope.provide(PostgresServer.start(), scope))

const client = PgClient.layer({ url: Redacted.make(url) })
const admin = Layer.build(client).pipe(Effect.map(Context.get(SqlClient.SqlClient)), Scope.provide(scope))
const sql = await Effect.runPromise(admin)

CredentialStoreContract.suite("sql", SqlCredentialStore.layer.pipe(Layer.provide(client)), {
  durable: true,
  endLease: (key) => {
    const id = createHash("sha256").update(key.canonical).digest("hex")
    return sql`UPDATE keyfob_credentials SET leased_until = now() WHERE id = ${id}`
  }
})
