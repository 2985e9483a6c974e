/**
 * Credentials in PostgreSQL (11 or later), shared by hosts, through whatever driver gives an `SqlClient`.
 *
 * A lease is a row's owner, fence and end, by the database's clock: no transaction is open and no connection is kept
 * while a provider is asked. An advisory lock would want both: one of a session is lost or inherited when a pooler hands
 * the session on, one of a transaction needs a transaction for as long as the exchange takes.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { CredentialStore, StoreFailed } from "keyfob"
import * as FencedStore from "./FencedStore.ts"
import type { Sealing } from "./Sealing.ts"

const table = "keyfob_credentials"
const migrationsTable = "keyfob_migrations"

/** By number and name, oldest first; what is here stays as it is. */
const migrations = {
  "1_credentials": SqlClient.SqlClient.use(
    (sql) => sql`
      CREATE TABLE keyfob_credentials (
        id text PRIMARY KEY,
        fence bigint NOT NULL,
        owner text NOT NULL,
        leased_until timestamptz,
        generation bigint,
        value text,
        damaged text
      )`
  )
}
const newest = Object.keys(migrations).length

/** By SQLSTATE, by its class otherwise. */
const reasons: Readonly<Record<string, StoreFailed["reason"]>> = {
  "25006": "ReadOnly",
  "28": "Locked",
  "42501": "ReadOnly",
  "53100": "Full",
  "53200": "Full",
  "53300": "Unavailable",
  "53400": "Full",
  "08": "Unavailable",
  "57": "Unavailable"
}

const sqlStateOf = (cause: unknown): string | undefined => {
  if (!Predicate.hasProperty(cause, "code") || !Predicate.isString(cause.code)) return undefined
  return cause.code
}

/**
 * Why the database did not do it, by its SQLSTATE or the operating system's code: its message may repeat what was sent. Also
 * for the error of a connection's layer, which is an `SqlError` that no store has turned into a typed failure.
 */
export const failureOf = ({ reason }: SqlError, location: string = table): StoreFailed => {
  const state = sqlStateOf(reason.cause)
  const known = state === undefined ? undefined : (reasons[state] ?? reasons[state.slice(0, 2)])
  const unknown = reason._tag === "ConnectionError" || state === undefined ? "Unavailable" : "WriteFailed"
  return new StoreFailed({ reason: known ?? unknown, store: "sql", location, detail: state ?? reason._tag })
}

/** Makes the table, or brings it up to date. Where there is nothing to do, that takes one query and the right to read. */
const migrate = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const done = sql`SELECT migration_id FROM keyfob_migrations WHERE migration_id >= ${newest}`
  const isDone = yield* Effect.match(done, { onFailure: () => false, onSuccess: (rows) => rows.length > 0 })
  if (!isDone) yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: migrationsTable })
}).pipe(
  Effect.catchTag("MigrationError", ({ cause, kind }) =>
    Effect.fail(
      new StoreFailed({
        reason:
          reasons[sqlStateOf(Predicate.hasProperty(cause, "reason") ? cause.reason : undefined) ?? ""] ?? "WriteFailed",
        store: "sql",
        location: migrationsTable,
        detail: kind
      })
    )
  ),
  Effect.catchTag("SqlError", (error) => Effect.fail(failureOf(error, migrationsTable)))
)

const Row = Schema.Struct({ id: Schema.String, value: Schema.String })
const Fence = Schema.Struct({ fence: Schema.String })

