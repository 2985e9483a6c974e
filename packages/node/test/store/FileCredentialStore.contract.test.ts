import * as NodeServices from "@effect/platform-node/NodeServices"
import { CredentialStoreContract } from "@keyfob/testing"
import { afterAll } from "@effect/vitest"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as FileCredentialStore from "../../src/store/FileCredentialStore.ts"

// Not a scoped directory: the contract builds the layer more than once over the same place.
const directory = mkdtempSync(join(tmpdir(), "keyfob-contract-"))
afterAll(() => rmSync(directory, { recursive: true }))

CredentialStoreContract.suite(
  "file",
  FileCredentialStore.layer({ directory: join(directory, "credentials") }).pipe(Layer.provide(NodeServices.layer)),
  { durable: true }
)
