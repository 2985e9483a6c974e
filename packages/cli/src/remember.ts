/** Keeps providers in the configuration file, whose other lines stay as they are. */
import * as Effect from "effect/Effect"
import type * as ConfigurationEdit from "@keyfob/node/ConfigurationEdit"
import type { Configured, Workspace } from "./workspace.ts"

type Edit = typeof ConfigurationEdit

/** `check` fails where `apply` would, and writes nothing. */
export const remember = (
  workspace: Workspace,
  { context, name }: Pick<Configured, "context" | "name">,
  settings: Readonly<Record<string, unknown>>,
  how: "apply" | "check" = "apply"
) => change(workspace, context, (edit) => edit.changeProvider(context, name, settings), how)

export const rememberContext = (workspace: Workspace, context: string) =>
  change(workspace, context, (edit) => edit.addContext(context), "apply")

const change = Effect.fnUntraced(function* (
  { configuration: { contexts, currentContext, path } }: Workspace,
  context: string,
  make: (edit: Edit) => ConfigurationEdit.Change,
  how: "apply" | "check"
) {
  const edit = yield* Effect.promise(() => import("@keyfob/node/ConfigurationEdit"))
  const isFirst = currentContext === undefined && contexts.size === 0
  // The first context is the current one, and stays it when others come.
  yield* edit[how](path, make(edit), ...(isFirst ? [edit.useContext(context)] : []))
})
