/** The library, floor by floor (docs/architecture.md). */

// Words: errors, tokens, credentials
export * from "./AuthError.ts"
export * from "./Credential.ts"
export * from "./Required.ts"
export * from "./Token.ts"

// Providers, by name
export * from "./provider/AuthClient.ts"
export * as AuthProvider from "./provider/AuthProvider.ts"
export * as Basic from "./provider/Basic.ts"
export * as BasicSettings from "./provider/BasicSettings.ts"
export * as OAuth from "./provider/OAuth.ts"
export * as OAuthSettings from "./provider/OAuthSettings.ts"
export * as ProviderCredential from "./provider/ProviderCredential.ts"
export * from "./provider/ProviderRegistry.ts"
export * as ProviderType from "./provider/ProviderType.ts"
export * as Static from "./provider/Static.ts"
export * as StaticSettings from "./provider/StaticSettings.ts"

// Signing in and out; keeping credentials fresh, and using them
export * as AuthorizedHttpClient from "./session/AuthorizedHttpClient.ts"
export * as Explain from "./session/Explain.ts"
export * from "./session/KeepWarm.ts"
export * as Login from "./session/Login.ts"
export * as Logout from "./session/Logout.ts"
export * as RefreshPolicy from "./session/RefreshPolicy.ts"
export { byRefreshToken } from "./session/Renewal.ts"
export * as Replaceable from "./session/Replaceable.ts"
export * as SansIo from "./session/SansIo.ts"
export * as SavedSession from "./session/SavedSession.ts"
export * as Terms from "./session/Terms.ts"
export * as TokenBudget from "./session/TokenBudget.ts"
export * as TokenChain from "./session/TokenChain.ts"
export * as TokenSource from "./session/TokenSource.ts"
export * as TokenTargets from "./session/TokenTargets.ts"

// How a credential is first obtained, and what that asks of a person
export * as AuthorizationCode from "./flow/AuthorizationCode.ts"
export * as Auto from "./flow/Auto.ts"
export * as Brought from "./flow/Brought.ts"
export * as ClientCredentials from "./flow/ClientCredentials.ts"
export * as DeviceCode from "./flow/DeviceCode.ts"
export type {
  Assigned,
  AttendedFlow,
  Flow,
  FlowOptions,
  FlowParts,
  GrantError,
  Obtained,
  SomebodysToken,
  UnattendedError,
  UnattendedFlow
} from "./flow/Flow.ts"
export { grantTypes, partsOf } from "./flow/Flow.ts"
export * as JwtBearer from "./flow/JwtBearer.ts"
export * as Once from "./flow/Once.ts"
export * from "./flow/RedirectReceiver.ts"
export * as TokenExchange from "./flow/TokenExchange.ts"
export * from "./flow/UserPrompt.ts"

// Where credentials are kept
export * as BrowserCredentialStore from "./store/BrowserCredentialStore.ts"
export * from "./store/CredentialStore.ts"
export * as CredentialText from "./store/CredentialText.ts"

// Endpoints and documents of the RFCs
export type { AssertionSource } from "./protocol/Assertion.ts"
export * as Assertion from "./protocol/Assertion.ts"
export { type AuthorizationOptions, type Begun, PendingAuthorization } from "./protocol/AuthorizationRequest.ts"
export * as ClientAuthentication from "./protocol/ClientAuthentication.ts"
export * as ClientCertificate from "./protocol/ClientCertificate.ts"
export * as EndSession from "./protocol/EndSession.ts"
export * as HttpExchange from "./protocol/HttpExchange.ts"
export * as Introspection from "./protocol/Introspection.ts"
export * as Jwt from "./protocol/Jwt.ts"
export * as OAuthAnswer from "./protocol/OAuthAnswer.ts"
export * as OAuthClient from "./protocol/OAuthClient.ts"
export * as Promised from "./protocol/Promised.ts"
export * as ProviderProfile from "./protocol/ProviderProfile.ts"
export { configuredUrl, isSecure, plainUrl } from "./protocol/SecureUrl.ts"
export * as ServiceEndpoint from "./protocol/ServiceEndpoint.ts"
export * as SigningKey from "./protocol/SigningKey.ts"
export { type Granted, type Withheld } from "./protocol/TokenEndpoint.ts"
export * as Userinfo from "./protocol/Userinfo.ts"
