import { CredentialStoreContract } from "@keyfob/testing"
import { CredentialStore } from "keyfob"

CredentialStoreContract.suite("memory", CredentialStore.layerMemory)
