import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { configuredUrl } from "keyfob"

describe("a URL that somebody configured", () => {
  const unusable: ReadonlyArray<readonly [string, string]> = [
    ["", "InvalidValue"],
    ["api.example.com", "InvalidValue"],
    ["https:/canary", "InvalidValue"],
    ["https://", "InvalidValue"],
    ["https:///canary.example.com", "InvalidValue"],
    ["https://can%61ry.example.com", "InvalidValue"],
    ["https://alice:canary@api.example.com", "InvalidValue"],
    ["https://canary@api.example.com", "InvalidValue"],
    ["https://api.example.com\\@canary", "InvalidValue"],
    ["https://api.example.com/?canary", "InvalidValue"],
    ["https://api.example.com/#canary", "InvalidValue"],
    [" https://api.example.com/canary", "InvalidValue"],
    ["https://api.example.com/\ncanary", "InvalidValue"],
    ["http://api.example.com/login", "InsecureUrl"],
    ["http://127.0.0.1.example.com", "InsecureUrl"],
    ["ftp://api.example.com", "InsecureUrl"]
  ]
  it.effect.each(unusable)("%j is %s: the setting is named, what may be a password is not", ([text, reason]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(configuredUrl("login_url", text))
      assert.strictEqual(error.reason, reason)
      assert.include(error.message, "login_url")
      assert.notInclude(error.message, "canary")
    })
  )

  it.effect.each([
    "https://api.example.com",
    "https://api.example.com/a/b",
    "https://api.example.com/a%20b//c",
    "http://127.0.0.1:8080/",
    "http://[::1]/x"
  ])("%s is one", (text) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* configuredUrl("login_url", text)).href, new URL(text).href)
    })
  )
})
