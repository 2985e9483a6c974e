import { assert, it } from "vitest"
import { Redacted } from "effect"

const [one, same, other] = ["a", "a", "b"].map((text) => ({ token: Redacted.make(text) }))

it("secrets that differ are not equal to an assertion", () => {
  assert.deepStrictEqual(one, same)
  assert.throws(() => assert.deepStrictEqual(one, other))
  assert.throws(() => assert.deepInclude({ ...one, more: 1 }, other ?? {}))
  assert.strictEqual(JSON.stringify(one), '{"token":"<redacted>"}')
})
