import { assert, it } from "@effect/vitest"
import { stringify } from "../src/output.ts"

it("JSON holds nothing that a terminal obeys, and reads as it was", () => {
  const claims = { sub: "\u001b[2J", name: "\u009b31m", email: "\u202egro.elpmaxe", note: "\u007f\u2028\u2066é" }
  const text = stringify(claims)
  // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
  assert.notMatch(text, /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/)
  assert.deepStrictEqual(JSON.parse(text), claims)
})
