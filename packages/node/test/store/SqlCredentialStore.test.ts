/** The SQL store with what goes wrong at the server, which is a real PostgreSQL. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as PostgresServer from "@keyfob/embedded/PostgresServer"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import { SqlError } from "effect/sql/SqlError"
import { CredentialStore } from "keyfob"
import { inspect } from "node:util"
import * as SqlCredentialStore from "../../src/store/SqlCredentialStore.ts"
import * as fenced from "./fenced.ts"
import { credentialOf, key } from "./interceptedFileSystem.ts"
import * as TcpProxy from "@keyfob/embedded/TcpProxy"

const clientAt = (url: string) => PgClient.layer({ url: Redacted.make(url), maxConnections: 3 })

const storeAt = (url: string) => SqlCredentialStore.layer.pipe(Layer.provide(clientAt(url)))

/** Statements of the test's own. */
const admin = (url: string) =>
  Effect.map(Layer.build(clientAt(url)), (context) => Context.get(context, SqlClient.SqlClient))

const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
const shared = await Effect.runPromise(Scope.provide(PostgresServer.start(), scope))
const sql = await Effect.runPromise(Scope.provide(admin(shared.url), scope))
await Effect.runPromise(Effect.scoped(Layer.build(storeAt(shared.url))))

const id = Effect.map(
  Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(key.canonical))),
  (digest) => Buffer.from(digest).toString("hex")
)

const column = <A>(name: string, query: (id: string) => Effect.Effect<ReadonlyArray<Record<string, A>>, SqlError>) =>
  Effect.map(Effect.flatMap(id, query), ([row]) => row?.[name])

fenced.suite("sql", {
  store: storeAt(shared.url),
  endLease: Effect.flatMap(id, (id) => sql`UPDATE keyfob_credentials SET leased_until = now() WHERE id = ${id}`),
  leaseLasts: column(
    "left",
    (id) => sql<Record<string, number>>`
      SELECT CAST(extract(epoch FROM leased_until - clock_timestamp()) * 1000 AS float8) AS left
      FROM keyfob_credentials WHERE id = ${id}`
  ).pipe(Effect.map((left) => Math.max(left ?? 0, 0))),
  forget: sql`DELETE FROM keyfob_credentials`,
  spoil: (text) => Effect.flatMap(id, (id) => sql`UPDATE keyfob_credentials SET value = ${text} WHERE id = ${id}`),
  damaged: column("damaged", (id) => sql`SELECT damaged FROM keyfob_credentials WHERE id = ${id}`),
  answered: Effect.repeat(
    sql`SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()`,
    { until: (found) => found.length === 0 }
  ),
  // Nothing goes on that touches the table.
  hang: Effect.andThen(
    Effect.forkDetach(
      sql.withTransaction(
        Effect.andThen(sql`LOCK TABLE keyfob_credentials IN ACCESS EXCLUSIVE MODE`, sql`SELECT pg_sleep(3600)`)
      )
    ),
    Effect.repeat(
      sql`SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted
          AND relation = CAST('keyfob_credentials' AS regclass)`,
      { until: (found) => found.length > 0 }
    )
  ),
  resume: sql`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)%' AND pid <> pg_backend_pid()`
})

const test = (title: string, body: Effect.Effect<void, unknown, Scope.Scope>) => {
  const { layer, logged } = fenced.listening()
  const all = Effect.andThen(
    body,
    Effect.sync(() => assert.notInclude(logged.join("\n"), "canary"))
  )
  it.live(title, () => Effect.scoped(Effect.provide(all, layer)))
}

const failure = (layer: ReturnType<typeof storeAt>) =>
  Effect.flip(Layer.build(layer)).pipe(
    Effect.map((error) => (Schema.is(SqlError)(error) ? SqlCredentialStore.failureOf(error) : error)),
    Effect.tap((error) => Effect.sync(() => assert.notInclude(inspect(error, { depth: 9 }) + error.message, "canary")))
  )

const reasonOf = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.notInclude(inspect(error, { depth: 9 }), "canary")
    return "reason" in error ? error.reason : error._tag
  })

