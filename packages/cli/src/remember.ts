/** Keeps providers in the configuration file, whose other lines stay as they are. */
import * as Effect from "effect/Effect"
import type * as ConfigurationEdit from "@keyfob/node/ConfigurationEdit"
import type { ProviderSettings } from "@keyfob/node/ProviderSettings"
import type { ConfigurationInvalid } from "keyfob"
import type { Configured, Workspace } from "./workspace.ts"

type Edit = typeof ConfigurationEdit

export const remember = (
  workspace: Workspace,
  { context, name }: Pick<Configured, "context" | "name">,
  settings: ProviderSettings
) => change(workspace, context, (edit) => edit.setProvider(context, name, settings))

export const rememberContext = (workspace: Workspace, context: string) =>
  change(workspace, context, (edit) => Effect.succeed(edit.addContext(context)))

const change = Effect.fnUntraced(function* (
  { configuration: { contexts, currentContext, path } }: Workspace,
  context: string,
  make: (edit: Edit) => Effect.Effect<ConfigurationEdit.Change, ConfigurationInvalid>
) {
  const edit = yield* Effect.promise(() => import("@keyfob/node/ConfigurationEdit"))
  const isFirst = currentContext === undefined && contexts.size === 0
  // The first context is the current one, and stays it when others come.
  yield* edit.apply(path, yield* make(edit), ...(isFirst ? [edit.useContext(context)] : []))
})
