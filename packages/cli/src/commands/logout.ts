import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { type AuthError, type Credential, CredentialStore, type Logout, printable, type StoreFailed } from "keyfob"
import { type Failure, reportOf } from "../failure.ts"
import { answer } from "../output.ts"
import { type Outside, type Provider, resolve, withRemedy } from "../provider.ts"
import * as secret from "../secret.ts"
import * as store from "../store.ts"
import * as target from "../target.ts"
import { here } from "../here.ts"
import * as workspace from "../workspace.ts"

export const logout = Command.make(
  "logout",
  {
    provider: target.argument,
    ...secret.flags,
    all: Flag.Boolean("all").pipe(
      Flag.withoutNegation,
      Flag.withDescription("Every provider of every context"),
      Flag.withDefault(false)
    ),
    revoke: Flag.Boolean("revoke").pipe(
      Flag.withDescription("Have the provider take the tokens back; --no-revoke does not"),
      Flag.withDefault(true)
    ),
    endSession: Flag.Boolean("end-session").pipe(
      Flag.withoutNegation,
      Flag.withDescription("Show the page that ends the session in the browser as well"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* (flags) {
    const opened = yield* here
    const outside = yield* secret.read(flags, opened.globals)
    const asked = flags.all
      ? yield* workspace.everyProvider(opened)
      : yield* workspace.providersNamed(opened, Option.getOrUndefined(flags.provider))
    const rows = yield* Effect.forEach(asked, (configured) =>
      signedOut(opened, configured, { ...outside, named: asked.length === 1 }, flags).pipe(
        // One that fails keeps nobody signed in to the others.
        Effect.catch((error) => Effect.succeed(failed(configured, error)))
      )
    )
    const failure = rows.find((row) => row.failure !== undefined)?.failure
    if (failure !== undefined && rows.length === 1) return yield* failure
    yield* answer(
      opened.globals,
      rows.map(({ failure, ...row }) => (failure === undefined ? row : { ...row, error: reportOf(failure).json })),
      () => rows.map(sentenceOf).join("\n")
    )
    if (failure !== undefined) return yield* failure
  })
).pipe(Command.withDescription("Have the provider take the tokens back, and forget them"))

interface Row {
  readonly context: string
  readonly provider: string
  readonly revoked: boolean
  readonly removed: boolean
  readonly end_session_url?: string
  readonly failure?: Failure
}

interface Outcome extends Logout.LogoutResult {
  readonly damaged?: boolean
}

const isCorrupt = ({ reason }: StoreFailed) => reason === "Corrupt"

/** The provider's credentials in one store: the one under its present settings, and any that earlier settings left. */
const forgotten = (
  opened: workspace.Workspace,
  provider: Provider,
  revoke: boolean
): Effect.Effect<ReadonlyArray<Outcome>, AuthError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { get, list, modify } = yield* CredentialStore
    const forgetDamaged = modify(provider.key, ({ read, remove }) =>
      read.pipe(
        Effect.as([]),
        // What cannot be read cannot be revoked, and to forget it is what was asked.
        Effect.catchIf(isCorrupt, () => Effect.as(remove, [{ removed: true, revoked: false, damaged: true }]))
      )
    )
    const damaged = yield* get(provider.key).pipe(
      Effect.as([]),
      Effect.catchIf(isCorrupt, () => forgetDamaged)
    )
    const current = yield* get(provider.key)
    const isCurrent = ({ key }: Credential) => key.canonical === provider.key.canonical
    const older = (yield* list).filter((one) => one.key.account === provider.key.account && !isCurrent(one))
    const found = [...Option.toArray(current), ...older]
    if (found.length === 0) return damaged
    const online = yield* Effect.promise(() => import("../online.ts"))
    const read = yield* Effect.forEach(found, (credential) =>
      online.logout(provider, credential, opened.globals, { revoke })
    )
    return [...damaged, ...read]
  }).pipe(Effect.provide(store.layer(opened, provider)))

/** All of the provider's credentials, those in stores that it had before too: a plain file, say. */
const signedOut = Effect.fnUntraced(
  function* (
    opened: workspace.Workspace,
    configured: workspace.Configured,
    outside: Outside,
    { endSession, revoke }: { readonly endSession: boolean; readonly revoke: boolean }
  ): Effect.fn.Return<Row, AuthError, FileSystem.FileSystem | Path.Path> {
    const { context, name } = configured
    const provider = yield* resolve(configured, outside)
    const outcomes = [...(yield* forgotten(opened, provider, revoke))]
    for (const former of yield* store.formerOf(opened, provider)) {
      const there = { ...provider, settings: { ...provider.settings, store: former } }
      outcomes.push(...(yield* forgotten(opened, there, revoke)))
    }
    for (const { damaged, revocationError } of outcomes) {
      const why = damaged ? "the stored credential was damaged" : revocationError?.message
      if (why === undefined) continue
      yield* Effect.logWarning(`${printable(name)} is forgotten here, but not revoked: ${why}`)
    }
    const revoked = outcomes.length > 0 && outcomes.every(({ revoked }) => revoked)
    const row = { context, provider: name, revoked, removed: outcomes.some(({ removed }) => removed) }
    if (!endSession) return row
    const online = yield* Effect.promise(() => import("../online.ts"))
    const url = yield* Effect.result(online.endSessionUrl(provider, opened.globals))
    // It is shown and not opened: nobody asked for a login (law 11).
    if (Result.isSuccess(url)) return { ...row, end_session_url: url.success }
    yield* Effect.logWarning(`${printable(name)} has no page to end the session at: ${url.failure.message}`)
    return row
  },
  (effect, opened, configured) => withRemedy(opened, configured)(effect)
)

const failed = ({ context, name }: workspace.Configured, failure: Failure): Row => ({
  context,
  provider: name,
  revoked: false,
  removed: false,
  failure
})

const sentenceOf = ({ end_session_url: url, ...row }: Row) =>
  `${endOf(row)}${url === undefined ? "" : `\nTo end the session in your browser as well, open ${url}`}`

const endOf = ({ failure, provider, removed, revoked }: Row) => {
  if (failure !== undefined) return `${printable(provider)} could not be signed out.`
  if (!removed) return `Nobody was signed in to ${printable(provider)}.`
  return `Signed out of ${printable(provider)}${revoked ? "; the provider took the tokens back" : ""}.`
}
