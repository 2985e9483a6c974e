export * as CredentialStoreContract from "./CredentialStoreContract.ts"
export * from "./provider.ts"
export * from "./runCommand.ts"
export * as Trace from "./Trace.ts"
