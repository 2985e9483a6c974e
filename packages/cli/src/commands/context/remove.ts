import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { CredentialStore, printable } from "keyfob"
import { UsageError } from "../../failure.ts"
import { answer } from "../../output.ts"
import { resolve } from "../../provider.ts"
import * as store from "../../store.ts"
import { here } from "../../here.ts"
import * as workspace from "../../workspace.ts"

export const remove = Command.make(
  "remove",
  {
    name: Argument.String("name").pipe(Argument.withDescription("A context")),
    force: Flag.Boolean("force").pipe(
      Flag.withoutNegation,
      Flag.withDescription("Also where somebody is signed in; the credentials stay behind"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ force, name }) {
    const opened = yield* here
    yield* workspace.known(opened, name)
    // Without its settings a credential could neither be used nor taken back any more.
    const signedIn = force
      ? []
      : yield* Effect.filter(yield* workspace.providers(opened, name), (one) => isSignedIn(opened, one))
    if (signedIn.length > 0) {
      return yield* new UsageError({
        message: `context ${printable(name)} is still signed in to ${signedIn.map((one) => printable(one.name)).join(", ")}`,
        remedy: `First run: keyfob logout --context ${workspace.quoted(name)}; or add --force`
      })
    }
    const ConfigurationEdit = yield* Effect.promise(() => import("@keyfob/node/ConfigurationEdit"))
    yield* ConfigurationEdit.apply(opened.configuration.path, ConfigurationEdit.removeContext(name))
    yield* answer(opened.globals, { context: name, removed: true }, () => `Context ${printable(name)} is removed.`)
  })
).pipe(Command.withDescription("Remove a context and its providers from the configuration"))

const isSignedIn = Effect.fnUntraced(function* (opened: workspace.Workspace, configured: workspace.Configured) {
  if (configured.settings.invalid !== undefined) return yield* configured.settings.invalid
  const provider = yield* Effect.option(resolve(configured, { named: false }))
  if (Option.isNone(provider)) return false
  return yield* CredentialStore.use(({ get }) => get(provider.value.key)).pipe(
    Effect.map(Option.isSome),
    Effect.provide(store.layer(opened, provider.value))
  )
})
