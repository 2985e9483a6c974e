export * as CredentialStoreContract from "./CredentialStoreContract.ts"
export * from "./provider.ts"
