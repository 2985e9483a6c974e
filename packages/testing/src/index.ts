export * as CredentialStoreContract from "./CredentialStoreContract.ts"
export * from "./provider.ts"
export * as Trace from "./Trace.ts"
