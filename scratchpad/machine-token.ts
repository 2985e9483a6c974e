/** A service's token: fetched once, shared by every fiber. Runs against the embedded provider: `node scratchpad/machine-token.ts`. */
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { clients, EmbeddedProvider } from "@keyfob/embedded"
import { Console, DateTime, Effect, Layer, Redacted } from "effect"
import { ClientAuthentication, ClientCredentials, TokenSource } from "keyfob"

class Api extends TokenSource.Service<Api>()("scratchpad/Api") {}

const ApiLive = Layer.unwrap(
  Effect.map(EmbeddedProvider, ({ issuer }) =>
    Api.layer(
      ClientCredentials.make({
        issuer,
        clientId: clients.billing.id,
        authentication: ClientAuthentication.secretBasic(Redacted.make(clients.billing.secret)),
        scopes: ["api:read"]
      })
    )
  )
)

const program = Effect.gen(function* () {
  const api = yield* Api
  const tokens = yield* Effect.all(
    Array.from({ length: 1000 }, () => api.token),
    { concurrency: "unbounded" }
  )
  const requests = yield* (yield* EmbeddedProvider).requests
  yield* Console.log(`${tokens.length} tokens, ${requests.filter(({ path }) => path === "/token").length} request`)
  yield* Console.log(`valid until ${tokens[0]?.expiresAt && DateTime.formatIso(tokens[0].expiresAt)}`)
})

program.pipe(
  Effect.provide(ApiLive.pipe(Layer.provide(NodeHttpClient.layerUndici), Layer.provideMerge(EmbeddedProvider.layer()))),
  NodeRuntime.runMain
)
