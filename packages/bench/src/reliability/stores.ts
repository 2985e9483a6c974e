/** The stores that are put to the test. Each is a name and a location, so that a process can be told on its command line. */
import { NodeServices } from "@effect/platform-node"
import * as FileCredentialStore from "@keyfob/node/FileCredentialStore"
import { Layer } from "effect"
import type { CredentialStore } from "keyfob"

export const stores = {
  file: (directory: string) => FileCredentialStore.layer({ directory }).pipe(Layer.provide(NodeServices.layer))
} satisfies Record<string, (location: string) => Layer.Layer<CredentialStore>>

export type StoreName = keyof typeof stores

export const isStoreName = (name: string): name is StoreName => Object.hasOwn(stores, name)
