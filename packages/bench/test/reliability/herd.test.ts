/** A few rounds of packages/bench/src/reliability/herd.ts; docs/reliability.md has the figures of many. Needs a build. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { herd, isSound } from "../../src/reliability/herd.ts"

const rows = [
  ["keyfob", 1, 64],
  ["file", 3, 32]
] as const

for (const [who, rounds, processes] of rows) {
  it.live(
    `R2 R3 ${processes} processes at once with one expired credential (${who}), rotation and reuse detection on: one refresh, nobody is logged out`,
    () =>
      Effect.gen(function* () {
        const all = yield* herd(who, { rounds, processes })
        assert.lengthOf(all, rounds)
        for (const round of all) assert.isTrue(isSound(processes)(round), JSON.stringify(round))
      }),
    300_000
  )
}
