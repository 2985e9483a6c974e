/** A login whose every request is sent by a host, against a certified provider over real sockets. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect, Layer } from "effect"
import { AuthorizationCode, CredentialStore, Login, TokenSource } from "keyfob"
import { drive } from "../session/sansIoDriver.ts"

const Provider = EmbeddedProvider.layer({ dpopNonces: true }).pipe(Layer.merge(NodeHttpClient.layerUndici))
const redirectUri = "http://127.0.0.1:49152/callback"

describe("integration: sans I/O", () => {
  layer(Provider, { excludeTestServices: true })((it) => {
    it.effect(
      "PKCE, state, nonce and a DPoP key with nonces: a login and a renewal, each step in a process of its own",
      () =>
        Effect.gen(function* () {
          const { issuer } = yield* EmbeddedProvider
          const options = { issuer, clientId: clients.cli.id, scopes: ["openid", "offline_access"], dpop: true }
          const program = () =>
            Effect.gen(function* () {
              const flow = AuthorizationCode.make(options)
              const { account } = yield* Login.login(flow)
              const { renew } = yield* TokenSource.make(flow)
              return { account, ...(yield* renew) }
            }).pipe(Effect.scoped, Effect.provide(Layer.fresh(CredentialStore.layerMemory)))
          const { value } = yield* drive(program, {
            redirectUri,
            person: (asked) =>
              asked._tag === "Browser"
                ? Effect.map(Person.approve(asked.url, { followRedirect: false }), ({ url }) => url)
                : Effect.void
          })
          assert.strictEqual(value.account?.sub, "alice")
          assert.strictEqual(value.outcome, "renewed")
          assert.strictEqual(value.credential.token.type, "DPoP")
        })
    )
  })
})
