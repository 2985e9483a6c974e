import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { CredentialStore, DeviceCode, type DeviceCodePrompt, Login, UserPrompt } from "keyfob"
import {
  answer,
  broken,
  hanging,
  issuer,
  json,
  metadata,
  openIdLocation,
  provider,
  refused,
  type Reply,
  scripted,
  status
} from "../scripted.ts"

const flow = DeviceCode.make({ issuer, clientId: "app", scopes: ["openid", "offline_access"] })
const device = {
  device_code: "device-secret",
  user_code: "BCDF-GHJK",
  verification_uri: `${issuer}/activate`,
  expires_in: 600
}
const pending = refused("authorization_pending")
const slowDown = refused("slow_down")
const granted = json({ access_token: "access", token_type: "Bearer", expires_in: 3600, refresh_token: "refresh" })

/** A login under way: who is asked, what they were shown, how it ends. */
const begin = Effect.fnUntraced(function* (
  polls: Reply | ReadonlyArray<Reply>,
  options: {
    readonly device?: object
    readonly script?: Readonly<Record<string, Reply>>
    readonly flow?: typeof flow
  } = {}
) {
  const http = scripted({
    ...provider,
    [metadata.device_authorization_endpoint]: json({ ...device, ...options.device }),
    [metadata.token_endpoint]: polls,
    ...options.script
  })
  const shown: Array<DeviceCodePrompt> = []
  const ended = yield* Deferred.make<void>()
  const prompt = Layer.mock(UserPrompt, {
    deviceCode: (prompt) =>
      Effect.andThen(
        Effect.sync(() => shown.push(prompt)),
        Effect.addFinalizer(() => Deferred.succeed(ended, undefined))
      )
  })
  const fiber = yield* Login.login(options.flow ?? flow).pipe(
    Effect.provide([http.layer, CredentialStore.layerMemory, prompt]),
    Effect.forkChild
  )
  yield* TestClock.adjust(0)
  const polledAt = () => http.to(metadata.token_endpoint).map(({ at }) => at / 1000)
  return { http, shown, ended, fiber, polledAt }
})

/** A second at a time, so that each answer is read before the next wait begins. */
const seconds = (count: number) => Effect.repeat(TestClock.adjust("1 second"), { times: count - 1 })

