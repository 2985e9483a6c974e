import { assert, it } from "@effect/vitest"
import { isBefore, later } from "../src/Moment.ts"

it("a wait is over when either clock says so: the wall clock was set back, or the steady one stood still", () => {
  const now = { wall: 5000, steady: 100 }
  const end = later(now, 1000)
  assert.isTrue(isBefore({ wall: 5999, steady: 1099 }, end))
  assert.isFalse(isBefore({ wall: -86_400_000, steady: 1100 }, end), "set back")
  assert.isFalse(isBefore({ wall: 6000, steady: 100 }, end), "asleep")
})
