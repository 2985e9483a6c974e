/** A person signs in on another screen, played by HTTP here. Runs by itself: `node scratchpad/device-login.ts`. */
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Console, Effect, Layer } from "effect"
import { CredentialStore, DeviceCode, Login, Logout, TokenSource, UserPrompt } from "keyfob"

const Alice = Layer.mock(UserPrompt, {
  deviceCode: ({ userCode, verificationUri }) =>
    Effect.gen(function* () {
      yield* Console.log(`open ${verificationUri} and type ${userCode}`)
      yield* Person.approve({ verificationUri, userCode }).pipe(Effect.orDie, Effect.forkScoped)
    })
})

const program = Effect.gen(function* () {
  const { issuer } = yield* EmbeddedProvider
  const flow = DeviceCode.make({ issuer, clientId: clients.cli.id, scopes: ["openid", "offline_access"] })
  const { account } = yield* Login.login(flow)
  yield* Console.log(`signed in as ${account?.sub}`)

  const source = yield* TokenSource.make(flow)
  yield* Console.log(`token before: ${yield* source.token}`)
  const { outcome } = yield* source.renew
  yield* Console.log(`${outcome}: ${yield* source.token}`)
  yield* Console.log(yield* Logout.logout(flow))
})

program.pipe(
  Effect.scoped,
  Effect.provide([
    Alice,
    CredentialStore.layerMemory,
    NodeHttpClient.layerUndici,
    EmbeddedProvider.layer({ deviceInterval: "1 second" })
  ]),
  NodeRuntime.runMain
)
