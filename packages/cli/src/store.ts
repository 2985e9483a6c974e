/** Where a provider's credential is kept. */
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as FileCredentialStore from "@keyfob/node/FileCredentialStore"
import { type ConfigurationInvalid, CredentialStore, printable } from "keyfob"
import { notSupported, type Provider } from "./provider.ts"
import type { Workspace } from "./workspace.ts"

export const nameOf = ({ settings }: Pick<Provider, "settings">) => settings.store ?? "file"

export const layer = (
  { directories }: Workspace,
  provider: Pick<Provider, "name" | "settings">
): Layer.Layer<CredentialStore, ConfigurationInvalid, FileSystem.FileSystem | Path.Path> => {
  const name = nameOf(provider)
  switch (name) {
    case "file":
      return FileCredentialStore.layer({ directory: directories.credentials })
    case "memory":
      return CredentialStore.layerMemory
    default:
      return Layer.unwrap(
        notSupported(`provider ${printable(provider.name)} keeps credentials in ${name}; this keyfob has file, memory`)
      )
  }
}
