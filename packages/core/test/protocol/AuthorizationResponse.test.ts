import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { afterEach, vi } from "vitest"
import { isTo } from "../../src/protocol/AuthorizationResponse.ts"

const state = "a".repeat(43)

/** How many bytes are read to tell whether an answer with this state is ours: time is not measured. */
const workFor = (given: string) => {
  let reads = 0
  const encode = TextEncoder.prototype.encode
  vi.spyOn(TextEncoder.prototype, "encode").mockImplementation(function (this: TextEncoder, text) {
    return new Proxy(encode.call(this, text), {
      get: (bytes, name) => {
        if (/^\d+$/.test(String(name))) reads++
        return Reflect.get(bytes, name)
      }
    })
  })
  const isOurs = isTo(Redacted.make(state), `/callback?code=x&state=${given}`)
  vi.restoreAllMocks()
  return { isOurs, reads }
}

describe("the state of an answer", () => {
  afterEach(() => vi.restoreAllMocks())

  it("C-18 attack: guessing it byte by byte, each guess is the same work, however near it comes", () => {
    const every = 2 * state.length // its own, and those that were given
    assert.deepStrictEqual(workFor(state), { isOurs: true, reads: every })
    for (const at of [0, 1, 21, 41, 42]) {
      const given = `${state.slice(0, at)}b${state.slice(at + 1)}`
      assert.deepStrictEqual(workFor(given), { isOurs: false, reads: every }, `differs at ${at}`)
    }
    assert.deepStrictEqual(workFor("b".repeat(43)), { isOurs: false, reads: every })
  })

  it("C-18 of another length, doubled or missing, it is none", () => {
    for (const given of [state.slice(1), `${state}a`, "", `${state}&state=${state}`]) {
      assert.isFalse(workFor(given).isOurs, given)
    }
    assert.isFalse(isTo(Redacted.make(state), "/callback?code=x"))
  })
})
