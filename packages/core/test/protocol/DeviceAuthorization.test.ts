import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { type DeviceGrant, request } from "../../src/protocol/DeviceAuthorization.ts"
import { answer, broken, json, metadata, named, openIdLocation, refused, type Reply, status } from "../scripted.ts"
import { asClient } from "./client.ts"

const page = "https://id.example/activate"
const good = { device_code: "dc", user_code: "ABCD-EFGH", verification_uri: page, expires_in: 600 }

const ask = (replies: Reply | ReadonlyArray<Reply>) =>
  asClient({ [metadata.device_authorization_endpoint]: replies }, (client) => request(client, { scope: "openid" }))
const given = (changes: object) => ask(json({ ...good, ...changes })).result
const reasonOf = (changes: object) => Effect.map(Effect.flip(given(changes)), named)

const shown = ({ deviceCode, expiresAt, ...rest }: DeviceGrant) => ({
  ...rest,
  deviceCode: Redacted.value(deviceCode),
  expiresAt: DateTime.toEpochMillis(expiresAt)
})

describe("DeviceAuthorization", () => {
  it.effect("A-09 gives what the person needs, the time counted from when it was asked", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000_000)
      const complete = `${page}?user_code=ABCD-EFGH`
      const slowly: Reply = (request) =>
        Effect.delay(json({ ...good, verification_uri_complete: complete, interval: 7 })(request), "10 seconds")
      const { result, to } = ask(slowly)
      assert.deepStrictEqual(shown(yield* result), {
        deviceCode: "dc",
        userCode: "ABCD-EFGH",
        verificationUri: page,
        verificationUriComplete: complete,
        expiresAt: 1_600_000,
        interval: 7
      })
      assert.deepStrictEqual(to(metadata.device_authorization_endpoint)[0]?.form, { client_id: "app", scope: "openid" })
    })
  )

  it.effect("a slow discovery does not count against the code", () =>
    Effect.gen(function* () {
      const slowly: Reply = (request) => Effect.delay(json(metadata)(request), "10 seconds")
      const script = { [openIdLocation]: slowly, [metadata.device_authorization_endpoint]: json(good) }
      const { result } = asClient(script, (client) => request(client, {}))
      assert.strictEqual(shown(yield* result).expiresAt, 610_000)
    })
  )

  for (const [changes, expected] of [
    [{}, { interval: 5 }],
    [{ interval: null }, { interval: 5 }],
    [{ interval: "7" }, { interval: 7 }],
    [{ expires_in: "600" }, { expiresAt: 600_000 }],
    [{ verification_uri: undefined, verification_url: page }, { verificationUri: page }],
    [{ verification_uri: "http://127.0.0.1:4000/device" }, { verificationUri: "http://127.0.0.1:4000/device" }]
  ] as const) {
    it.effect(`tolerated: ${JSON.stringify(changes)}`, () =>
      Effect.gen(function* () {
        assert.deepInclude(shown(yield* given(changes)), expected)
      })
    )
  }

  for (const nothing of [null, "", undefined]) {
    it.effect(`a complete page that is ${JSON.stringify(nothing)} is none`, () =>
      Effect.gen(function* () {
        assert.notProperty(yield* given({ verification_uri_complete: nothing }), "verificationUriComplete")
      })
    )
  }

  for (const [name, changes] of Object.entries({
    "no device_code": { device_code: undefined },
    "empty device_code": { device_code: "" },
    "no user_code": { user_code: undefined },
    "user_code as number": { user_code: 1234 },
    "no expires_in": { expires_in: undefined },
    "negative expires_in": { expires_in: -1 },
    "negative interval": { interval: -5 },
    "interval as text": { interval: "often" },
    "verification_uri as list": { verification_uri: [page] }
  })) {
    it.effect(`A-44 malformed: ${name}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* reasonOf(changes), "AnswerRejected.Malformed")
      })
    )
  }

  for (const uri of [
    "http://id.example/activate",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "activate",
    "",
    "https://user:canary@id.example/",
    "ssh://id.example"
  ]) {
    it.effect(`a person is not sent to ${JSON.stringify(uri)}`, () =>
      Effect.gen(function* () {
        const plain = yield* Effect.flip(given({ verification_uri: uri }))
        assert.strictEqual(named(plain), "AnswerRejected.InsecureEndpoint")
        assert.notInclude(plain.message, "canary")
        if (uri === "") return // an empty complete page is none
        assert.strictEqual(yield* reasonOf({ verification_uri_complete: uri }), "AnswerRejected.InsecureEndpoint")
      })
    )
  }

  it.effect("what a terminal will show holds no escapes", () =>
    Effect.gen(function* () {
      const escape = "\u001b[2J\u0007\u202e"
      const device = yield* given({
        user_code: `AB${escape}CD`,
        verification_uri: `${page}/${escape}`,
        verification_uri_complete: `${page}?c=${escape}`
      })
      for (const text of [device.userCode, device.verificationUri, device.verificationUriComplete ?? ""]) {
        for (const character of escape.replaceAll(/[\w[]/g, "")) assert.notInclude(text, character)
      }
      const error = yield* Effect.flip(given({ verification_uri: `http://id.example/${escape}` }))
      assert.notInclude(error.message, "\u001b")
    })
  )

  it.effect("a lifetime beyond all calendars is a long one, not a defect", () =>
    Effect.gen(function* () {
      assert.isAbove(shown(yield* given({ expires_in: 1e300 })).expiresAt, 86_400_000)
    })
  )

  for (const [name, reply, expected] of [
    ["A-41 a wrong client", refused("invalid_client", 401), "ProviderRefused.InvalidClient"],
    ["A-13 HTML", answer("<html>", { headers: { "content-type": "text/html" } }), "AnswerRejected.NotJson"],
    ["A-13 an error inside a 200", json({ error: "unauthorized_client" }), "ProviderRefused.UnauthorizedClient"],
    ["A-13 nobody there", broken("ENOTFOUND"), "ProviderUnavailable.Unreachable"],
    ["X-14 a redirect", status(302, { location: "https://evil.example/" }), "AnswerRejected.Redirected"]
  ] as const) {
    it.effect(name, () =>
      Effect.gen(function* () {
        assert.strictEqual(named(yield* Effect.flip(ask(reply).result)), expected)
      })
    )
  }

  const maybe = Schema.optionalKey(Schema.Union([Schema.Literals([page, "x", 1, -1, "3600", 1e300]), Schema.Json]))
  const Likely = Schema.Struct({
    device_code: maybe,
    user_code: maybe,
    verification_uri: maybe,
    verification_url: maybe,
    verification_uri_complete: maybe,
    expires_in: maybe,
    interval: maybe
  })
  it.effect.prop(
    "any answer is a device code or a typed error",
    { body: Schema.Union([Likely, Schema.Json]) },
    ({ body }) =>
      Effect.gen(function* () {
        const result = yield* Effect.result(ask(json(body)).result)
        if (result._tag === "Success") assert.strictEqual(new URL(result.success.verificationUri).protocol, "https:")
        else assert.include(["AnswerRejected", "ProviderRefused"], result.failure._tag)
      })
  )
})
