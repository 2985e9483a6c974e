import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Equal, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { AccessToken } from "keyfob"
import { inspect } from "node:util"

const token = (expiresAt?: number) =>
  AccessToken.make({
    value: Redacted.make("canary"),
    type: "Bearer",
    scopes: ["a"],
    ...(expiresAt === undefined ? {} : { expiresAt: DateTime.makeUnsafe(expiresAt) })
  })

describe("AccessToken", () => {
  it.effect("is expired from its end on, to the millisecond", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(999)
      assert.isFalse(yield* token(1000).isExpired())
      yield* TestClock.setTime(1000)
      assert.isTrue(yield* token(1000).isExpired())
    })
  )

  it.effect("without a known end never is", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(8.64e15)
      assert.isFalse(yield* token().isExpired())
    })
  )

  it("equals another with the same contents, and no other", () => {
    assert.isTrue(Equal.equals(token(1), token(1)))
    assert.isFalse(Equal.equals(token(1), token(2)))
    assert.isFalse(Equal.equals(token(1), AccessToken.make({ ...token(1), value: Redacted.make("another") })))
  })

  it("X-23 is shown without its value, alone and in its header", () => {
    for (const shown of [token(1), token(1).authorization]) {
      assert.notInclude(`${String(shown)} ${JSON.stringify(shown)} ${inspect(shown, { depth: 9 })}`, "canary")
    }
    assert.strictEqual(Redacted.value(token().authorization), "Bearer canary")
  })

  it.effect.prop("through JSON and back is the same token", { token: AccessToken }, ({ token }) =>
    Effect.gen(function* () {
      const codec = Schema.fromJsonString(Schema.toCodecJson(AccessToken))
      const text = yield* Schema.encodeEffect(codec)(token)
      const copy = yield* Schema.decodeEffect(codec)(text)
      assert.isTrue(Equal.equals(copy, token))
      assert.strictEqual(Redacted.value(copy.value), Redacted.value(token.value))
      assert.strictEqual(yield* Schema.encodeEffect(codec)(copy), text)
    })
  )
})
