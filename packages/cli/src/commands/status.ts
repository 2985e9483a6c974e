import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { type AuthError, printable, RefreshPolicy } from "keyfob"
import { spentOf } from "../budget.ts"
import { type Failure, reportOf } from "../failure.ts"
import { answer } from "../output.ts"
import { broughtTo, type Outside, resolve, withRemedy } from "../provider.ts"
import * as store from "../store.ts"
import { kept } from "../stored.ts"
import * as target from "../target.ts"
import { accountJson, accountText } from "../text/account.ts"
import { table } from "../text/table.ts"
import { iso, relative } from "../text/time.ts"
import { here } from "../here.ts"
import * as workspace from "../workspace.ts"

export const status = Command.make(
  "status",
  {
    provider: target.argument,
    all: Flag.Boolean("all").pipe(
      Flag.withoutNegation,
      Flag.withDescription("The providers of every context"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ all, provider }) {
    const opened = yield* here
    const named = Option.isSome(provider)
    const asked = named
      ? [yield* workspace.provider(opened, provider.value)]
      : all
        ? yield* workspace.everyProvider(opened)
        : yield* workspace.providers(opened)
    const now = yield* Clock.currentTimeMillis
    const rows = yield* Effect.forEach(asked, (configured) =>
      standing(opened, configured, broughtTo(opened, asked), now).pipe(
        // One that cannot be read hides nothing of the others.
        Effect.catch((error): Effect.Effect<Row, Failure> =>
          named ? Effect.fail(error) : Effect.succeed(unreadable(opened, configured, error))
        )
      )
    )
    yield* answer(
      opened.globals,
      rows.map(({ json }) => json),
      () =>
        rows.length === 0 ? "No provider is configured: keyfob login --issuer URL --client-id ID" : textOf(rows, all)
    )
  })
).pipe(Command.withDescription("What is signed in, until when, kept where; talks to nobody"))

/** Where one provider stands, from what is stored alone. */
const standing = Effect.fnUntraced(
  function* (
    opened: workspace.Workspace,
    configured: workspace.Configured,
    outside: Outside,
    now: number
  ): Effect.fn.Return<Row, AuthError | Failure, FileSystem.FileSystem | Path.Path> {
    const provider = yield* resolve(configured, outside)
    const { found, spent } = yield* Effect.gen(function* () {
      return { found: yield* kept(provider), spent: yield* spentOf(provider) }
    }).pipe(Effect.provide(store.layer(opened, provider)))
    const stored = Option.getOrUndefined(found)
    const holder = yield* store.holderOf(opened, provider)
    const { token } = stored ?? {}
    // A machine signs in again whenever there is nothing (an app's own secret is never stored).
    const absent = provider.key.subject === "client" ? "refreshable" : "login_required"
    const status = stored === undefined ? absent : RefreshPolicy.statusOf(stored, now)
    return {
      cells: [
        status,
        accountText(stored?.account),
        token === undefined ? "" : token.expiresAt === undefined ? "no end" : relative(token.expiresAt, now),
        holder
      ],
      json: {
        ...headOf(opened, configured),
        status,
        account: accountJson(stored?.account),
        scopes: token?.scopes,
        expires_at: iso(token?.expiresAt),
        refresh_at: iso(stored === undefined ? undefined : RefreshPolicy.softPoint(stored)),
        refresh_token_expires_at: iso(stored?.refreshExpiresAt),
        refreshable: provider.key.subject === "client" || stored?.refreshToken !== undefined,
        store: holder,
        token_requests:
          spent === undefined
            ? undefined
            : { used: spent.used, limit: spent.limit, since: iso(spent.since), until: iso(spent.until) }
      }
    }
  },
  (effect, opened, configured) => withRemedy(opened, configured)(effect)
)

const unreadable = (opened: workspace.Workspace, configured: workspace.Configured, error: Failure): Row => ({
  cells: ["error", "", "", storeOf(configured)],
  error: error.message,
  json: {
    ...headOf(opened, configured),
    status: "error",
    refreshable: false,
    store: storeOf(configured),
    error: reportOf(error).json
  }
})

const headOf = ({ context: current }: workspace.Workspace, { context, name, settings }: workspace.Configured) => ({
  context,
  provider: name,
  type: settings.type,
  current: context === current
})

const storeOf = ({ settings }: workspace.Configured) => store.nameOf({ settings })

interface Row {
  readonly cells: ReadonlyArray<string>
  readonly json: ReturnType<typeof headOf> & { readonly status: string; readonly [name: string]: unknown }
  readonly error?: string
}

const textOf = (rows: ReadonlyArray<Row>, withContext: boolean) => {
  const names = ({ context, provider }: Row["json"]) =>
    withContext ? [printable(context), printable(provider)] : [printable(provider)]
  const head = [...(withContext ? ["CONTEXT"] : []), "PROVIDER", "STATUS", "ACCOUNT", "EXPIRES", "STORE"]
  const failures = rows.flatMap(({ error, json }) =>
    error === undefined ? [] : [`${names(json).join("/")}: ${error}`]
  )
  return [
    table(
      head,
      rows.map(({ cells, json }) => [...names(json), ...cells])
    ),
    ...failures
  ].join("\n")
}
