/** A few kills of packages/bench/src/reliability/crashes.ts; docs/reliability.md has the figures of all. Needs a build. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { crashes } from "../../src/reliability/crashes.ts"

for (const provider of ["strict", "lenient"] as const) {
  it.live(
    `R3 killed right before every fifth call of the file system, ${provider} provider: the old generation or the new one, never none`,
    () =>
      Effect.gen(function* () {
        const tally = yield* crashes(provider, "file", 5)
        assert.deepStrictEqual(tally.broken, [])
        assert.isAtLeast(tally.kills, 8)
        assert.strictEqual(tally.untouched + tally.unfinished + tally.renewed, tally.kills)
        assert.strictEqual(tally.logins, provider === "strict" ? tally.answersLost : 0)
      }),
    300_000
  )
}
