/** Providers on a loopback port that rotate refresh tokens. They differ in what becomes of one that is used twice. */
import { NodeHttpServer } from "@effect/platform-node"
import { EmbeddedProvider, Person } from "@keyfob/embedded"
import { SimulatedProvider } from "@keyfob/testing/Provider"
import { Context, Effect, Layer, type Scope } from "effect"
import type { DeviceCodePrompt } from "keyfob"
import { createServer } from "node:http"

export interface Rotating {
  readonly issuer: string
  /** What Alice does when she is asked. */
  readonly approve: (prompt: DeviceCodePrompt) => Effect.Effect<unknown, unknown>
  /** The refreshes since they were last forgotten: those that brought tokens, those that are being worked at. */
  readonly refreshes: Effect.Effect<{ readonly granted: number; readonly underWay: number }>
  readonly forget: Effect.Effect<void>
}

const count = <A>(all: ReadonlyArray<A>, fits: (one: A) => boolean) => all.filter(fits).length

/** `oidc-provider`: a second use ends the session, at once and always. */
const strict = Effect.gen(function* () {
  const { clearRequests, issuer, requests } = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
  return {
    issuer,
    approve: Person.approve,
    refreshes: Effect.map(requests, (all) => ({
      granted: count(all, ({ grantType, status }) => grantType === "refresh_token" && status === 200),
      // What Koa has not answered yet.
      underWay: count(all, ({ path, status }) => path === "/token" && status === 404)
    })),
    forget: clearRequests
  } satisfies Rotating
})

/** The simulated one with a grace interval: as the real ones that allow for a lost answer, it takes the old one again. */
const lenient = Effect.gen(function* () {
  const server = NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0, gracefulShutdownTimeout: "1 second" })
  const provider = SimulatedProvider.layerServer({ deviceInterval: "1 second", graceInterval: "5 minutes" })
  const context = yield* Effect.orDie(Layer.build(Layer.provide(provider, server)))
  const { approve, clearRequests, issuer, requests } = Context.get(context, SimulatedProvider)
  yield* approve("alice")
  return {
    issuer,
    approve: () => Effect.void,
    refreshes: Effect.map(requests, (all) => ({
      granted: count(all, ({ grant, outcome }) => grant === "refresh_token" && outcome === 200),
      underWay: count(all, ({ grant, outcome }) => grant === "refresh_token" && outcome === "hang")
    })),
    forget: clearRequests
  } satisfies Rotating
})

export const providers = { strict, lenient } satisfies Record<string, Effect.Effect<Rotating, unknown, Scope.Scope>>

/** Its refreshes, once it works at none: what a program sent that was killed may still be on its way. */
export const settled = ({ refreshes }: Rotating) =>
  Effect.gen(function* () {
    let found = yield* refreshes
    // On a busy machine one pause may be over before anything that came meanwhile has been read.
    for (let quiet = 0; quiet < 4; quiet = found.underWay === 0 ? quiet + 1 : 0) {
      yield* Effect.sleep("10 millis")
      found = yield* refreshes
    }
    return found
  })

export type ProviderName = keyof typeof providers

export const isProviderName = (name: string): name is ProviderName => Object.hasOwn(providers, name)
