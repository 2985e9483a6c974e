export * as CredentialStoreContract from "./CredentialStoreContract.ts"
