/** The files of AQT's Python connector: what they say is taken over, and on request they say what we know. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ConnectorFiles, Settings } from "@keyfob/aqt"
import { CredentialStore, ProviderType } from "keyfob"
import * as store from "../../store.ts"
import { resolve } from "../../provider.ts"
import * as workspace from "../../workspace.ts"

const both = Effect.flatMap(ConnectorFiles.directories, Effect.forEach(ConnectorFiles.read))

/** What both directories set; where they differ, the library's. */
export const settings = Effect.map(both, ([library, command]) => {
  const said = { ...command?.settings, ...library?.settings }
  const known = ProviderType.keysOf(Settings)
  return Object.fromEntries(Object.entries(said).filter(([key]) => known.includes(key)))
})

/** Keeps the session that a connector has, unless there is one already. */
export const takeOver = Effect.fnUntraced(function* (opened: workspace.Workspace) {
  const configured = yield* workspace.provider({ ...opened, context: "aqt" }, "arnica")
  const provider = yield* resolve(configured, { named: true })
  for (const files of yield* both) {
    // What is no token is no session.
    const credential = yield* Effect.option(ConnectorFiles.credentialOf(files, provider.key))
    if (Option.isNone(credential) || credential.value === undefined) continue
    const session = credential.value
    yield* CredentialStore.use(({ modify }) =>
      modify(provider.key, ({ read, write }) =>
        Effect.flatMap(read, (found) => (Option.isSome(found) ? Effect.void : write(session)))
      )
    ).pipe(Effect.provide(store.layer(opened, provider)))
  }
})
