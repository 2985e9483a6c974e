import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ConfigurationInvalid, printable } from "../AuthError.ts"
import type { ProviderType } from "./ProviderType.ts"

/** The kinds of providers there are. */
export class ProviderRegistry extends Context.Service<
  ProviderRegistry,
  {
    readonly types: ReadonlyArray<ProviderType>
    /** The type of that name; else `ConfigurationInvalid`, which names what there is. */
    readonly get: (name: string) => Effect.Effect<ProviderType, ConfigurationInvalid>
  }
>()("keyfob/ProviderRegistry") {
  /** A registry of these types. Of two that have one name the later counts: so a host replaces a type that it knows better. */
  static readonly make = (types: ReadonlyArray<ProviderType>): ProviderRegistry["Service"] => {
    const byName = new Map(types.map((type) => [type.name, type]))
    return ProviderRegistry.of({
      types: [...byName.values()],
      get: (name) => {
        const found = byName.get(name)
        if (found !== undefined) return Effect.succeed(found)
        const detail = `provider type ${printable(name)}; there is ${[...byName.keys()].map(printable).join(", ")}`
        return Effect.fail(new ConfigurationInvalid({ reason: "UnknownName", detail }))
      }
    })
  }

  /** Registers types; what their providers need of their own is needed here. */
  static readonly layer = <R = never>(
    ...types: ReadonlyArray<ProviderType<R>>
  ): Layer.Layer<ProviderRegistry, never, R> =>
    Layer.effect(
      ProviderRegistry,
      Effect.map(Effect.context<R>(), (services) =>
        ProviderRegistry.make(
          types.map((type) => ({
            ...type,
            configure: (table, place) =>
              Effect.map(type.configure(table, place), (configured) => ({
                ...configured,
                make: Effect.provideContext(configured.make, services)
              }))
          }))
        )
      )
    )
}
