/** The contract of flows, held against flows that are wrong in one way each: a suite that passes those is none. */
import { Effect, Exit, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { AuthorizationCode, type FlowOptions, LoginFailed, RedirectReceiver, UserPrompt } from "keyfob"
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
const believes = "believes no answer that is not to its own request"

const wrong: Readonly<
  Record<string, readonly [noticedBy: string, (options: FlowOptions) => ReturnType<ReturnType<typeof lax>>]>
> = {
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
const failing = async (make: (options: FlowOptions) => ReturnType<ReturnType<typeof lax>>) => {
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
