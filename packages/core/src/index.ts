export * from "./AuthError.ts"
export * from "./Credential.ts"
export * as AuthorizationCode from "./flow/AuthorizationCode.ts"
export * as Auto from "./flow/Auto.ts"
export * as ClientCredentials from "./flow/ClientCredentials.ts"
export * as DeviceCode from "./flow/DeviceCode.ts"
export type {
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
export * as TokenExchange from "./flow/TokenExchange.ts"
export * from "./flow/RedirectReceiver.ts"
export * from "./flow/UserPrompt.ts"
export { type AuthorizationOptions, type Begun, PendingAuthorization } from "./protocol/AuthorizationRequest.ts"
export type { AssertionSource } from "./protocol/AssertionSource.ts"
export * as ClientAuthentication from "./protocol/ClientAuthentication.ts"
export * as ClientCertificate from "./protocol/ClientCertificate.ts"
export * as EndSession from "./protocol/EndSession.ts"
export * as Introspection from "./protocol/Introspection.ts"
export * as Jwt from "./protocol/Jwt.ts"
export * as Promised from "./protocol/Promised.ts"
export * as OAuthClient from "./protocol/OAuthClient.ts"
export * as SigningKey from "./protocol/SigningKey.ts"
export * as Userinfo from "./protocol/Userinfo.ts"
export { type Granted } from "./protocol/TokenEndpoint.ts"
export * from "./provider/AuthClient.ts"
export * as AuthProvider from "./provider/AuthProvider.ts"
export * as Basic from "./provider/Basic.ts"
export * as OAuth from "./provider/OAuth.ts"
export * as OAuthSettings from "./provider/OAuthSettings.ts"
export * as ProviderCredential from "./provider/ProviderCredential.ts"
export * from "./provider/ProviderRegistry.ts"
export * as ProviderType from "./provider/ProviderType.ts"
export * as Static from "./provider/Static.ts"
export * as AuthorizedHttpClient from "./session/AuthorizedHttpClient.ts"
export * from "./session/KeepWarm.ts"
export * as Login from "./session/Login.ts"
export * as Logout from "./session/Logout.ts"
export * as RefreshPolicy from "./session/RefreshPolicy.ts"
export * as TokenBudget from "./session/TokenBudget.ts"
export * as TokenSource from "./session/TokenSource.ts"
export * from "./store/CredentialStore.ts"
export * as BrowserCredentialStore from "./store/BrowserCredentialStore.ts"
export * as CredentialText from "./store/CredentialText.ts"
export * from "./Token.ts"
