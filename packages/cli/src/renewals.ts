/** What `refresh` and `keepalive` have in common: renewing what is due, and a row on how each went. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import { type AuthError, type Credential, printable } from "keyfob"
import { type Failure, reportOf } from "./failure.ts"
import type { Globals } from "./globals.ts"
import { answer } from "./output.ts"
import { type Outside, resolve, withRemedy } from "./provider.ts"
import * as store from "./store.ts"
import { kept } from "./stored.ts"
import type { Configured, Workspace } from "./workspace.ts"

export interface Row {
  readonly context: string
  readonly provider: string
  readonly outcome: "renewed" | "adopted" | "fresh" | "failed"
  readonly failure?: Failure
}

/** Those that can be renewed at all. A provider of an unknown type is among them, so that its row says so. */
export const renewable = (configured: ReadonlyArray<Configured>) =>
  configured.filter(({ settings }) => settings.known?.renewable !== false)

/** Renews what is stored for the provider, if `isDue` says so; also whether to try where nobody is signed in. */
export const row = (
  opened: Workspace,
  configured: Configured,
  outside: Outside,
  isDue: (stored: Option.Option<Credential>, now: number) => boolean
): Effect.Effect<Row, never, FileSystem.FileSystem | Path.Path> => {
  const head = { context: configured.context, provider: configured.name }
  return renewed(opened, configured, outside, isDue).pipe(
    withRemedy(opened, configured),
    Effect.map((outcome) => ({ ...head, outcome })),
    Effect.catch((failure) => Effect.succeed({ ...head, outcome: "failed" as const, failure }))
  )
}

const renewed = Effect.fnUntraced(function* (
  opened: Workspace,
  configured: Configured,
  outside: Outside,
  isDue: (stored: Option.Option<Credential>, now: number) => boolean
): Effect.fn.Return<Exclude<Row["outcome"], "failed">, AuthError, FileSystem.FileSystem | Path.Path> {
  const provider = yield* resolve(configured, outside)
  return yield* Effect.gen(function* () {
    if (!isDue(yield* kept(provider), yield* Clock.currentTimeMillis)) return "fresh"
    const { renewing } = yield* Effect.promise(() => import("./online.ts"))
    return yield* renewing(
      provider,
      opened.globals,
      Effect.fnUntraced(function* (refresh) {
        // Another process may have renewed it since we looked, so `isDue` judges the credential of now.
        const { credential, outcome } = yield* refresh()
        if (outcome !== "fresh") return outcome
        const due = isDue(Option.some(credential), yield* Clock.currentTimeMillis)
        return due ? (yield* refresh({ force: true })).outcome : "adopted"
      })
    )
  }).pipe(Effect.provide(store.layer(opened, provider)))
})

export const print = (globals: Globals, rows: ReadonlyArray<Row>, withContext = false) =>
  answer(
    globals,
    rows.map(({ failure, ...row }) => (failure === undefined ? row : { ...row, error: reportOf(failure).json })),
    () => rows.map((row) => sentenceOf(row, withContext)).join("\n")
  )

const sentenceOf = ({ context, failure, outcome, provider }: Row, withContext: boolean) =>
  `${withContext ? `${printable(context)}/` : ""}${printable(provider)}: ${outcome}${failure === undefined ? "" : ` (${failure.message})`}`
