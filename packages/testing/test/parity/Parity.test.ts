import { assert, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { type Difference, differences } from "./differences.ts"
import { moreClients, scenarios, type Seen } from "./scenarios.ts"
import { certified, inMemory, simulated, type Subject } from "./Subject.ts"

class Both extends Context.Service<
  Both,
  {
    readonly ours: Context.Context<Subject | HttpClient.HttpClient>
    readonly theirs: Context.Context<Subject | HttpClient.HttpClient>
  }
>()("test/Both") {
  static readonly layer = Layer.effect(
    Both,
    Effect.flatMap(moreClients, (clients) =>
      Effect.all({ ours: Layer.build(simulated(clients)), theirs: Layer.build(certified(clients)) })
    )
  )
}

/** What is seen otherwise; of members, those that the other one does not have. */
const compare = (scenario: string, step: string, ours: Seen, theirs: Seen): Omit<Difference, "because"> | undefined => {
  const names = new Set([...Object.keys(ours), ...Object.keys(theirs)]) as Set<keyof Seen> // they have no other keys
  const differ = [...names].filter((name) => JSON.stringify(ours[name]) !== JSON.stringify(theirs[name]))
  if (differ.length === 0) return undefined
  const only = (one: Seen, other: Seen) =>
    Object.fromEntries(
      differ.map((name) => [
        name,
        name === "members" ? (one.members ?? []).filter((member) => !(other.members ?? []).includes(member)) : one[name]
      ])
    )
  return { scenario, step, ours: only(ours, theirs), theirs: only(theirs, ours) }
}

layer(Both.layer, { excludeTestServices: true })("the simulator and oidc-provider, over sockets", (it) => {
  for (const [name, scenario] of Object.entries(scenarios)) {
    it.effect(`answer alike: ${name}`, () =>
      Effect.gen(function* () {
        const both = yield* Both
        const ours = yield* Effect.provideContext(scenario, both.ours)
        const theirs = new Map(yield* Effect.provideContext(scenario, both.theirs))
        const found = ours.flatMap(([step, seen]) => compare(name, step, seen, theirs.get(step) ?? { status: 0 }) ?? [])
        const listed = differences
          .filter(({ scenario }) => scenario === name)
          .map(({ ours, scenario, step, theirs }) => ({ scenario, step, ours, theirs }))
        assert.deepStrictEqual(found, listed)
        assert.strictEqual(theirs.size, ours.length)
      })
    )
  }
})

it.effect("in memory the simulator answers as it does over a socket", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(1_800_000_000_000)
    const clients = yield* moreClients
    const bySocket = yield* Layer.build(simulated(clients))
    const byMemory = yield* Layer.build(inMemory(clients))
    for (const [name, scenario] of Object.entries(scenarios)) {
      assert.deepStrictEqual(
        yield* Effect.provideContext(scenario, byMemory),
        yield* Effect.provideContext(scenario, bySocket),
        name
      )
    }
  })
)