const make = Effect.fnUntraced(function* (sealing?: Sealing) {
  const sql = yield* SqlClient.SqlClient
  yield* migrate
  const locationOf = (id: string) => `${table} ${id}`
  const seconds = Duration.toSeconds(FencedStore.leaseLasts)
  const untilThen = sql`clock_timestamp() + make_interval(secs => ${seconds})`

  /** Runs a statement outside the transaction that a caller may be in: others must see a lease at once. */
  const rows = <S extends Schema.ConstraintDecoder<unknown>>(
    row: S,
    location: string,
    statement: Effect.Effect<unknown, SqlError>
  ) =>
    statement.pipe(
      Effect.updateContext((context: Context.Context<never>) => Context.omit(sql.transactionService)(context)),
      Effect.mapError((error) => failureOf(error, location)),
      Effect.flatMap((found) =>
        Effect.mapError(
          Schema.decodeUnknownEffect(Schema.Array(row))(found),
          () => new StoreFailed({ reason: "Unreadable", store: "sql", location, detail: "not the table's rows" })
        )
      )
    )
  const Any = Schema.Unknown
  const isLast = (id: string, { fence, owner }: FencedStore.Lease) =>
    sql`id = ${id} AND owner = ${owner} AND fence = CAST(${fence} AS bigint)`

  return FencedStore.make(
    {
      name: "sql",
      locationOf,
      text: (id) =>
        rows(
          Row,
          locationOf(id),
          sql`SELECT id, value FROM keyfob_credentials WHERE id = ${id} AND value IS NOT NULL`
        ).pipe(Effect.map(([row]) => Option.map(Option.fromUndefinedOr(row), ({ value }) => value))),
      texts: rows(Row, table, sql`SELECT id, value FROM keyfob_credentials WHERE value IS NOT NULL`).pipe(
        Effect.map((found) => found.map(({ id, value }) => ({ id, text: value })))
      ),
      take: (id, owner) =>
        rows(
          Fence,
          locationOf(id),
          sql`
          INSERT INTO keyfob_credentials AS last (id, fence, owner, leased_until) VALUES (${id}, 1, ${owner}, ${untilThen})
          ON CONFLICT (id) DO UPDATE
            SET fence = last.fence + 1, owner = excluded.owner, leased_until = excluded.leased_until
            WHERE last.leased_until IS NULL OR last.leased_until <= clock_timestamp() OR last.owner = excluded.owner
          RETURNING CAST(fence AS text) AS fence`
        ).pipe(Effect.map(([row]) => Option.map(Option.fromUndefinedOr(row), ({ fence }) => ({ owner, fence })))),
      prolong: (id, lease) =>
        rows(
          Any,
          locationOf(id),
          sql`UPDATE keyfob_credentials SET leased_until = ${untilThen} WHERE ${isLast(id, lease)}`
        ).pipe(Effect.asVoid),
      end: (id, owner) =>
        rows(
          Any,
          locationOf(id),
          sql`
          WITH gone AS (DELETE FROM keyfob_credentials WHERE id = ${id} AND owner = ${owner} AND value IS NULL)
          UPDATE keyfob_credentials SET leased_until = NULL WHERE id = ${id} AND owner = ${owner} AND value IS NOT NULL`
        ).pipe(Effect.asVoid),
      write: (id, lease, { damaged, generation, text }) =>
        rows(
          Any,
          locationOf(id),
          damaged
            ? sql`
              UPDATE keyfob_credentials SET value = ${text}, generation = ${generation}, damaged = value
              WHERE ${isLast(id, lease)} RETURNING id`
            : sql`
              UPDATE keyfob_credentials SET value = ${text}, generation = ${generation}
              WHERE ${isLast(id, lease)} AND (generation IS NULL OR generation <= ${generation}) RETURNING id`
        ).pipe(Effect.map((written) => written.length > 0)),
      remove: (id, lease) =>
        rows(
          Any,
          locationOf(id),
          sql`
          UPDATE keyfob_credentials SET value = NULL, generation = NULL, damaged = NULL
          WHERE ${isLast(id, lease)} RETURNING id`
        ).pipe(Effect.map((removed) => removed.length > 0))
    },
    sealing
  )
})

/**
 * The store in the database that is provided (`PgClient.layer` of `@effect/sql-pg`, or another), in a table of its own
 * that it makes. Waits up to 60 s for another holder, then fails with `Busy`; a database that does not answer within 5 s
 * is `Unavailable`.
 */
export const layer: Layer.Layer<CredentialStore, StoreFailed, SqlClient.SqlClient> = Layer.effect(
  CredentialStore,
  make()
)

/** The same, with values sealed before they leave this process: the server keeps what it cannot read. */
export const layerSealed = (sealing: Sealing): Layer.Layer<CredentialStore, StoreFailed, SqlClient.SqlClient> =>
  Layer.effect(CredentialStore, make(sealing))
