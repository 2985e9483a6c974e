/** Signing in to Arnica, AQT's cloud: a person by device code, a machine with its secret. */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import {
  type AttendedFlow,
  AuthProvider,
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  DeviceCode,
  Jwt,
  type OAuthClient,
  ProviderType,
  TokenRejected,
  type UnattendedFlow,
  type UserPrompt
} from "keyfob"
import { algorithms, definition, flowOptions, type Settings } from "./Settings.ts"

/** How these settings sign in. */
export const flow = (settings: Settings, account: string): AttendedFlow<UserPrompt> | UnattendedFlow => {
  const options = flowOptions(settings, account)
  if (settings.client_id === undefined) return DeviceCode.make(options)
  const secret = settings.client_secret ?? ClientAuthentication.missing("client_secret")
  const machine = ClientCredentials.make({ ...options, authentication: ClientAuthentication.secretPost(secret) })
  return {
    ...machine,
    obtain: (client) =>
      Effect.tap(machine.obtain(client), ({ token }) => verify(client, token.value, options.audience ?? ""))
  }
}

/** A token that Arnica would not take is found here, where it can be said what is wrong with it. */
const verify = Effect.fnUntraced(function* (
  client: OAuthClient.OAuthClient,
  token: Redacted.Redacted,
  audience: string
) {
  const { issuer } = yield* client.metadata
  const { aud, azp, iat, sub } = yield* Jwt.verify(token, { jwks: yield* client.jwks, issuer, audience, algorithms })
  const missing = sub === undefined ? "sub" : iat === undefined ? "iat" : undefined
  if (missing !== undefined)
    return yield* new TokenRejected({ reason: "MissingClaim", token: "token", detail: missing })
  if (typeof aud !== "string" && aud.length > 1 && azp !== client.clientId)
    return yield* new TokenRejected({ reason: "AuthorizedParty", token: "token" })
})

/** `type = "aqt"` */
export const type = ProviderType.make({
  ...definition,
  make: (settings, { key }) => {
    const provider = AuthProvider.fromFlow(() => flow(settings, key.account))
    return settings.store_access_token ? provider : Effect.provide(provider, CredentialStore.layerSparing(key))
  }
})
