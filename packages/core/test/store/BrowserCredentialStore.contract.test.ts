import { CredentialStoreContract } from "@keyfob/testing"
import { BrowserCredentialStore } from "keyfob"
import { pageLocks, pageStorage } from "./page.ts"

CredentialStoreContract.suite(
  "browser",
  BrowserCredentialStore.layer({
    storage: pageStorage(),
    locks: pageLocks,
    exposure: BrowserCredentialStore.everyScriptOfThisOriginCanReadTheTokens
  }),
  { durable: true }
)
