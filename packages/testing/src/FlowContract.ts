/**
 * What every flow must do, as a test suite for vitest: run it over a flow of your own.
 *
 * ```ts
 * import { FlowContract } from "@keyfob/testing"
 *
 * FlowContract.suite("badge", (options) => Badge.make(options), { flow: { clientId: "badge" } })
 * ```
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import {
  CredentialStore,
  type Flow,
  type FlowOptions,
  Login,
  type RedirectReceiver,
  TokenSource,
  type UserPrompt
} from "keyfob"
import * as Fault from "./Fault.ts"
import * as Device from "./model/Device.ts"
import { clients, type ProviderOptions } from "./model/Settings.ts"
import { patiently } from "./patiently.ts"
import { printed } from "./printed.ts"
import { refused } from "./refused.ts"
import { SimulatedPerson } from "./SimulatedPerson.ts"
import { SimulatedProvider } from "./SimulatedProvider.ts"

export interface Options {
  /** What the flow is made from, where it is not the simulated provider's public client with `openid offline_access`. */
  readonly flow?: Partial<FlowOptions>
  /** The provider it is made for. */
  readonly provider?: ProviderOptions
}

/** Nothing that is printed may contain it. */
const canary = "canary-7c2e51"

/** Registers the suite under `name`. `make` makes the flow; every case has a provider of its own, under the test clock. */
export const suite = (
  name: string,
  make: (options: FlowOptions) => Flow<UserPrompt | RedirectReceiver>,
  { flow: given = {}, provider = {} }: Options = {}
): void => {
  const base: FlowOptions = {
    issuer: provider.issuer ?? "https://id.simulated.test",
    clientId: clients.cli.client_id,
    scopes: ["openid", "offline_access"],
    ...given
  }
  const flow = make(base)
  const layer = Layer.merge(SimulatedPerson.layer(), CredentialStore.layerMemory).pipe(
    Layer.provideMerge(SimulatedProvider.layer(provider))
  )
  const login = (one = flow) => patiently(Login.login(one), "2 hours")
  const refusal = (one = flow) => refused(login(one), "the login went well")

  describe(`Flow contract: ${name}`, () => {
    it.effect("asks nobody when it is made", () =>
      Effect.gen(function* () {
        make(base)
        assert.deepStrictEqual(yield* (yield* SimulatedProvider).requests, [])
      }).pipe(Effect.provide(layer))
    )

    it("has equal keys for equal options, and another for all that shapes the token", () => {
      const { key } = flow
      assert.deepInclude(key, { issuer: base.issuer, clientId: base.clientId })
      assert.strictEqual(key.subject, flow.attended ? "user" : "client")
      assert.strictEqual(make({ ...base }).key.canonical, key.canonical)
      const scopes = base.scopes ?? []
      assert.strictEqual(make({ ...base, scopes: [...scopes].reverse() }).key.canonical, key.canonical)
      const others: ReadonlyArray<Partial<FlowOptions>> = [
        { issuer: "https://other.example" },
        { clientId: `${base.clientId}-2` },
        { account: "somebody else" },
        { scopes: [...scopes, "one-more"] },
        { audience: "https://api.example" },
        { resource: ["https://files.example"] },
        { params: { tenant: "a" } },
        { params: { tenant: "b" } }
      ]
      const seen = [key.canonical]
      for (const other of others) {
        const { canonical } = make({ ...base, ...other }).key
        assert.notInclude(seen, canonical, `${JSON.stringify(other)} has no key of its own`)
        seen.push(canonical)
      }
    })

    it.effect("obtains a token the provider accepts, as often as it is asked", () =>
      Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        yield* idp.approve("alice")
        const first = yield* login()
        const second = yield* login()
        for (const { key, token } of [first, second]) {
          assert.isTrue(yield* idp.accepts(token), "the provider does not know the token")
          assert.strictEqual(key.canonical, flow.key.canonical)
        }
        assert.strictEqual(second.generation, first.generation + 1)
        const [one, other] = [first, second].map(({ token }) => Redacted.value(token.value))
        assert.notStrictEqual(one, other, "the second login brought the token of the first")
      }).pipe(Effect.provide(layer))
    )

    it.effect("asks for the scopes in its key, and for no others", () =>
      Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        yield* idp.approve("alice")
        yield* login()
        const asked = (yield* idp.requests).flatMap(({ params: { scope } }) =>
          typeof scope === "string" ? [scope.split(" ")] : []
        )
        for (const scopes of asked) assert.includeMembers([...flow.key.scopes], scopes)
        assert.includeMembers(asked.flat(), [...flow.key.scopes])
      }).pipe(Effect.provide(layer))
    )

    it.effect("asks for what else its key says", () =>
      Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        yield* idp.approve("alice")
        const asked: Readonly<Record<string, Partial<FlowOptions>>> = {
          "https://audience.example": { audience: "https://audience.example" },
          "https://resource.example": { resource: ["https://resource.example"] },
          "tenant-7c2e51": { params: { ...base.params, tenant: "tenant-7c2e51" } }
        }
        for (const [value, options] of Object.entries(asked)) {
          yield* login(make({ ...base, ...options }))
          // By whichever name: the provider may have its own.
          const said = (yield* idp.requests)
            .flatMap(({ params }) => Object.values(params))
            .map((param) => (Redacted.isRedacted(param) ? Redacted.value(param) : param))
          assert.include(said, value, `no request says ${JSON.stringify(options)}`)
        }
      }).pipe(Effect.provide(layer))
    )

    if (flow.attended) {
      it.effect("believes no answer that is not to its own request", () =>
        Effect.gen(function* () {
          const idp = yield* SimulatedProvider
          yield* idp.approve("alice")
          yield* login()
          const asked = yield* idp.requests
          // A device asks for its answer itself: nobody can bring it another.
          if (!asked.some(({ endpoint }) => endpoint === "authorization")) return
          const lies = [
            Fault.onRequest({ endpoint: "authorization" }, Fault.callback({ state: "another" })),
            Fault.onRequest({ endpoint: "authorization" }, Fault.callback({ iss: "https://another.example" })), // RFC 9207
            ...(asked.some(({ params }) => params["nonce"] !== undefined)
              ? [Fault.onRequest({ endpoint: "token" }, Fault.idToken({ claims: { nonce: "another" } }))]
              : [])
          ]
          for (const lie of lies) {
            yield* idp.faults(lie)
            const believed = Exit.isSuccess(yield* Effect.exit(login()))
            assert.isFalse(believed, `it believed an answer with ${JSON.stringify(lie)}`)
          }
        }).pipe(Effect.provide(layer))
      )

      it.effect("keeps who signed in and what renews it, where that was asked for", () =>
        Effect.gen(function* () {
          yield* (yield* SimulatedProvider).approve("alice")
          const { account, refreshToken } = yield* login()
          const { scopes } = flow.key
          if (scopes.includes("openid")) assert.strictEqual(account?.sub, "alice", "whom the ID token names")
          if (!scopes.includes("offline_access")) return
          assert.isDefined(refreshToken, "the refresh token")
          const renewed = yield* Effect.scoped(Effect.flatMap(TokenSource.make(flow), ({ renew }) => patiently(renew)))
          assert.strictEqual(renewed.outcome, "renewed")
        }).pipe(Effect.provide(layer))
      )

      it.effect("asks no oftener than it is told to, by the interval and by slow_down", () =>
        Effect.gen(function* () {
          const idp = yield* SimulatedProvider
          yield* idp.approve("alice", { after: "1 minute" })
          yield* idp.faults(
            Fault.onRequest(
              { grant: Device.grantType, nth: 2 },
              Fault.answer({ status: 400, body: { error: "slow_down" } })
            )
          )
          // However it ends.
          yield* Effect.exit(login())
          const polls = (yield* idp.requests).filter(({ grant }) => grant === Device.grantType)
          const interval = Duration.toMillis(provider.deviceInterval ?? "5 seconds")
          polls.slice(1).forEach(({ at }, index) => {
            const pause = at.epochMilliseconds - (polls[index]?.at.epochMilliseconds ?? 0)
            assert.isAtLeast(pause, interval + (index < 2 ? 0 : 5000), `milliseconds before request ${index + 2}`)
          })
        }).pipe(Effect.provide(layer))
      )

      it.effect("says that the person said no", () =>
        Effect.gen(function* () {
          yield* (yield* SimulatedProvider).deny("alice", { after: "20 seconds" })
          const error = yield* refusal()
          assert.deepStrictEqual([error._tag, error.reason], ["LoginFailed", "Denied"])
        }).pipe(Effect.provide(layer))
      )

      it.effect("ends by itself when nobody answers", () =>
        Effect.gen(function* () {
          const error = yield* refusal()
          assert.deepStrictEqual([error._tag, error.reason], ["LoginFailed", "Expired"])
          assert.isAtMost(yield* Clock.currentTimeMillis, 3_600_000)
        }).pipe(Effect.provide(layer))
      )
    }

    it.effect("says that the provider does not know the client", () =>
      Effect.gen(function* () {
        const error = yield* refusal(make({ ...base, clientId: "nobody-knows-me" }))
        // A page in a browser says it to the person, and nothing comes back from there (RFC 6749 section 4.1.2.1).
        const isPage = (yield* (yield* SimulatedProvider).requests).some(({ endpoint }) => endpoint === "authorization")
        assert.strictEqual(error._tag, isPage ? "LoginFailed" : "ProviderRefused")
      }).pipe(Effect.provide(layer))
    )

    it.effect("says that the provider cannot be reached, in bounded time, and works once it can", () =>
      Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        yield* idp.approve("alice")
        yield* idp.outage({ for: "1 hour" })
        const error = yield* refusal()
        assert.strictEqual(error._tag, "ProviderUnavailable")
        assert.isAtMost(yield* Clock.currentTimeMillis, 600_000)
        yield* idp.recover
        assert.isTrue(yield* idp.accepts((yield* login()).token))
      }).pipe(Effect.provide(layer))
    )

    // A machine waits for nothing but the provider.
    const waiting = { "for the provider": Fault.hang, ...(flow.attended ? { "for the person": undefined } : {}) }
    for (const [what, fault] of Object.entries(waiting)) {
      it.effect(`ends at once when it is cancelled while it waits ${what}, and asks nothing more`, () =>
        Effect.gen(function* () {
          const idp = yield* SimulatedProvider
          if (fault !== undefined) yield* idp.faults(Fault.onRequest({ endpoint: "token", times: 1000 }, fault))
          // Detached, both: the test would wait for what cannot be stopped.
          const running = yield* Effect.forkDetach(Login.login(flow))
          yield* TestClock.adjust("7 seconds")
          yield* Effect.forkDetach(Fiber.interrupt(running))
          yield* TestClock.adjust(0)
          const exit = running.pollUnsafe()
          assert.isDefined(exit, "it goes on")
          const interrupted = exit !== undefined && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
          assert.isTrue(interrupted, "it ended before, or otherwise")
          const { length } = yield* idp.requests
          assert.isAbove(length, 0)
          yield* TestClock.adjust("1 hour")
          assert.lengthOf(yield* idp.requests, length, "it has asked after its end")
        }).pipe(Effect.provide(layer))
      )
    }

    it.effect("shows no secret in what it prints, logs, traces and fails with", () =>
      Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        const secrets = [canary]
        const note = (...found: ReadonlyArray<unknown>) => {
          for (const secret of found) {
            // With its scheme an authorization would not be found where it stands without.
            if (Redacted.isRedacted(secret)) secrets.push(String(Redacted.value(secret)).replace(/^\w+ /, ""))
          }
        }
        const watched = printed(
          Effect.tap(login(), ({ idToken, refreshToken, token }) =>
            Effect.sync(() => note(idToken, refreshToken, token.value))
          )
        )
        yield* idp.approve("alice")
        const texts = [yield* watched]
        for (const status of [200, 400, 500]) {
          const body = { error: "invalid_grant", error_description: canary, access_token: [canary] }
          yield* idp.faults(Fault.onRequest({ endpoint: "token", times: 9 }, Fault.answer({ status, body })))
          texts.push(yield* watched)
          yield* idp.recover
        }
        yield* idp.deny("alice")
        texts.push(yield* watched)
        for (const { authorization, params } of yield* idp.requests) note(authorization, ...Object.values(params))
        assert.isAbove(secrets.length, 2)
        for (const secret of secrets) assert.notInclude(texts.join("\n"), secret)
      }).pipe(Effect.provide(layer))
    )
  })
}
