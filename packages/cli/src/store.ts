/** Where a provider's credential is kept. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as FileCredentialStore from "@keyfob/node/FileCredentialStore"
import { stores } from "@keyfob/node/ProviderSettings"
import { type ConfigurationInvalid, CredentialStore, type StoreFailed } from "keyfob"
import type { Provider } from "./provider.ts"
import type { Name, Ready } from "./store/machine.ts"
import type { Workspace } from "./workspace.ts"

export const nameOf = ({ settings }: Pick<Provider, "settings">) => settings.store ?? "file"

export const layer = (
  opened: Workspace,
  provider: Pick<Provider, "name" | "settings">
): Layer.Layer<CredentialStore, ConfigurationInvalid | StoreFailed, FileSystem.FileSystem | Path.Path> => {
  const name = nameOf(provider)
  switch (name) {
    case "file":
      return FileCredentialStore.layer({ directory: opened.directories.credentials })
    case "memory":
      return CredentialStore.layerMemory
    case "redis":
    case "sql":
      return Layer.unwrap(Effect.map(shared, (it) => it.layer(name, opened, provider)))
    default:
      return Layer.unwrap(Effect.map(machine, (it) => it.layer(name, opened)))
  }
}

const isOfMachine = (name: string): name is Name => ["keychain", "encrypted_file", "auto"].includes(name)

/** Loaded when it is needed: most never do. */
const machine = Effect.promise(() => import("./store/machine.ts"))
const shared = Effect.promise(() => import("./store/shared.ts"))

/** Fails where a new credential of the provider could not be kept; may ask the person to unlock the keychain. */
export const ready = Effect.fnUntraced(function* (
  opened: Workspace,
  { settings }: Pick<Provider, "settings">
): Effect.fn.Return<Ready, StoreFailed, FileSystem.FileSystem | Path.Path> {
  const name = nameOf({ settings })
  return isOfMachine(name) ? yield* (yield* machine).ready(name, opened) : { store: name, passedOver: [] }
})

/** Writes every encrypted file anew, with the key that new ones get. Gives how many. */
export const rotate = Effect.fnUntraced(function* (
  opened: Workspace
): Effect.fn.Return<number, StoreFailed, FileSystem.FileSystem | Path.Path> {
  return yield* (yield* machine).rotate(opened)
})

/** The store that has the provider's credential, where it is one of several. Opens nothing. */
export const holderOf = Effect.fnUntraced(function* (
  opened: Workspace,
  provider: Pick<Provider, "key" | "settings">
): Effect.fn.Return<string, StoreFailed, FileSystem.FileSystem | Path.Path> {
  const name = nameOf(provider)
  if (name !== "auto") return name
  const [holder = name] = yield* (yield* machine).holdersOf(opened, provider.key)
  return holder
})

/** The other stores of this machine where earlier settings may have left a credential of the provider's. Opens nothing. */
export const formerOf = Effect.fnUntraced(function* (
  opened: Workspace,
  provider: Pick<Provider, "key" | "settings">
): Effect.fn.Return<
  ReadonlyArray<NonNullable<Provider["settings"]["store"]>>,
  StoreFailed,
  FileSystem.FileSystem | Path.Path
> {
  const holders = yield* (yield* machine).holdersOf(opened, provider.key)
  return stores.filter((name) => name !== nameOf(provider) && (name === "file" || holders.includes(name)))
})
