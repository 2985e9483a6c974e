import * as Effect from "effect/Effect"
import type { LoginFailed, ProviderRefused, TokenRejected } from "../AuthError.ts"
import type { OAuthClient } from "../protocol/OAuthClient.ts"
import * as AuthorizationCode from "./AuthorizationCode.ts"
import * as DeviceCode from "./DeviceCode.ts"
import type { AttendedFlow, GrantError } from "./Flow.ts"
import type { RedirectReceiver } from "./RedirectReceiver.ts"
import type { UserPrompt } from "./UserPrompt.ts"

export interface AutoOptions extends AuthorizationCode.AuthorizationCodeOptions {
  /** Whether the person has a browser that reaches this program's redirect URI: not over SSH, not in a container. */
  readonly browserAtHand: Effect.Effect<boolean>
}

/**
 * A person signs in the way that works where they are: in the browser that is at hand, else with a device code on another
 * screen. What the provider does not offer, or not to this client, is left for the other; a person's or a provider's
 * denial is final.
 */
export const make = ({ browserAtHand, ...options }: AutoOptions): AttendedFlow<UserPrompt | RedirectReceiver> => {
  const browser = AuthorizationCode.make(options)
  const device = DeviceCode.make(options)
  return {
    attended: true,
    key: browser.key,
    client: browser.client,
    obtain: Effect.fnUntraced(function* (client: OAuthClient) {
      const metadata = yield* client.metadata
      if (metadata.device_authorization_endpoint === undefined) return yield* browser.obtain(client)
      if (metadata.authorization_endpoint === undefined) return yield* device.obtain(client)
      return (yield* browserAtHand)
        ? yield* Effect.catchIf(browser.obtain(client), isNoWay, () => device.obtain(client))
        : yield* Effect.catchIf(device.obtain(client), isNoWay, () => browser.obtain(client))
    })
  }
}

/** Nothing was asked of the person yet, and nothing will be this way. */
const isNoWay = (error: GrantError | TokenRejected | LoginFailed) =>
  (error._tag === "LoginFailed" && error.reason === "NoRedirect") ||
  (error._tag === "ConfigurationInvalid" && error.reason === "NotSupported") ||
  (error._tag === "ProviderRefused" && error.endpoint === "device_authorization" && noDevice.has(error.reason))

/** A client that may not is called one or the other; oidc-provider says `invalid_request`. */
const noDevice = new Set<ProviderRefused["reason"]>(["UnauthorizedClient", "UnsupportedGrantType", "InvalidRequest"])
