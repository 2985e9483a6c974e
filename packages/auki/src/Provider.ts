import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as HttpClient from "effect/http/HttpClient"
import { AuthProvider, ConfigurationInvalid, CredentialStore, printable, ProviderType } from "keyfob"
import * as Auki from "./Auki.ts"
import * as Network from "./Network.ts"
import { definition, methodOf } from "./Settings.ts"

/** `type = "auki"`: its credential is the network's; `discovery`, and a `domain`, are had for that. */
export const type = ProviderType.make({
  ...definition,
  make: Effect.fnUntraced(function* (settings, { key }) {
    const { flow, login } = yield* Network.session(settings, key.account)
    const made = Effect.gen(function* () {
      const services = yield* Effect.context<HttpClient.HttpClient | CredentialStore>()
      const provider = yield* AuthProvider.fromFlow(() => flow)
      return { ...provider, login: () => Effect.provideContext(login(), services) }
    })
    const stored = yield* made
    // An app's secret is configured, and kept nowhere else; what was had for it is in the store, and goes with a logout.
    const provider =
      methodOf(settings) === "app_key"
        ? { ...(yield* Effect.provide(made, Layer.fresh(CredentialStore.layerMemory))), logout: stored.logout }
        : stored
    const { source } = provider
    const services = yield* Effect.context<ProviderType.Hosted>()
    const links = yield* Effect.cached(
      Effect.provideContext(
        Effect.flatMap(source, (network) => Auki.linksOf(settings, network)),
        services
      )
    )
    return {
      ...provider,
      chain: (level, target) =>
        Effect.flatMap(links, ({ discovery, domains }) => {
          if (level === "domain" && target !== undefined) return Effect.succeed(domains.source(target))
          if (level === "discovery") return Effect.succeed(discovery)
          if (level === "network") return source
          const detail = `level ${printable(level)}; there is network, discovery, and domain with an id`
          return Effect.fail(new ConfigurationInvalid({ reason: "UnknownName", detail }))
        })
    }
  })
})
