import * as PgClient from "@effect/sql-pg/PgClient"
import * as PostgresServer from "@keyfob/embedded/PostgresServer"
import { CredentialStoreContract } from "@keyfob/testing"
import { afterAll } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as SqlCredentialStore from "../../src/store/SqlCredentialStore.ts"

// One server for all cases: the contract builds the layer more than once over the same place.
const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
const { url } = await Effect.runPromise(Scope.provide(PostgresServer.start(), scope))

CredentialStoreContract.suite(
  "sql",
  SqlCredentialStore.layer.pipe(Layer.provide(PgClient.layer({ url: Redacted.make(url) }))),
  { durable: true }
)
