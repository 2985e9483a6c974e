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
  type UnattendedFlow,
  type UserPrompt
} from "keyfob"
import { definition, flowOptions, type Settings } from "./Settings.ts"

const algorithms = ["RS256"] as const

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
  yield* Jwt.verify(token, { jwks: yield* client.jwks, issuer, audience, algorithms })
})

/** `type = "aqt"` */
export const type = ProviderType.make({
  ...definition,
  make: (settings, { key }) => {
    const provider = AuthProvider.fromFlow(() => flow(settings, key.account))
    return settings.store_access_token ? provider : Effect.provide(provider, CredentialStore.layerMemory)
  }
})
