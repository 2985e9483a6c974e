import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import { Assertion } from "keyfob"
import { answer, inTime, json, named, type Reply, scripted, status } from "../scripted.ts"

const at = "https://actions.example/token?run=canary-run"
const env = { ACTIONS_ID_TOKEN_REQUEST_URL: at, ACTIONS_ID_TOKEN_REQUEST_TOKEN: "canary-bearer" }
const environment = (more: Readonly<Record<string, string>>) =>
  ConfigProvider.layer(ConfigProvider.fromEnv({ env: more }))

const asked = (reply: Reply | ReadonlyArray<Reply>, source: Assertion.AssertionSource, url = at) => {
  const { layer, requests } = scripted({ [url]: reply })
  return { result: Effect.provide(inTime(source), [layer, environment(env)]), requests }
}

describe("Assertion", () => {
  it.effect("GitHub Actions is asked with the job's token, for an audience", () =>
    Effect.gen(function* () {
      const url = `${at}&audience=api%3A%2F%2Fexample`
      const source = Assertion.gitHubActions({ audience: "api://example" })
      const { requests, result } = asked(json({ count: 1, value: "a.b.c" }), source, url)
      assert.strictEqual(Redacted.value(yield* result), "a.b.c")
      assert.strictEqual(requests[0]?.headers["authorization"], "Bearer canary-bearer")
    })
  )

  it.effect("each use asks anew, and trouble that passes is waited for", () =>
    Effect.gen(function* () {
      const source = Assertion.gitHubActions()
      const { requests, result } = asked([status(503), json({ value: "a.b.1" }), json({ value: "a.b.2" })], source)
      assert.strictEqual(Redacted.value(yield* result), "a.b.1")
      assert.strictEqual(Redacted.value(yield* result), "a.b.2")
      assert.lengthOf(requests, 3)
    })
  )

  it.effect("outside of a job, what is missing is said", () =>
    Effect.gen(function* () {
      const { layer, requests } = scripted({})
      const source = Effect.provide(Assertion.gitHubActions(), [layer, environment({})])
      const error = yield* Effect.flip(source)
      assert.strictEqual(named(error), "ConfigurationInvalid.MissingValue")
      assert.include(error.message, "id-token: write")
      assert.isEmpty(requests)
    })
  )

  for (const [what, reply, expected] of [
    ["a refusal", status(401), "AnswerRejected.Malformed"],
    ["a page", answer("<html>canary", { headers: { "content-type": "text/html" } }), "AnswerRejected.NotJson"],
    ["something else", json({ token: "canary" }), "AnswerRejected.Malformed"],
    ["a redirect", status(302, { location: "https://evil.example/" }), "AnswerRejected.Redirected"],
    ["too much", json({ value: "x".repeat(600_000) }), "AnswerRejected.TooLarge"]
  ] as const) {
    it.effect(`${what} is no assertion`, () =>
      Effect.gen(function* () {
        const { requests, result } = asked(reply, Assertion.gitHubActions())
        const error = yield* Effect.flip(result)
        assert.strictEqual(named(error), expected)
        assert.notInclude(error.message, "canary")
        assert.lengthOf(requests, 1)
      })
    )
  }

  for (const url of ["http://actions.example/token", "https://user:canary@actions.example/token", "canary"]) {
    it.effect(`nobody is asked at ${url}`, () =>
      Effect.gen(function* () {
        const { requests, result } = asked(json({ value: "a.b.c" }), Assertion.url({ url }), url)
        const error = yield* Effect.flip(result)
        assert.strictEqual(error._tag, "ConfigurationInvalid")
        assert.notInclude(error.message, "canary")
        assert.isEmpty(requests)
      })
    )
  }
})
