/** A few kills of packages/bench/src/reliability/rotations.ts; docs/reliability.md has the figures of many. Needs a build. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { rotations } from "../../src/reliability/rotations.ts"

for (const provider of ["strict", "lenient"] as const) {
  it.live(
    `R3 X-11 (law 1: replayed once, where X-11 says never) killed at random instants, ${provider} provider: the old generation or the new one, never none`,
    () =>
      Effect.gen(function* () {
        const tally = yield* rotations(provider, "file", 40)
        assert.deepStrictEqual(tally.broken, [])
        assert.isAtLeast(tally.rotations, 40)
        assert.isAtLeast(tally.kills, 4)
        if (provider === "lenient") assert.strictEqual(tally.logins, 0)
      }),
    300_000
  )
}