describe("DeviceCode", () => {
  it.effect("A-11 polls until tokens arrive, first after the interval; A-14 brings both tokens", () =>
    Effect.gen(function* () {
      const { fiber, http, polledAt } = yield* begin([pending, pending, granted])
      yield* seconds(15)
      const credential = yield* Fiber.join(fiber)
      assert.deepStrictEqual(polledAt(), [5, 10, 15])
      assert.deepInclude(http.to(metadata.token_endpoint)[0]?.form, {
        grant_type: "urn:ietf:params:oauth:grant-type:device_code",
        device_code: "device-secret",
        client_id: "app"
      })
      assert.strictEqual(credential.generation, 1)
      assert.isDefined(credential.refreshToken)
      assert.deepStrictEqual(credential.token.scopes, ["openid", "offline_access"])
    })
  )

  it.effect("R8 the provider's interval is kept to, and 5 seconds where it names none", () =>
    Effect.gen(function* () {
      const named = yield* begin([pending, granted], { device: { interval: 7 } })
      const silent = yield* begin([pending, granted], { device: { interval: null } })
      yield* seconds(14)
      assert.deepStrictEqual(named.polledAt(), [7, 14])
      assert.deepStrictEqual(silent.polledAt(), [5, 10])
    })
  )

  it.effect("R8 each slow_down adds 5 seconds for good", () =>
    Effect.gen(function* () {
      const { fiber, polledAt } = yield* begin([slowDown, pending, slowDown, pending, granted])
      yield* seconds(5 + 10 + 10 + 15 + 15)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(polledAt(), [5, 15, 25, 40, 55])
    })
  )

  it.effect("A-09 shows the code and the page; the complete page only where the provider gives one", () =>
    Effect.gen(function* () {
      const bare = yield* begin(pending)
      const complete = yield* begin(pending, { device: { verification_uri_complete: `${issuer}/activate?code=BCDF` } })
      const [prompt] = bare.shown
      assert.deepInclude(prompt, { issuer, userCode: "BCDF-GHJK", verificationUri: `${issuer}/activate`, interval: 5 })
      assert.isFalse(Object.hasOwn(prompt ?? {}, "verificationUriComplete"))
      assert.isFalse(Object.hasOwn(prompt ?? {}, "deviceCode"))
      assert.strictEqual(prompt?.expiresAt.epochMilliseconds, 600_000)
      assert.strictEqual(complete.shown[0]?.verificationUriComplete, `${issuer}/activate?code=BCDF`)
    })
  )

  it.effect("R8 ends as Expired when expires_in has passed, counted from the request and not from its answer", () =>
    Effect.gen(function* () {
      const slow: Reply = (request) => Effect.delay(json({ ...device, expires_in: 30 })(request), "10 seconds")
      const { fiber, polledAt } = yield* begin(pending, { script: { [metadata.device_authorization_endpoint]: slow } })
      yield* seconds(29)
      assert.isUndefined(fiber.pollUnsafe())
      yield* seconds(1)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude(error, { _tag: "LoginFailed", reason: "Expired", issuer })
      assert.deepStrictEqual(polledAt(), [15, 20, 25])
    })
  )

  it.effect("the time discovery takes is not taken from the code", () =>
    Effect.gen(function* () {
      const slow: Reply = (request) => Effect.delay(json(metadata)(request), "10 seconds")
      const { shown } = yield* begin(pending, { script: { [openIdLocation]: slow } })
      yield* seconds(10)
      assert.strictEqual(shown[0]?.expiresAt.epochMilliseconds, 610_000)
    })
  )

  it.effect.each([
    ["access_denied", "Denied"],
    ["expired_token", "Expired"]
  ] as const)("R8 %s ends the login as a typed %s", ([code, reason]) =>
    Effect.gen(function* () {
      const { ended, fiber, polledAt } = yield* begin([pending, refused(code)])
      yield* seconds(10)
      assert.deepInclude(yield* Effect.flip(Fiber.join(fiber)), { _tag: "LoginFailed", reason })
      assert.lengthOf(polledAt(), 2)
      yield* Deferred.await(ended)
    })
  )

  it.effect.each([
    ["a refused connection", broken("ECONNREFUSED")],
    ["a reset", broken("ECONNRESET")],
    ["a 503", status(503)],
    ["a 429", status(429)],
    ["no answer in time", hanging]
  ] as const)("R8 a poll that meets %s is repeated within the code's lifetime, later each time", ([, trouble]) =>
    Effect.gen(function* () {
      const { fiber, polledAt } = yield* begin([pending, trouble, trouble, pending, granted])
      yield* seconds(100)
      yield* Fiber.join(fiber)
      const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0] = polledAt()
      assert.isAtLeast(third - second, 10)
      assert.isAtLeast(fourth - third, 20)
      assert.deepStrictEqual([second - first, fifth - fourth], [5, 5])
    })
  )

  it.effect("R8 an answer ends the backoff: the next trouble starts with a short one", () =>
    Effect.gen(function* () {
      const lost = broken("ECONNRESET")
      const { fiber, polledAt } = yield* begin([lost, lost, pending, lost, granted])
      yield* seconds(50)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(polledAt(), [5, 15, 35, 40, 50])
    })
  )

  it.effect("R8 trouble that lasts ends with the code, as Expired", () =>
    Effect.gen(function* () {
      const { fiber } = yield* begin(broken("ENETUNREACH"), { device: { expires_in: 60 } })
      yield* seconds(60)
      assert.deepInclude(yield* Effect.flip(Fiber.join(fiber)), { _tag: "LoginFailed", reason: "Expired" })
    })
  )

  it.effect("A-17 any other refusal ends the login at once", () =>
    Effect.gen(function* () {
      const { fiber, polledAt } = yield* begin([refused("invalid_client", 401)])
      yield* seconds(5)
      assert.deepInclude(yield* Effect.flip(Fiber.join(fiber)), { _tag: "ProviderRefused", reason: "InvalidClient" })
      assert.lengthOf(polledAt(), 1)
    })
  )

  it.effect("A-13 a refused device authorization is typed, and nobody is shown anything", () =>
    Effect.gen(function* () {
      const { fiber, shown } = yield* begin([], {
        script: { [metadata.device_authorization_endpoint]: refused("unauthorized_client") }
      })
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude(error, {
        _tag: "ProviderRefused",
        reason: "UnauthorizedClient",
        endpoint: "device_authorization"
      })
      assert.lengthOf(shown, 0)
    })
  )

  it.effect("R8 is cancelled at once, between polls and while one is under way; the prompt is told", () =>
    Effect.gen(function* () {
      const waiting = yield* begin([])
      yield* Fiber.interrupt(waiting.fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(waiting.fiber)))
      yield* Deferred.await(waiting.ended)
      assert.lengthOf(waiting.polledAt(), 0)

      const asking = yield* begin([hanging])
      yield* seconds(5)
      assert.lengthOf(asking.polledAt(), 1)
      yield* Fiber.interrupt(asking.fiber)
      yield* Deferred.await(asking.ended)
      yield* seconds(60)
      assert.lengthOf(asking.polledAt(), 1)
    })
  )

  it.effect("asks for scope, audience, resource and parameters; parameters cannot replace the flow's own", () =>
    Effect.gen(function* () {
      const { http } = yield* begin(pending, {
        flow: DeviceCode.make({
          issuer,
          clientId: "app",
          scopes: ["a", "b"],
          audience: "https://api.example",
          resource: ["https://files.example"],
          params: { organization: "acme", scope: "everything", audience: "https://other.example" }
        })
      })
      assert.deepStrictEqual(http.to(metadata.device_authorization_endpoint)[0]?.form, {
        client_id: "app",
        scope: "a b",
        audience: "https://api.example",
        resource: "https://files.example",
        organization: "acme"
      })
    })
  )

  it.effect("a page that is no https page is never shown", () =>
    Effect.gen(function* () {
      const { fiber, shown } = yield* begin([], { device: { verification_uri: "http://id.example/activate" } })
      assert.deepInclude(yield* Effect.flip(Fiber.join(fiber)), { _tag: "AnswerRejected", reason: "InsecureEndpoint" })
      assert.lengthOf(shown, 0)
    })
  )

  it.effect.each([
    ["half an answer", answer('{"access_tok', { headers: { "content-type": "application/json" } })],
    ["a sign-in page of the network", answer("<html>", { headers: { "content-type": "text/html" } })]
  ] as const)("R8 a poll that meets %s is repeated too", ([, trouble]) =>
    Effect.gen(function* () {
      const { fiber, polledAt } = yield* begin([trouble, granted])
      yield* seconds(15)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(polledAt(), [5, 15])
    })
  )

  it.effect("R8 Retry-After is waited for, within the deadline", () =>
    Effect.gen(function* () {
      const { fiber, polledAt } = yield* begin([status(429, { "retry-after": "40" }), pending, granted])
      yield* seconds(50)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(polledAt(), [5, 45, 50])
      const late = yield* begin([status(503, { "retry-after": "3600" })])
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* Effect.flip(Fiber.join(late.fiber)), { _tag: "LoginFailed", reason: "Expired" })
      assert.lengthOf(late.polledAt(), 1)
    })
  )

  it.effect("A-62 an interval of 0 is no reason to hammer a provider", () =>
    Effect.gen(function* () {
      const { polledAt } = yield* begin([pending, pending, granted], { device: { interval: 0 } })
      yield* seconds(3)
      assert.deepStrictEqual(polledAt(), [1, 2, 3])
    })
  )

  it.effect("A-62 nor one that does not answer", () =>
    Effect.gen(function* () {
      const { polledAt } = yield* begin([broken("ECONNREFUSED"), broken("ECONNREFUSED"), granted], {
        device: { interval: 0 }
      })
      yield* seconds(7)
      assert.deepStrictEqual(polledAt(), [1, 3, 7])
    })
  )
})
