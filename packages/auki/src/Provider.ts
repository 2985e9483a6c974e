import * as Effect from "effect/Effect"
import { AuthProvider, ProviderType } from "keyfob"
import * as Network from "./Network.ts"
import { Settings } from "./Settings.ts"

const secrets = { email: ["password"], app_key: ["app_secret"], opaque: ["token"], oidc: ["token"] } as const

/** `type = "auki"`: its credential is the network's; further levels are had for that. */
export const type = ProviderType.make({
  name: "auki",
  description: "Auki's network: discovery and domains",
  settings: Settings,
  identify: (settings, account) => ({
    key: Network.keyOf(settings, account),
    attended: false,
    needs: secrets[Network.methodOf(settings)],
    extra: { api_url: settings.api_url, method: Network.methodOf(settings) }
  }),
  make: Effect.fnUntraced(function* (settings, { key }) {
    const flow = yield* Network.flow(settings, key.account)
    return yield* AuthProvider.fromFlow(() => flow)
  })
})
