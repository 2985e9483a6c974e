export * as Fault from "./Fault.ts"
export { type Expected, print, type RecordedRequest, UnexpectedRequests } from "./RecordedRequest.ts"
export * as SimulatedBrowser from "./SimulatedBrowser.ts"
export * from "./SimulatedPerson.ts"
export { type ActOptions, SimulatedProvider } from "./SimulatedProvider.ts"
export type { Snapshot, TokenSnapshot } from "./Snapshot.ts"
export {
  clients,
  type Claims,
  type ClientMetadata,
  type ProviderOptions,
  type SigningAlgorithm,
  type TrustedIssuer
} from "./model/Settings.ts"
export { patiently } from "./patiently.ts"
export { withStillFiles } from "./stillFiles.ts"
