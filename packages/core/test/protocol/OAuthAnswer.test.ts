import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Headers from "effect/http/Headers"
import type { Answer } from "../../src/protocol/HttpExchange.ts"
import { accept, refusalOf } from "../../src/protocol/OAuthAnswer.ts"
import { named } from "../scripted.ts"

const given = (
  status: number,
  json?: Readonly<Record<string, unknown>>,
  endpoint: Answer["endpoint"] = "token"
): Answer => ({
  endpoint,
  host: "id.example",
  status,
  headers: Headers.empty,
  ...(json === undefined ? { defect: "NotJson" } : { json })
})

const reasonOf = (answer: Answer) => refusalOf(answer)?.reason

describe("OAuthAnswer: refusals", () => {
  for (const [code, reason] of Object.entries({
    invalid_client: "InvalidClient",
    unauthorized_client: "UnauthorizedClient",
    invalid_grant: "InvalidGrant",
    invalid_scope: "InvalidScope",
    invalid_target: "InvalidTarget",
    invalid_request: "InvalidRequest",
    unsupported_grant_type: "UnsupportedGrantType",
    access_denied: "AccessDenied",
    invalid_token: "InvalidToken",
    insufficient_scope: "InsufficientScope",
    something_of_their_own: "Other"
  })) {
    it(`X-18 ${code} is ${reason}, and its description is dropped`, () => {
      const refusal = refusalOf(given(400, { error: code, error_description: "canary", error_uri: "https://canary" }))
      assert.strictEqual(refusal?._tag, "ProviderRefused")
      const codeOf = refusal !== undefined && "code" in refusal ? refusal.code : undefined
      const said = [refusal?.reason, codeOf, refusal?.status, refusal?.endpoint, refusal?.host]
      assert.deepStrictEqual(said, [reason, code, 400, "token", "id.example"])
      assert.notInclude(`${refusal?.stack} ${JSON.stringify(refusal)}`, "canary")
    })
  }

  for (const code of ["temporarily_unavailable", "server_error"]) {
    it(`X-18 ${code} with a 400 is trouble that passes, not a refusal`, () => {
      const refusal = refusalOf(given(400, { error: code, error_description: "canary" }))
      assert.strictEqual(refusal?._tag, "ProviderUnavailable")
      assert.deepInclude(refusal, { reason: "ServerError", status: 400, detail: code })
      assert.notInclude(`${refusal?.stack} ${JSON.stringify(refusal)}`, "canary")
    })
  }

  for (const code of ["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf"]) {
    it(`the code ${code} is data, not a member of an object`, () => {
      assert.strictEqual(reasonOf(given(400, { error: code })), "Other")
    })
  }

  for (const code of [
    "\u001b[2Jinvalid_grant",
    "invalid_grant\n",
    "Invalid_Grant",
    "invalid grant",
    "s3cret-Canary",
    "x".repeat(41),
    "",
    "\u202einvalid",
    1,
    null,
    { code: "invalid_grant" },
    ["invalid_grant"]
  ]) {
    it(`X-18 a code that does not look like one is not shown, and decides nothing: ${JSON.stringify(code)}`, () => {
      const refusal = refusalOf(given(400, { error: code }))
      assert.strictEqual(refusal?.reason, "Other")
      assert.isFalse(refusal !== undefined && "code" in refusal && refusal.code !== undefined)
      assert.include(refusal?.message ?? "", "status 400")
    })
  }

  for (const [status, endpoint, reason] of [
    [401, "token", "InvalidClient"],
    [401, "revocation", "InvalidClient"],
    [401, "userinfo", "InvalidToken"],
    [403, "token", "AccessDenied"],
    [400, "token", "Other"],
    [404, "token", "Other"]
  ] as const) {
    it(`without a code the status speaks: ${status} at ${endpoint} is ${reason}`, () => {
      assert.strictEqual(reasonOf(given(status, undefined, endpoint)), reason)
      assert.strictEqual(reasonOf(given(status, {}, endpoint)), reason)
    })
  }

  it("an error inside a 200 is a refusal", () => {
    assert.strictEqual(reasonOf(given(200, { error: "invalid_grant", access_token: "x" })), "InvalidGrant")
  })

  for (const error of [null, 1, {}, false]) {
    it(`an error member of a success that is no text says nothing: ${JSON.stringify(error)}`, () => {
      assert.isUndefined(reasonOf(given(200, { error })))
    })
  }

  it("a success is no refusal, with a body or without", () => {
    assert.isUndefined(reasonOf(given(200, {})))
    assert.isUndefined(reasonOf(given(200)))
  })
})

describe("OAuthAnswer: accept", () => {
  const Answered = Schema.Struct({ wanted: Schema.NonEmptyString, other: Schema.optionalKey(Schema.Finite) })

  it.effect("X-22 members nobody asked for are dropped", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* accept(given(200, { wanted: "x", more: 1 }), Answered), { wanted: "x" })
    })
  )

  for (const [json, member] of [
    [{}, "wanted"],
    [{ wanted: 1 }, "wanted"],
    [{ wanted: "" }, "wanted"],
    [{ wanted: "x", other: "canary" }, "other"]
  ] as const) {
    it.effect(`X-22 a wrong member is named, never its value: ${JSON.stringify(json)}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(accept(given(200, json), Answered))
        assert.strictEqual(named(error), "AnswerRejected.Malformed")
        assert.include(error.message, `${member} is missing or wrong`)
        assert.notInclude(`${error.stack} ${JSON.stringify(error)}`, "canary")
      })
    )
  }

  it.effect("a success that is not JSON is not accepted", () =>
    Effect.gen(function* () {
      assert.strictEqual(named(yield* Effect.flip(accept(given(200), Answered))), "AnswerRejected.NotJson")
    })
  )
})
