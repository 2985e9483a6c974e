import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { AccessToken, Userinfo } from "keyfob"
import { answer, broken, json, metadata, named, refused, type Reply, status } from "../scripted.ts"
import { asClient } from "./client.ts"

const token = AccessToken.make({ value: Redacted.make("at"), type: "Bearer", scopes: [] })

const ask = (reply: Reply | ReadonlyArray<Reply>, subject?: string) =>
  asClient({ [metadata.userinfo_endpoint]: reply }, (client) => Userinfo.request(client, token, subject))

describe("Userinfo", () => {
  it.effect("asks with the token in the header and gives all claims", () =>
    Effect.gen(function* () {
      const claims = { sub: "alice", name: "Alice", "https://claims.example/groups": ["a"] }
      const { result, to } = ask(json(claims), "alice")
      assert.deepStrictEqual(yield* result, claims)
      const [request] = to(metadata.userinfo_endpoint)
      assert.deepInclude(request, { method: "GET", body: "" })
      assert.strictEqual(request?.headers["authorization"], "Bearer at")
    })
  )

  it.effect("an answer about somebody else is refused (OpenID Connect Core section 5.3.2)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(ask(json({ sub: "mallory" }), "alice").result)
      assert.strictEqual(named(error), "AnswerRejected.SubjectMismatch")
      assert.notInclude(error.message, "mallory")
    })
  )

  for (const [name, reply, expected] of [
    ["a token that is not accepted", refused("invalid_token", 401), "ProviderRefused.InvalidToken"],
    ["401 without a word", status(401, { "www-authenticate": "Bearer" }), "ProviderRefused.InvalidToken"],
    ["a scope that does not suffice", refused("insufficient_scope", 403), "ProviderRefused.InsufficientScope"],
    ["403 without a word", status(403), "ProviderRefused.AccessDenied"],
    ["a signed answer", answer("a.b.c", { headers: { "content-type": "application/jwt" } }), "AnswerRejected.NotJson"],
    ["nobody in particular", json({ name: "Alice" }), "AnswerRejected.Malformed"],
    ["an empty sub", json({ sub: "" }), "AnswerRejected.Malformed"],
    ["a sub that is a number", json({ sub: 1 }), "AnswerRejected.Malformed"],
    ["X-14 a redirect", status(302, { location: "https://evil.example/" }), "AnswerRejected.Redirected"],
    ["nobody there", broken("ENOTFOUND"), "ProviderUnavailable.Unreachable"]
  ] as const) {
    it.effect(`${name}: ${expected}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(named(yield* Effect.flip(ask(reply).result)), expected)
      })
    )
  }

  it.effect("transient trouble is tried again", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* ask([status(502), json({ sub: "alice" })]).result).sub, "alice")
    })
  )

  for (const [name, body] of Object.entries({
    "a member named __proto__": `{"sub":"mallory","__proto__":{"sub":"alice"}}`,
    "nothing but a member named __proto__": `{"__proto__":{"sub":"alice"}}`,
    "a hundred thousand brackets": `{"sub":${"[".repeat(1e5)}${"]".repeat(1e5)}}`,
    "a hundred thousand brackets left open": `{"sub":${"[".repeat(1e5)}`
  })) {
    it.effect(`hostile JSON makes nobody alice: ${name}`, () =>
      Effect.gen(function* () {
        const reply = answer(body, { headers: { "content-type": "application/json" } })
        assert.strictEqual((yield* Effect.flip(ask(reply, "alice").result))._tag, "AnswerRejected")
      })
    )
  }

  it.effect("a deep claim nobody asked for does no harm", () =>
    Effect.gen(function* () {
      const body = `{"sub":"alice","deep":${"[".repeat(1e5)}${"]".repeat(1e5)}}`
      const reply = answer(body, { headers: { "content-type": "application/json" } })
      assert.strictEqual((yield* ask(reply, "alice").result).sub, "alice")
    })
  )

  const Likely = Schema.Struct({
    sub: Schema.Union([Schema.Literal("alice"), Schema.Json]),
    error: Schema.optionalKey(Schema.Json)
  })
  it.effect.prop(
    "any answer is claims about the subject or a typed error",
    { body: Schema.Union([Likely, Schema.Json]) },
    ({ body }) =>
      Effect.gen(function* () {
        const result = yield* Effect.result(ask(json(body), "alice").result)
        if (result._tag === "Success") assert.strictEqual(result.success.sub, "alice")
        else assert.include(["AnswerRejected", "ProviderRefused"], result.failure._tag)
      })
  )
})
