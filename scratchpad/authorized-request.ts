/** Requests that carry the token, renewed after a 401. Runs by itself: `node scratchpad/authorized-request.ts`. */
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { clients, EmbeddedProvider } from "@keyfob/embedded"
import { Console, Effect, Redacted } from "effect"
import { AuthorizedHttpClient, ClientAuthentication, ClientCredentials, CredentialStore, TokenSource } from "keyfob"

const program = Effect.gen(function* () {
  const provider = yield* EmbeddedProvider
  const source = TokenSource.make(
    ClientCredentials.make({
      issuer: provider.issuer,
      clientId: clients.billing.id,
      authentication: ClientAuthentication.secret(Redacted.make(clients.billing.secret)),
      scopes: ["api:read"]
    })
  )
  const client = yield* AuthorizedHttpClient.make(source, { origins: [provider.issuer] })
  const path = new URL(provider.apiUrl).pathname
  yield* provider.failNext(path, { status: 401 })
  const response = yield* client.get(provider.apiUrl)
  yield* Console.log(response.status, yield* response.json)
  yield* Console.log((yield* provider.requests).map((request) => `${request.method} ${request.path} ${request.status}`))
})

program.pipe(
  Effect.scoped,
  Effect.provide([CredentialStore.layerMemory, NodeHttpClient.layerUndici, EmbeddedProvider.layer()]),
  NodeRuntime.runMain
)
