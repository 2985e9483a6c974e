/** The contract of flows, held against flows that are wrong in one way each: a suite that passes those is none. */
import { Effect, Exit, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import {
  AuthorizationCode,
  DeviceCode,
  type Flow,
  type FlowOptions,
  LoginFailed,
  RedirectReceiver,
  UserPrompt
} from "keyfob"
import { expect, it, vi } from "vitest"
import { FlowContract } from "../src/index.ts"

type Case = () => Effect.Effect<void, unknown> | void
const cases = vi.hoisted(() => new Map<string, Case>())

// The suite registers its cases here instead of with vitest.
vi.mock("@effect/vitest", async (original) => {
  const register = (name: string, body: Case) => void cases.set(name, body)
  return {
    ...(await original<object>()),
    describe: (_: string, body: () => void) => body(),
    it: Object.assign(register, { effect: register })
  }
})

type Pending = Parameters<ReturnType<typeof AuthorizationCode.make>["complete"]>[1]
type Obtain = ReturnType<typeof AuthorizationCode.make>["obtain"]

/** A flow of somebody's own: whatever comes back to its address, it makes `forgive` of, and goes on. */
const lax =
  (forgive: (pending: Pending, answer: URL) => Pending, around = (obtain: ReturnType<Obtain>) => obtain) =>
  (options: FlowOptions) => {
    const flow = AuthorizationCode.make(options)
    const { issuer } = flow.key
    const obtain: Obtain = Effect.fnUntraced(function* (client) {
      const screen = yield* UserPrompt
      const receiver = yield* RedirectReceiver
      const { answer, redirectUri } = yield* receiver.open({ issuer, responseMode: "query", recognizes: () => true })
      const { pending, url } = yield* flow.begin(client, redirectUri)
      yield* screen.browser({ issuer, url: Redacted.value(url), redirectUri, paste: () => Effect.succeed(false) })
      const expired = () => Effect.fail(new LoginFailed({ reason: "Expired", issuer }))
      const came = new URL(
        Redacted.value(yield* Effect.timeoutOrElse(answer, { duration: "10 minutes", orElse: expired }))
      )
      const forgiven = forgive(pending, came)
      return yield* flow.complete(client, forgiven, came.href)
    })
    return { ...flow, obtain: (client: Parameters<Obtain>[0]) => around(obtain(client)) }
  }

const strict = (pending: Pending) => pending

type Make = (options: FlowOptions) => Flow<UserPrompt | RedirectReceiver>

type Polling = ReturnType<typeof DeviceCode.make>

/** A login by another screen, and what is made of it. */
const device =
  (around: (obtain: ReturnType<Polling["obtain"]>) => ReturnType<Polling["obtain"]>): Make =>
  (options) => {
    const flow = DeviceCode.make(options)
    return { ...flow, obtain: (client) => around(flow.obtain(client)) }
  }

/** One that asks for something else than its key says. */
const asking =
  (change: (options: FlowOptions) => FlowOptions): Make =>
  (options) => ({ ...DeviceCode.make(change(options)), key: DeviceCode.make(options).key })

const keeps = "keeps who signed in and what renews it, where that was asked for"
const believes = "believes no answer that is not to its own request"

const wrong: Readonly<Record<string, readonly [noticedBy: string, Make]>> = {
  "an audience that is not asked for": [
    "asks for what else its key says",
    asking(({ audience: _audience, ...options }) => options)
  ],
  "one scope more": [
    "asks for the scopes in its key, and for no others",
    asking((options) => ({ ...options, scopes: [...(options.scopes ?? []), "profile"] }))
  ],
  "an answer that is kept": [
    "obtains a token the provider accepts, as often as it is asked",
    (options) => {
      const flow = DeviceCode.make(options)
      const obtained = new Map<string, ReturnType<Polling["obtain"]>>()
      const obtain: Polling["obtain"] = (client) =>
        obtained.get("") ??
        Effect.tap(flow.obtain(client), (one) => Effect.sync(() => obtained.set("", Effect.succeed(one))))
      return { ...flow, obtain }
    }
  ],
  "a refresh token that is lost": [keeps, device(Effect.map(({ refreshToken: _refreshToken, ...rest }) => rest))],
  "an ID token that is lost": [keeps, device(Effect.map(({ idToken: _idToken, ...rest }) => rest))],
  "one that cannot be stopped": [
    "ends at once when it is cancelled while it waits for the provider, and asks nothing more",
    device(Effect.uninterruptible)
  ],
  "one that goes on in the background": [
    "ends at once when it is cancelled while it waits for the person, and asks nothing more",
    device((obtain) => Effect.flatMap(Effect.forkDetach(obtain), Fiber.join))
  ],
  "a state that is not compared": [
    believes,
    lax((pending, { searchParams }) => ({ ...pending, state: Redacted.make(searchParams.get("state") ?? "") }))
  ],
  "an issuer that is not compared": [
    believes,
    lax((pending, { searchParams }) => {
      searchParams.set("iss", pending.issuer)
      return pending
    })
  ],
  "a nonce that is not compared": [
    believes,
    lax(
      strict,
      Effect.map((obtained) => ({ ...obtained, asked: {} }))
    )
  ],
  "a token in a span": [
    "shows no secret in what it prints, logs, traces and fails with",
    lax(
      strict,
      Effect.tap(({ token }) => Effect.annotateCurrentSpan("token", Redacted.value(token.value)))
    )
  ]
}

/** The cases a flow fails, by what they say. */
const failing = async (make: Make) => {
  cases.clear()
  FlowContract.suite("test", make)
  const found: Array<string> = []
  for (const [name, body] of cases) {
    const run = Effect.suspend(() => body() ?? Effect.void).pipe(
      Effect.provide(TestClock.layer()),
      Effect.timeout("20 seconds")
    )
    if (Exit.isFailure(await Effect.runPromiseExit(run))) found.push(name)
  }
  return found
}

it("a flow that is right passes", async () => {
  expect(await failing(lax(strict))).toEqual([])
  expect(await failing(AuthorizationCode.make)).toEqual([])
})

it.each(Object.entries(wrong))(
  "%s is noticed",
  async (_, [noticedBy, make]) => {
    expect(await failing(make)).toContain(noticedBy)
  },
  120_000
)
