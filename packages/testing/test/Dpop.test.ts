import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import {
  AuthorizedHttpClient,
  ClientCredentials,
  ClientAuthentication,
  CredentialStore,
  DeviceCode,
  Login,
  TokenSource
} from "keyfob"
import { Redacted } from "effect"
import { clients, Fault, patiently, SimulatedPerson, SimulatedProvider } from "../src/provider.ts"

const issuer = "https://id.simulated.test"
const scopes = ["openid", "offline_access", "api:read"]
const flow = DeviceCode.make({ issuer, clientId: clients.cli.client_id, scopes, dpop: true })
const machine = ClientCredentials.make({
  issuer,
  clientId: clients.billing.client_id,
  authentication: ClientAuthentication.secretBasic(Redacted.make(clients.billing.client_secret)),
  scopes: ["api:read"],
  dpop: true
})

class Api extends TokenSource.Service<Api>()("test/Api") {}
class Machine extends TokenSource.Service<Machine>()("test/Machine") {}

const layerOf = (options: Parameters<typeof SimulatedProvider.layer>[0]) =>
  Layer.mergeAll(Api.layerStored(flow), Machine.layerStored(machine), SimulatedPerson.layer()).pipe(
    Layer.provideMerge([CredentialStore.layerMemory, SimulatedProvider.layer(options)])
  )

describe("tokens bound to a key (RFC 9449)", () => {
  it.effect.each([
    ["without nonces, the clock 10 minutes behind", { dpopNonces: false }, Fault.clockAhead("10 minutes")],
    ["without nonces, the clock 10 minutes ahead", { dpopNonces: false }, Fault.clockBehind("10 minutes")],
    ["with nonces", { dpopNonces: true }, Fault.clockAhead(0)]
  ] as const)("a person's and a machine's serve and are renewed: %s", ([, options, fault]) =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.faults(fault)
      yield* idp.approve("alice")
      yield* patiently(Login.login(flow))
      for (const source of [Api, Machine] as const) {
        const http = yield* AuthorizedHttpClient.make<never, Api | Machine>(source, { origins: [issuer] })
        assert.strictEqual((yield* http.get(idp.apiUrl)).status, 200)
        const { token } = (yield* (yield* source).renew).credential
        assert.strictEqual(token.type, "DPoP")
        assert.strictEqual((yield* http.get(idp.apiUrl)).status, 200)
      }
    }).pipe(Effect.provide(layerOf(options)))
  )

  it.effect("a scope the token lacks is a step-up that names it", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const http = yield* AuthorizedHttpClient.make(Machine, { origins: [issuer] })
      const error = yield* Effect.flip(http.get(`${idp.apiUrl.replace(/me$/, "needs/api:write")}`))
      assert.deepInclude(error, { _tag: "StepUpRequired", reason: "InsufficientScope", scopes: ["api:write"] })
    }).pipe(Effect.provide(layerOf({ dpopNonces: true })))
  )
})
