import { assert, it } from "@effect/vitest"
import { DateTime } from "effect"
import { relative } from "../src/text/time.ts"

it.each([
  [400, "now"],
  [-400, "now"],
  [-600, "1 s ago"],
  [119_000, "in 119 s"],
  [120_000, "in 2 min"],
  [-7_200_000, "2 h ago"],
  [172_800_000, "in 2 d"]
])("an instant %d ms away is %s", (away, words) => {
  assert.strictEqual(relative(DateTime.makeUnsafe(1_000_000_000_000 + away), 1_000_000_000_000), words)
})
