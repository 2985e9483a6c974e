/** The files of AQT's Python connector: what they say is taken over, and on request they say what we know. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { ConnectorFiles, Settings } from "@keyfob/aqt"
import { printable, ProviderType, SavedSession } from "keyfob"
import * as store from "../../store.ts"
import { resolve } from "../../provider.ts"
import * as workspace from "../../workspace.ts"

const both = Effect.flatMap(ConnectorFiles.directories, Effect.forEach(ConnectorFiles.read))

/** What both directories set; where they differ, the library's. A secret goes with its own client, or nowhere. */
export const settings = Effect.map(both, ([library, command]) => {
  const { client_id, client_secret, ...others } = command?.settings ?? {}
  const hasClient = ["client_id", "client_secret"].some((key) => library?.settings[key] !== undefined)
  const said = { ...others, ...(hasClient ? {} : { client_id, client_secret }), ...library?.settings }
  const known = ProviderType.keysOf(Settings)
  return Object.fromEntries(Object.entries(said).filter(([key, value]) => known.includes(key) && value !== undefined))
})

/** Keeps the session that a connector has, unless there is one already. */
export const takeOver = Effect.fnUntraced(function* (opened: workspace.Workspace) {
  const configured = yield* workspace.provider({ ...opened, context: "aqt" }, "arnica")
  const provider = yield* resolve(configured, { named: true })
  if (Redacted.value(provider.table)["store_access_token"] === false) return
  for (const files of yield* both) {
    // What is no token is no session.
    const credential = yield* Effect.option(ConnectorFiles.credentialOf(files, provider.key))
    if (Option.isNone(credential) || credential.value === undefined) continue
    const session = credential.value
    if (session.refreshToken !== undefined) {
      yield* Effect.logWarning(
        `${printable(files.directory)} still has the refresh token that was taken over: it is good for one program; remove it there`
      )
    }
    yield* Effect.provide(
      SavedSession.takeUp(session, provider, () => true),
      store.layer(opened, provider)
    )
  }
})
