/**
 * Keyfob under random programs (Program.ts), held against its laws (Witness.ts). The long run is
 * `node packages/testing/test/model-based/long.ts 10000000`.
 */
import { assert, describe, it } from "vitest"
import { explore } from "./explore.ts"
import { found } from "./found.ts"
import { run } from "./run.ts"

describe("random programs of logins, refreshes, crashes and faults", () => {
  it("100,000 steps break no law", { timeout: 600_000 }, async () => {
    const report = await explore({ seed: "ci", steps: 100_000 })
    assert.isFalse(report.failed, report.text)
    assert.isAtLeast(report.steps, 100_000)
  })

  it("the same seed gives the same run", { timeout: 120_000 }, async () => {
    const twice = [await explore({ seed: "same", steps: 2000 }), await explore({ seed: "same", steps: 2000 })]
    assert.deepStrictEqual(twice[0], twice[1])
  })
})

describe("what the model found", () => {
  for (const { program, seed, what } of found) {
    it(`${seed}: ${what}`, async () => assert.isUndefined((await run(program)).violation))
  }
})
