/** Signing in to Arnica, AQT's cloud: a person by device code, a machine with its secret. */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import {
  type AttendedFlow,
  AuthProvider,
  ClientAuthentication,
  ClientCredentials,
  ConfigurationInvalid,
  CredentialStore,
  DeviceCode,
  Jwt,
  type OAuthClient,
  ProviderType,
  type UnattendedFlow,
  type UserPrompt
} from "keyfob"
import { Settings } from "./Settings.ts"

const algorithms = ["RS256"] as const

/** How these settings sign in. */
export const flow = (settings: Settings, account: string): AttendedFlow<UserPrompt> | UnattendedFlow => {
  const { arnica_url, audience = arnica_url, client_id, client_secret, issuer } = settings
  const below = (path: string) => `${issuer.replace(/\/$/, "")}/${path}`
  const server = {
    issuer,
    account,
    endpoints: {
      token_endpoint: below("oauth/token"),
      device_authorization_endpoint: below("oauth/device/code"),
      revocation_endpoint: below("oauth/revoke"),
      jwks_uri: settings.jwks_url ?? below(".well-known/jwks.json")
    }
  }
  if (client_id === undefined) {
    return DeviceCode.make({
      ...server,
      clientId: settings.device_client_id,
      scopes: ["openid", "profile", "offline_access"],
      // Arnica takes the ID token: the access token of a request without an audience is for nobody.
      profile: { bearer: "id_token" }
    })
  }
  const machine = ClientCredentials.make({
    ...server,
    clientId: client_id,
    authentication: ClientAuthentication.secretPost(client_secret ?? missing("client_secret")),
    audience,
    profile: { tokenRequest: "json" }
  })
  return {
    ...machine,
    obtain: (client) => Effect.tap(machine.obtain(client), ({ token }) => verify(client, token.value, audience))
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

const missing = (key: string) => Config.fail(new ConfigProvider.SourceError({ message: key }))

/** `type = "aqt"` */
export const type = ProviderType.make({
  name: "aqt",
  description: "Arnica, AQT's cloud of quantum computers",
  settings: Settings,
  identify: (settings, account) => ({
    key: flow(settings, account).key,
    attended: settings.client_id === undefined,
    needs: settings.client_id === undefined ? [] : ["client_secret"],
    extra: { arnica_url: settings.arnica_url }
  }),
  make: Effect.fnUntraced(function* (settings, { key }) {
    if (settings.client_id === undefined && settings.client_secret !== undefined) {
      return yield* new ConfigurationInvalid({ reason: "MissingValue", detail: "client_id" })
    }
    const provider = AuthProvider.fromFlow(() => flow(settings, key.account))
    return yield* settings.store_access_token ? provider : Effect.provide(provider, CredentialStore.layerMemory)
  })
})
