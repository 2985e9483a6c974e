import * as Effect from "effect/Effect"
import { ConfigurationInvalid } from "../AuthError.ts"
import * as AuthorizationCode from "../flow/AuthorizationCode.ts"
import * as Auto from "../flow/Auto.ts"
import * as ClientCredentials from "../flow/ClientCredentials.ts"
import * as DeviceCode from "../flow/DeviceCode.ts"
import type { Flow, SomebodysToken } from "../flow/Flow.ts"
import * as JwtBearer from "../flow/JwtBearer.ts"
import * as ClientAuthentication from "../protocol/ClientAuthentication.ts"
import type { ClientOptions } from "../protocol/OAuthClient.ts"
import * as AuthProvider from "./AuthProvider.ts"
import { definition, flowOptions, type Settings } from "./OAuthSettings.ts"
import * as ProviderType from "./ProviderType.ts"

/** What a host knows better than the settings. */
export interface Host extends Pick<ClientOptions, "authentication" | "certificate"> {
  /** What the `jwt_bearer` flow signs in with. */
  readonly assertion?: SomebodysToken
}

/**
 * The provider of these settings.
 *
 * @param host how the client proves who it is; default: as the settings say
 */
export const make = Effect.fnUntraced(function* (
  settings: Settings,
  { budget, key }: Pick<ProviderType.Identity, "budget" | "key">,
  { assertion, authentication, ...more }: Host = {}
): Effect.fn.Return<AuthProvider.OAuthProvider, ConfigurationInvalid, ProviderType.Hosted> {
  if (settings.flow === "jwt_bearer" && assertion === undefined) {
    return yield* notSupported("the jwt_bearer flow, where nobody says where its assertion comes from")
  }
  const options = {
    ...flowOptions(settings, key.account),
    ...more,
    authentication: authentication ?? (yield* authenticationOf(settings))
  }
  return yield* AuthProvider.fromFlow(
    ({ browserAtHand = Effect.succeed(true), ...asked } = {}): Flow<AuthProvider.Person> => {
      if (settings.flow === "jwt_bearer" && assertion !== undefined) return JwtBearer.make({ ...options, assertion })
      switch (settings.flow ?? "auto") {
        case "browser":
          return AuthorizationCode.make({ ...options, ...asked })
        case "device":
          return DeviceCode.make(options)
        case "client_credentials":
          return ClientCredentials.make({ ...options, budget })
        default:
          return Auto.make({ ...options, ...asked, browserAtHand })
      }
    }
  )
})

export const type = ProviderType.make({ ...definition, make: (settings, identity) => make(settings, identity) })

const authenticationOf = ({ clientAuth, clientSecret, flow, privateKey }: Settings) => {
  const secret = clientSecret ?? ClientAuthentication.missing("client_secret")
  switch (clientAuth) {
    case "none":
      return Effect.succeed(ClientAuthentication.none)
    case "client_secret_basic":
      return Effect.succeed(ClientAuthentication.secretBasic(secret))
    case "client_secret_post":
      return Effect.succeed(ClientAuthentication.secretPost(secret))
    case "client_secret_jwt":
      return Effect.succeed(ClientAuthentication.secretJwt(secret))
    case "private_key_jwt":
      return Effect.succeed(
        ClientAuthentication.privateKeyJwt(privateKey ?? ClientAuthentication.missing("private_key"))
      )
    case undefined:
      if (privateKey !== undefined) return Effect.succeed(ClientAuthentication.privateKeyJwt(privateKey))
      return Effect.succeed(
        clientSecret !== undefined || flow === "client_credentials"
          ? ClientAuthentication.secret(secret)
          : ClientAuthentication.none
      )
    default:
      return notSupported(`client authentication ${clientAuth}, where nobody has a certificate`)
  }
}

const notSupported = (detail: string) => Effect.fail(new ConfigurationInvalid({ reason: "NotSupported", detail }))
