/** A real OpenID provider for the demo, integration tests and documentation. Never published. */
export { accounts, clients } from "./Directory.ts"
export {
  EmbeddedProvider,
  EmbeddedProviderError,
  type Fault,
  type Options,
  type RecordedRequest
} from "./EmbeddedProvider.ts"
export * as TestAuthority from "./TestAuthority.ts"
export * as Person from "./Person.ts"
