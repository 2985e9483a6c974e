import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { EmbeddedProvider, Person } from "@keyfob/embedded"
import { Context, Effect, Layer } from "effect"
import type { HttpClient } from "effect/http"
import { createServer } from "node:http"
import { type ClientMetadata, type ProviderOptions, SimulatedBrowser, SimulatedProvider } from "../../src/provider.ts"
import { get, type Reply } from "../Caller.ts"

type Decision = "approve" | "deny"

/** A provider that a scenario can be run against, and the person who uses it. */
export class Subject extends Context.Service<
  Subject,
  {
    readonly issuer: string
    readonly apiUrl: string
    /** Alice opens the link of a device's answer and decides. */
    readonly decideDevice: (device: Reply, decision: Decision) => Effect.Effect<void>
    /** Alice's browser opens an authorization URL; where it comes back to, or the status of the page it is left at. */
    readonly open: (url: string, decision: Decision) => Effect.Effect<URL | number>
  }
>()("test/Subject") {}

const ours = Layer.effect(
  Subject,
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider
    const context = yield* Effect.context<HttpClient.HttpClient>()
    return {
      issuer: provider.issuer,
      apiUrl: provider.apiUrl,
      decideDevice: (device, decision) => provider.enterCode(String(device.json["user_code"]), "alice", decision),
      open: (url, decision) =>
        provider[decision]("alice").pipe(
          Effect.andThen(SimulatedBrowser.visit(url)),
          Effect.catchTag("Stuck", ({ status }) => Effect.succeed(status)),
          Effect.orDie,
          Effect.provideContext(context)
        )
    }
  })
)

const optionsOf = (clients: ReadonlyArray<ClientMetadata>) =>
  ({ clients, algorithms: ["RS256", "ES256"], deviceInterval: 0 }) satisfies ProviderOptions

/** The simulator behind a socket. */
export const simulated = (clients: ReadonlyArray<ClientMetadata>) =>
  ours.pipe(
    Layer.provide(SimulatedProvider.layerServer(optionsOf(clients))),
    Layer.provide(
      NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "1 second" })
    ),
    Layer.provideMerge(NodeHttpClient.layerUndici)
  )

/** The simulator without one. */
export const inMemory = (clients: ReadonlyArray<ClientMetadata>) =>
  ours.pipe(Layer.provideMerge(SimulatedProvider.layer(optionsOf(clients))))

const person = { approve: Person.approve, deny: Person.deny }

/** `oidc-provider`, which is certified. */
export const certified = (clients: ReadonlyArray<ClientMetadata>) =>
  Layer.effect(
    Subject,
    Effect.gen(function* () {
      const { apiUrl, issuer } = yield* EmbeddedProvider
      const context = yield* Effect.context<HttpClient.HttpClient>()
      return {
        issuer,
        apiUrl,
        decideDevice: (device, decision) =>
          Effect.orDie(Effect.asVoid(person[decision](String(device.json["verification_uri_complete"])))),
        open: (url, decision) =>
          person[decision](url, { followRedirect: false }).pipe(
            Effect.map((visit): URL | number => new URL(visit.url)),
            // It tells only that it got stuck: the status is that of the address itself.
            Effect.catch(() => Effect.map(get(url), ({ status }) => status)),
            Effect.orDie,
            Effect.provideContext(context)
          )
      }
    })
  ).pipe(
    Layer.provide(
      EmbeddedProvider.layer({
        deviceInterval: "1 second",
        // Its own types say Record; the members are those of RFC 7591 in both.
        clients: clients.map((client) => ({ redirect_uris: [], response_types: [], ...client }))
      })
    ),
    Layer.provideMerge(NodeHttpClient.layerUndici)
  )
