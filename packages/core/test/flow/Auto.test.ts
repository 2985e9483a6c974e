import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Auto, CredentialStore, Login, LoginFailed, RedirectReceiver } from "keyfob"
import { clients, Fault, patiently, type PersonScript, SimulatedPerson, SimulatedProvider } from "@keyfob/testing"
import { named } from "../scripted.ts"

const issuer = "https://id.simulated.test"
const flow = (browserAtHand: boolean) =>
  Auto.make({
    issuer,
    clientId: clients.cli.client_id,
    scopes: ["openid"],
    browserAtHand: Effect.succeed(browserAtHand)
  })

const scene = (script: PersonScript = { person: "alice" }) =>
  SimulatedPerson.layer(script).pipe(Layer.provideMerge([CredentialStore.layerMemory, SimulatedProvider.layer()]))

/** How a login went: by which grants, and to which end. */
const wentBy = (browserAtHand: boolean, ...faults: ReadonlyArray<Fault.Fault>) =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    yield* idp.faults(...faults)
    const result = yield* Effect.result(patiently(Login.login(flow(browserAtHand))))
    const person = yield* SimulatedPerson
    const asked = [...(yield* person.pages).map(() => "browser"), ...(yield* person.shown).map(() => "device")]
    return [...asked, result._tag === "Success" ? "signed in" : named(result.failure)].join(", ")
  })

const without = (...names: ReadonlyArray<string>) =>
  Fault.onRequest(
    { endpoint: "discovery", times: 9 },
    Fault.altered(Object.fromEntries(names.map((name) => [name, undefined])))
  )
const onDevice = (error: string) =>
  Fault.onRequest({ endpoint: "device_authorization" }, Fault.answer({ status: 400, body: { error } }))
const onCallback = (error: string) =>
  Fault.onRequest({ endpoint: "authorization" }, Fault.callback({ code: undefined, error }))

describe("Auto", () => {
  for (const [where, atHand, faults, way] of [
    ["a browser is at hand", true, [], "browser, signed in"],
    ["none is", false, [], "device, signed in"],
    [
      "none is, and the provider has no device flow",
      false,
      [without("device_authorization_endpoint")],
      "browser, signed in"
    ],
    [
      "one is, and the provider has no page to sign in at",
      true,
      [without("authorization_endpoint")],
      "device, signed in"
    ],
    [
      "none is, and this client may not use device codes",
      false,
      [onDevice("unauthorized_client")],
      "browser, signed in"
    ],
    [
      "none is, and the device is refused for another reason",
      false,
      [onDevice("invalid_client")],
      "ProviderRefused.InvalidClient"
    ],
    [
      "one is, and the client may not use it",
      true,
      [onCallback("unauthorized_client")],
      "browser, ProviderRefused.UnauthorizedClient"
    ],
    ["one is, and the provider denies", true, [onCallback("access_denied")], "browser, LoginFailed.Denied"],
    [
      "one is, and the provider has no S256",
      true,
      [
        Fault.onRequest(
          { endpoint: "discovery", times: 9 },
          Fault.altered({ code_challenge_methods_supported: ["plain"] })
        )
      ],
      "device, signed in"
    ]
  ] as const) {
    it.effect(`${where}: ${way}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* wentBy(atHand, ...faults), way)
      }).pipe(Effect.provide(scene()))
    )
  }

  for (const atHand of [true, false]) {
    it.effect(`${atHand ? "in the browser" : "at the device"} the person says no: that is final`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* wentBy(atHand), `${atHand ? "browser" : "device"}, LoginFailed.Denied`)
      }).pipe(Effect.provide(scene({ person: "alice", decision: "deny" })))
    )
  }

  it.effect("no port can be opened for the answer: a device code", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* wentBy(true), "device, signed in")
    }).pipe(
      Effect.provideService(RedirectReceiver, {
        open: ({ issuer }) => new LoginFailed({ reason: "NoRedirect", issuer })
      }),
      Effect.provide(scene())
    )
  )
})
