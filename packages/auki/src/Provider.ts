import * as Effect from "effect/Effect"
import { AuthProvider, ConfigurationInvalid, printable, ProviderType } from "keyfob"
import * as Auki from "./Auki.ts"
import * as Network from "./Network.ts"
import { definition } from "./Settings.ts"

/** `type = "auki"`: its credential is the network's; `discovery`, and a `domain`, are had for that. */
export const type = ProviderType.make({
  ...definition,
  make: Effect.fnUntraced(
    function* (settings, { key }) {
      const { flow, login } = yield* Network.session(settings, key.account)
      const services = yield* Effect.context<ProviderType.Hosted>()
      const provider = yield* AuthProvider.fromFlow(() => flow)
      const { source } = provider
      const links = yield* Effect.cached(
        Effect.provideContext(
          Effect.flatMap(source, (network) => Auki.linksOf(settings, network)),
          services
        )
      )
      return {
        ...provider,
        login: () => Effect.provideContext(login(), services),
        chain: (level: string, target?: string) =>
          Effect.flatMap(links, ({ discovery, domains }) => {
            if (level === "domain" && target !== undefined) return Effect.succeed(domains.source(target))
            if (level === "discovery") return Effect.succeed(discovery)
            if (level === "network") return source
            const detail = `level ${printable(level)}; there is network, discovery, and domain with an id`
            return Effect.fail(new ConfigurationInvalid({ reason: "UnknownName", detail }))
          })
      }
    },
    (made, settings, { key }) => Effect.provide(made, Network.storeOf(settings, key.account))
  )
})
