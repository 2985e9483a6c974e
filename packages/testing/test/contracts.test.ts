/** The contract suites over our own implementations. */
import { NodeHttpClient } from "@effect/platform-node"
import { clients as registered, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect, Layer, Redacted } from "effect"
import {
  AuthorizationCode,
  ClientAuthentication,
  ClientCredentials,
  type DeviceCodePrompt,
  DeviceCode,
  UserPrompt
} from "keyfob"
import {
  clients,
  FlowContract,
  ProviderContract,
  SimulatedPerson,
  SimulatedProvider,
  UserPromptContract
} from "../src/index.ts"

const authentication = ClientAuthentication.secretBasic(Redacted.make(clients.billing.client_secret))
const machine = { clientId: clients.billing.client_id, authentication, scopes: ["api:read"] }

FlowContract.suite("DeviceCode", DeviceCode.make)
FlowContract.suite("AuthorizationCode", AuthorizationCode.make)
FlowContract.suite("ClientCredentials", ClientCredentials.make, { flow: machine })

/** A simulated person reads data, not a screen: their record is printed as ASCII. */
const asText = (value: unknown) =>
  JSON.stringify(value).replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16)}`)

UserPromptContract.suite(
  "SimulatedPerson",
  Effect.gen(function* () {
    const person = yield* SimulatedPerson
    const shown = Effect.map(Effect.all([person.shown, person.pages]), asText)
    return { prompt: yield* UserPrompt, shown }
  }).pipe(Effect.provide(SimulatedPerson.layer()), Effect.provide(SimulatedProvider.layer()))
)

const scopes = ["openid", "offline_access"]

ProviderContract.suite(
  "SimulatedProvider",
  Layer.effect(
    ProviderContract.ProviderUnderTest,
    Effect.map(SimulatedProvider, ({ enterCode, issuer }) => ({
      issuer,
      person: {
        clientId: clients.cli.client_id,
        scopes,
        approve: ({ userCode }: DeviceCodePrompt) => enterCode(userCode, "alice", "approve")
      },
      machine
    }))
  ).pipe(Layer.provideMerge(SimulatedProvider.layer({ deviceInterval: "1 second" })))
)

ProviderContract.suite(
  "oidc-provider",
  Layer.effect(
    ProviderContract.ProviderUnderTest,
    Effect.map(EmbeddedProvider, ({ issuer }) => ({
      issuer,
      person: {
        clientId: registered.cli.id,
        scopes,
        approve: (prompt: DeviceCodePrompt) => Effect.orDie(Person.approve(prompt))
      },
      machine
    }))
  ).pipe(Layer.provide(EmbeddedProvider.layer({ deviceInterval: "1 second" })), Layer.merge(NodeHttpClient.layerUndici))
)
