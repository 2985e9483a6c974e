/** The contract of providers, held against providers that are wrong in one way each: a suite that passes those is none. */
import { Cause, Effect, Exit, Layer, Redacted } from "effect"
import type { HttpClient } from "effect/http"
import { ClientAuthentication, type DeviceCodePrompt } from "keyfob"
import { expect, it, vi } from "vitest"
import { clients, Fault, ProviderContract, type ProviderOptions, SimulatedProvider } from "../src/index.ts"

type Case = () => Effect.Effect<void, unknown>
const cases = vi.hoisted(() => new Map<string, Case>())

// The suite registers its cases here instead of with vitest.
vi.mock("@effect/vitest", async (original) => ({
  ...(await original<object>()),
  describe: (_: string, body: () => void) => body(),
  it: { live: (name: string, body: Case) => cases.set(name, body) }
}))

const authentication = ClientAuthentication.secretBasic(Redacted.make(clients.billing.client_secret))
const machine = { clientId: clients.billing.client_id, authentication, scopes: ["api:read"] }

const providerOf = (
  options: ProviderOptions,
  faults: ReadonlyArray<Fault.Fault>
): Layer.Layer<ProviderContract.ProviderUnderTest | HttpClient.HttpClient> =>
  Layer.effect(
    ProviderContract.ProviderUnderTest,
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider
      yield* provider.faults(...faults)
      const approve = ({ userCode }: DeviceCodePrompt) => provider.enterCode(userCode, "alice", "approve")
      const scopes = ["openid", "offline_access"]
      return { issuer: provider.issuer, person: { clientId: clients.cli.client_id, scopes, approve }, machine }
    })
  ).pipe(Layer.provideMerge(SimulatedProvider.layer({ deviceInterval: 0, ...options })))

const always = (
  endpoint: Parameters<typeof Fault.onRequest>[0]["endpoint"],
  effect: Parameters<typeof Fault.onRequest>[1]
) => [Fault.onRequest({ ...(endpoint === undefined ? {} : { endpoint }), times: 1000 }, effect)]
const renews = "renews again and again; a spent refresh token ends the session, if it rotates"

const wrong: Readonly<
  Record<string, readonly [noticedBy: string, says: RegExp, ProviderOptions, ReadonlyArray<Fault.Fault>?]>
> = {
  "another's metadata": [
    "describes itself by exactly its issuer, with endpoints Keyfob may use",
    /states another issuer/,
    {},
    always("discovery", Fault.answer({ status: 200, body: { issuer: "https://other.example" } }))
  ],
  "no keys": [
    "publishes the public half of its keys, if it names a place for them",
    /not to be empty/,
    {},
    always("jwks", Fault.answer({ status: 200, body: { keys: [] } }))
  ],
  "a secret among its keys": [
    "publishes the public half of its keys, if it names a place for them",
    /to not have keys/,
    {},
    always(
      "jwks",
      Fault.answer({
        status: 200,
        body: {
          keys: [
            {
              kty: "EC",
              crv: "P-256",
              x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
              y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
              d: "s3cret"
            }
          ]
        }
      })
    )
  ],
  "a token for any secret": [
    "gives a machine a token, and none for a wrong secret",
    /a wrong secret is taken/,
    {},
    always("token", Fault.answer({ status: 200, body: { access_token: "t", token_type: "Bearer", expires_in: 3600 } }))
  ],
  "userinfo for anybody": [
    "signs a person in, and says the same of them in ID token and userinfo",
    /nobody issued/,
    {},
    always("userinfo", Fault.answer({ status: 200, body: { sub: "alice" } }))
  ],
  "userinfo of somebody else": [
    "signs a person in, and says the same of them in ID token and userinfo",
    /about somebody else/,
    {},
    always("userinfo", Fault.answer({ status: 200, body: { sub: "bob" } }))
  ],
  "refresh tokens that are good for ever": [renews, /a spent refresh token is taken/, { rotation: false }],
  "a revocation that does nothing": [
    "ends a session for good when it is told to, if it revokes",
    /a revoked refresh token is taken/,
    {},
    always("revocation", Fault.answer({ status: 200 }))
  ]
}

const casesOf = (options: ProviderOptions, faults: ReadonlyArray<Fault.Fault> = []) => {
  cases.clear()
  ProviderContract.suite("test", providerOf(options, faults))
  return [...cases]
}

it("a provider that is right passes", async () => {
  const all = casesOf({})
  expect(all.length).toBe(6)
  await Effect.runPromise(Effect.forEach(all, ([, body]) => body(), { concurrency: "unbounded" }))
})

// One case each: they poll on the real clock.
it.each(Object.entries(wrong))("%s is noticed", async (_, [noticedBy, says, options, faults]) => {
  const body = new Map(casesOf(options, faults)).get(noticedBy) ?? expect.fail(`there is no case "${noticedBy}"`)
  const exit = await Effect.runPromiseExit(body())
  expect(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it passed").toMatch(says)
})
