import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { type Credential, CredentialStore, printable } from "keyfob"
import { answer } from "../output.ts"
import { type Provider, resolve, withRemedy } from "../provider.ts"
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
    )
  },
  Effect.fnUntraced(function* (flags) {
    const opened = yield* here
    const outside = yield* secret.read(flags, opened.globals)
    const asked = flags.all
      ? (yield* Effect.forEach(opened.configuration.contexts.keys(), (name) =>
          workspace.providers(opened, name)
        )).flat()
      : yield* workspace.providersNamed(opened, Option.getOrUndefined(flags.provider))
    const rows = yield* Effect.forEach(
      asked,
      Effect.fnUntraced(function* (configured) {
        const provider = yield* resolve(configured, { secret: outside, named: asked.length === 1 })
        return yield* signedOut(opened, provider, flags.revoke).pipe(withRemedy(opened, provider))
      })
    )
    yield* answer(opened.globals, rows, () => rows.map(sentenceOf).join("\n"))
  })
).pipe(Command.withDescription("Have the provider take the tokens back, and forget them"))

/** All of the provider's credentials: the one under its present settings, and any that earlier settings left. */
const signedOut = Effect.fnUntraced(function* (opened: workspace.Workspace, provider: Provider, revoke: boolean) {
  const outcomes = yield* Effect.gen(function* () {
    const { get, list } = yield* CredentialStore
    const isCurrent = ({ key }: Credential) => key.canonical === provider.key.canonical
    const older = (yield* list).filter((one) => one.key.account === provider.key.account && !isCurrent(one))
    const found = [...Option.toArray(yield* get(provider.key)), ...older]
    if (found.length === 0) return []
    const online = yield* Effect.promise(() => import("../online.ts"))
    return yield* Effect.forEach(found, (credential) => online.logout(provider, credential, opened.globals, { revoke }))
  }).pipe(Effect.provide(store.layer(opened, provider)))
  const head = { context: provider.context, provider: provider.name }
  for (const { revocationError } of outcomes) {
    if (revocationError === undefined) continue
    yield* Effect.logWarning(
      `${printable(provider.name)} is forgotten here, but not revoked: ${revocationError.message}`
    )
  }
  return {
    ...head,
    revoked: outcomes.length > 0 && outcomes.every(({ revoked }) => revoked),
    removed: outcomes.some(({ removed }) => removed)
  }
})

const sentenceOf = ({ provider, removed, revoked }: { provider: string; removed: boolean; revoked: boolean }) =>
  removed
    ? `Signed out of ${printable(provider)}${revoked ? "; the provider took the tokens back" : ""}.`
    : `Nobody was signed in to ${printable(provider)}.`