describe("PostgreSQL", () => {
  test(
    "no server at the start, a wrong password, a database that is not there",
    Effect.gen(function* () {
      const gone = yield* TcpProxy.make(shared.port).pipe(Effect.scoped)
      assert.deepInclude(yield* failure(storeAt(`postgres://keyfob:canary@127.0.0.1:${gone.port}/postgres`)), {
        reason: "Unavailable"
      })
      const wrong = yield* failure(storeAt(`postgres://keyfob:canary-wrong@127.0.0.1:${shared.port}/postgres`))
      assert.deepInclude(wrong, { _tag: "StoreFailed", reason: "Locked", detail: "28P01" })
      assert.deepInclude(yield* failure(storeAt(shared.url.replace(/postgres$/, "other"))), { detail: "3D000" })
    })
  )

  test(
    "what the server says with a code of its own (raised in a trigger) is typed; what was there stays",
    Effect.gen(function* () {
      const store = yield* fenced.opened(storeAt(shared.url))
      yield* fenced.write(store, 1)
      const codes = [
        ["53100", "Full"], // the disk
        ["53200", "Full"], // memory
        ["53400", "Full"], // a limit that is configured
        ["25006", "ReadOnly"],
        ["57P03", "Unavailable"], // it starts or stops
        ["XX001", "WriteFailed"]
      ] as const
      for (const [code, reason] of codes) {
        yield* sql.unsafe(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
          BEGIN RAISE EXCEPTION 'canary' USING ERRCODE = '${code}'; END $$`)
        yield* sql`CREATE TRIGGER refuse BEFORE UPDATE OF value ON keyfob_credentials EXECUTE FUNCTION refuse()`
        const failed = yield* Effect.exit(reasonOf(fenced.write(store, 2)))
        yield* sql`DROP FUNCTION refuse CASCADE`
        assert.deepStrictEqual(failed, Exit.succeed(reason), code)
      }
      assert.deepStrictEqual(yield* fenced.generation(store), Option.some(1))
      yield* fenced.write(store, 2)
      yield* store.modify(key, ({ remove }) => remove)
    })
  )

  test(
    "a server that goes away while the lease is held",
    Effect.gen(function* () {
      const server = yield* PostgresServer.start()
      const store = yield* fenced.opened(storeAt(server.url))
      yield* fenced.write(store, 1)
      yield* store.modify(key, (slot) =>
        Effect.gen(function* () {
          yield* Effect.callback<void>((resume) => {
            server.process.once("exit", () => resume(Effect.void))
            server.process.kill("SIGQUIT")
          })
          assert.strictEqual(yield* reasonOf(slot.write(credentialOf(2))), "Unavailable")
          assert.strictEqual(yield* reasonOf(slot.remove), "Unavailable")
        })
      )
      assert.strictEqual(yield* reasonOf(store.get(key)), "Unavailable")
      assert.strictEqual(yield* reasonOf(store.list), "Unavailable")
      assert.strictEqual(yield* reasonOf(fenced.write(store, 2)), "Unavailable")
    })
  )

  test(
    "connections that are ended by the server: typed, and the next statement has a new one",
    Effect.gen(function* () {
      const store = yield* fenced.opened(storeAt(shared.url))
      yield* store.modify(key, (slot) =>
        Effect.gen(function* () {
          yield* slot.write(credentialOf(1))
          yield* sql`
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND application_name = '@effect/sql-pg'`
          yield* Effect.retry(slot.write(credentialOf(2)), {
            times: 3,
            while: ({ reason }) => reason === "Unavailable"
          })
        })
      )
      assert.deepStrictEqual(yield* fenced.generation(store), Option.some(2))
    })
  )

  test(
    "an answer that is lost: what was written is there, and the same write again succeeds; a lease handed out is given back",
    Effect.gen(function* () {
      const way = yield* TcpProxy.make(shared.port)
      const store = yield* fenced.opened(storeAt(shared.url.replace(String(shared.port), String(way.port))))
      const other = yield* fenced.opened(storeAt(shared.url))
      yield* other.modify(key, (slot) => slot.remove)
      yield* store.modify(key, (slot) =>
        Effect.gen(function* () {
          yield* slot.write(credentialOf(1))
          yield* way.loseAnswerTo('"generation":2')
          assert.strictEqual(yield* reasonOf(slot.write(credentialOf(2))), "Unavailable")
          assert.deepStrictEqual(yield* fenced.generation(other), Option.some(2))
          yield* slot.write(credentialOf(2))
        })
      )
      yield* way.loseAnswerTo(yield* id)
      assert.strictEqual(yield* reasonOf(store.modify(key, () => Effect.void)), "Unavailable")
      const [row] = yield* sql`SELECT leased_until FROM keyfob_credentials`
      assert.deepStrictEqual(row, { leased_until: null })
    })
  )

  test(
    "a database that is read only can be read",
    Effect.gen(function* () {
      const store = yield* fenced.opened(storeAt(shared.url))
      yield* store.modify(key, (slot) => Effect.andThen(slot.remove, slot.write(credentialOf(1))))
      const readOnly = yield* fenced.opened(storeAt(`${shared.url}?options=-c%20default_transaction_read_only%3Don`))
      assert.deepStrictEqual(yield* fenced.generation(readOnly), Option.some(1))
      assert.strictEqual(yield* reasonOf(fenced.write(readOnly, 2)), "ReadOnly")
    })
  )

  test(
    "a role with the rights the docs name does everything; one that may only read is told so",
    Effect.gen(function* () {
      yield* sql`CREATE ROLE worker LOGIN PASSWORD 'canary-worker'`
      yield* sql`GRANT SELECT, INSERT, UPDATE, DELETE ON keyfob_credentials TO worker`
      yield* sql`GRANT SELECT ON keyfob_migrations TO worker`
      const url = `postgres://worker:canary-worker@127.0.0.1:${shared.port}/postgres`
      const store = yield* fenced.opened(storeAt(url))
      yield* store.modify(key, (slot) => Effect.andThen(slot.remove, slot.write(credentialOf(1))))
      assert.lengthOf(yield* store.list, 1)
      yield* sql`REVOKE INSERT, UPDATE, DELETE ON keyfob_credentials FROM worker`
      assert.strictEqual(yield* reasonOf(fenced.write(store, 2)), "ReadOnly")
      yield* sql`CREATE DATABASE empty`
      const empty = yield* failure(storeAt(url.replace(/postgres$/, "empty")))
      assert.deepInclude(empty, { _tag: "StoreFailed", reason: "ReadOnly" })
    })
  )

  test(
    "many that start at once make the table once",
    Effect.gen(function* () {
      yield* sql`CREATE DATABASE fresh`
      const url = shared.url.replace(/postgres$/, "fresh")
      const stores = yield* Effect.all(
        Array.from({ length: 8 }, () => fenced.opened(storeAt(url))),
        { concurrency: "unbounded" }
      )
      for (const [index, store] of stores.entries()) yield* fenced.write(store, index)
      const fresh = yield* admin(url)
      assert.lengthOf(yield* fresh`SELECT migration_id FROM keyfob_migrations`, 1)
    })
  )

  test(
    "the store takes no part in a transaction of its caller: others see the lease, and a rollback takes nothing back",
    Effect.gen(function* () {
      const context = yield* Layer.build(SqlCredentialStore.layer.pipe(Layer.provideMerge(clientAt(shared.url))))
      const [store, client] = [Context.get(context, CredentialStore), Context.get(context, SqlClient.SqlClient)]
      const held = store.modify(key, (slot) =>
        Effect.gen(function* () {
          yield* slot.remove
          yield* slot.write(credentialOf(1))
          const seen = yield* sql`SELECT id FROM keyfob_credentials WHERE leased_until > clock_timestamp()`
          assert.lengthOf(seen, 1)
          return yield* Effect.fail("rolled back" as const)
        })
      )
      assert.strictEqual(yield* Effect.flip(client.withTransaction(held)), "rolled back")
      assert.deepStrictEqual(yield* fenced.generation(store), Option.some(1))
    })
  )
})
