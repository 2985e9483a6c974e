/** A client of the scripted provider, as the endpoints' tests use it. */
import { Effect } from "effect"
import { OAuthClient } from "keyfob"
import { inTime, issuer, provider, type Reply, scripted } from "../scripted.ts"

/** Runs something as a public client of a provider that answers so. */
export const asClient = <A, E>(
  script: Readonly<Record<string, Reply | ReadonlyArray<Reply>>>,
  use: (client: OAuthClient.OAuthClient) => Effect.Effect<A, E>,
  options: Partial<OAuthClient.ClientOptions> = {}
) => {
  const { layer, requests, to } = scripted({ ...provider, ...script })
  const run = Effect.flatMap(OAuthClient.make({ issuer, clientId: "app", ...options }), (client) => inTime(use(client)))
  return { result: Effect.provide(run, layer), requests, to }
}
