/** The chain run by a host that does the HTTP itself: what `NativeClient` and its bindings were for. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Schema } from "effect"
import { SansIo } from "keyfob"
import { Auki } from "@keyfob/auki"
import { type FakeAuki, make } from "@keyfob/auki/testing"
import { alice, base, known } from "./given.ts"

const program = (...ids: ReadonlyArray<string>) =>
  Effect.provide(
    Auki.use(({ domain }) => Effect.all(ids.map(domain), { concurrency: "unbounded" })),
    Auki.layer({ ...base, ...alice })
  )

type Request = Extract<SansIo.Action, { readonly _tag: "Request" }>
const requestsOf = ({ actions }: SansIo.Machine<unknown, unknown>) =>
  actions.filter((action): action is Request => action._tag === "Request")

/** What the host does with a request. */
const sent = (fake: FakeAuki["Service"], request: Request, now: number) =>
  Effect.map(
    fake.handle({
      method: request.method,
      path: request.url,
      headers: Redacted.value(request.headers),
      body: request.body === undefined ? "" : Redacted.value(request.body)
    }),
    ({ body, status }): SansIo.Input => ({
      now,
      id: request.id,
      status,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    })
  )

describe("sans I/O", () => {
  it.live(
    "B-08 B-42 the chain as data: a request at a time; between any two its state is JSON, of answers and chance, and has no password",
    () =>
      Effect.gen(function* () {
        const fake = make(known)
        let machine = yield* SansIo.start(program("hall"), { now: Date.now() })
        const urls: Array<string> = []
        while (machine.exit === undefined) {
          const [request] = requestsOf(machine)
          if (request === undefined) return assert.fail("it waits for nobody")
          urls.push(new URL(request.url).pathname)
          assert.lengthOf(machine.state.inputs, urls.length - 1)
          assert.notInclude(JSON.stringify(machine.state), "canary")
          const state = Schema.decodeUnknownSync(SansIo.State)(JSON.parse(JSON.stringify(machine.state)))
          machine = yield* SansIo.feed(program("hall"), state, yield* sent(fake, request, Date.now()))
        }
        assert.deepStrictEqual(urls, ["/user/login", "/service/domains-access-token", "/api/v1/domains/hall/auth"])
        assert.isTrue(Exit.isSuccess(machine.exit))
        assert.lengthOf(fake.seen, 3)
      })
  )

  it.live("B.8#2 R6 answers are matched by id: fed in another order, each is filed where it belongs", () =>
    Effect.gen(function* () {
      const fake = make(known)
      const both = program("a", "b")
      let machine = yield* SansIo.start(both, { now: Date.now() })
      while (machine.exit === undefined) {
        const [request] = requestsOf(machine).toReversed()
        if (request === undefined) return assert.fail("it waits for nobody")
        machine = yield* SansIo.feed(both, machine.state, yield* sent(fake, request, Date.now()))
      }
      const domains = Exit.isSuccess(machine.exit) ? machine.exit.value : []
      assert.deepStrictEqual(
        domains.map(({ id }) => id),
        ["a", "b"]
      )
    })
  )

  it.live("a request that got no answer, and an id that nobody waits for, leave no stale entry behind", () =>
    Effect.gen(function* () {
      const one = program("hall")
      const begun = yield* SansIo.start(one, { now: 0 })
      const stray = yield* SansIo.feed(one, begun.state, { now: 0, id: 99, status: 200, body: "{}" })
      assert.deepStrictEqual(
        requestsOf(stray).map(({ id }) => id),
        [1]
      )
      const lost = yield* SansIo.feed(one, stray.state, { now: 10, id: 1 })
      const failure = lost.exit === undefined ? undefined : Exit.isFailure(lost.exit)
      assert.isTrue(failure, "a login whose answer is lost is not sent twice by itself")
    })
  )

  it.live("time is the host's: a pause is an action, and over when the host says so", () =>
    Effect.gen(function* () {
      const one = program("hall")
      const begun = yield* SansIo.start(one, { now: 0 })
      const busy = yield* SansIo.feed(one, begun.state, { now: 100, id: 1, status: 503 })
      const pause = busy.actions.flatMap((action) => (action._tag === "Wait" ? [action.until] : []))
      assert.lengthOf(pause, 1)
      assert.deepStrictEqual(requestsOf(busy), [])
      const early = yield* SansIo.feed(one, busy.state, { now: (pause[0] ?? 0) - 1 })
      assert.deepStrictEqual(requestsOf(early), [])
      const later = yield* SansIo.feed(one, early.state, { now: pause[0] ?? 0 })
      assert.deepStrictEqual(
        requestsOf(later).map(({ id, url }) => [id, new URL(url).pathname]),
        [[2, "/user/login"]]
      )
    })
  )

  it.live("R13 what is printed of a machine's actions shows no credential", () =>
    Effect.gen(function* () {
      const { actions } = yield* SansIo.start(program("hall"), { now: 0 })
      assert.lengthOf(actions, 2)
      assert.notInclude(JSON.stringify(actions) + String(actions), "canary")
    })
  )
})
