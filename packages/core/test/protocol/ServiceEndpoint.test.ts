import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { HttpClient } from "effect/http"
import { AccessToken, ServiceEndpoint } from "keyfob"
import { inTime, issuer, json, named, type Reply, scripted, status } from "../scripted.ts"
import { sign } from "./signing.ts"

const url = `${issuer}/session`

/** Asks a service that answers so: what comes of it, and what was sent. */
const asking = (reply: Reply, request: Partial<ServiceEndpoint.Request> = {}) => {
  const { layer, requests } = scripted({ [url]: reply })
  const ask = Effect.flatMap(HttpClient.HttpClient, (http) =>
    ServiceEndpoint.ask(http, url, { endpoint: "login", repeat: "once", refusals: { 402: "AccessDenied" }, ...request })
  )
  return { answered: Effect.provide(inTime(ask), layer), requests }
}

const session = (body: unknown) => Effect.flatMap(asking(json(body)).answered, ServiceEndpoint.session)

describe("ServiceEndpoint: what is sent", () => {
  it.effect("JSON by POST, with who asks", () =>
    Effect.gen(function* () {
      const { authorization } = AccessToken.basic("app", Redacted.make("secret"))
      const headers = { "x-client": "here" }
      const { answered, requests } = asking(json({}), { authorization, headers, body: { email: "a@b" } })
      yield* answered
      assert.deepInclude(requests[0], { method: "POST", body: `{"email":"a@b"}` })
      assert.deepInclude(requests[0]?.headers, {
        authorization: `Basic ${btoa("app:secret")}`,
        "content-type": "application/json",
        "x-client": "here"
      })
    })
  )

  it.effect("nothing by GET", () =>
    Effect.gen(function* () {
      const { answered, requests } = asking(json({}), { method: "GET" })
      yield* answered
      assert.deepInclude(requests[0], { method: "GET", body: "" })
      assert.notProperty(requests[0]?.headers, "authorization")
    })
  )
})

describe("ServiceEndpoint: what comes back", () => {
  it.effect("a status that the service has a word for is that refusal, whatever stands in its body", () =>
    Effect.gen(function* () {
      const { answered } = asking(json({ error: "canary" }, { status: 402 }))
      const refusal = yield* Effect.flip(answered)
      assert.strictEqual(named(refusal), "ProviderRefused.AccessDenied")
      assert.notInclude(String(refusal), "canary")
    })
  )

  it.effect("any other is what it is at OAuth's endpoints", () =>
    Effect.gen(function* () {
      const failing = (reply: Reply) =>
        Effect.map(Effect.flip(Effect.flatMap(asking(reply).answered, ServiceEndpoint.session)), named)
      assert.strictEqual(yield* failing(status(503)), "ProviderUnavailable.ServerError")
      assert.strictEqual(
        yield* failing(json({ error: "invalid_grant" }, { status: 400 })),
        "ProviderRefused.InvalidGrant"
      )
      assert.strictEqual(yield* failing(status(302)), "AnswerRejected.Redirected")
    })
  )

  it.effect("a session: its end counted from when it was asked for, else the token's own, if it has one", () =>
    Effect.gen(function* () {
      const jwt = Redacted.value(yield* sign({ exp: 3600 }))
      const endOf = (body: object) => Effect.map(session(body), ({ token }) => token.expiresAt?.epochMilliseconds)
      assert.strictEqual(yield* endOf({ access_token: "opaque", expires_in: 60 }), 60_000)
      assert.strictEqual(yield* endOf({ access_token: jwt, expires_in: 60 }), 60_000)
      assert.strictEqual(yield* endOf({ access_token: jwt }), 3_600_000)
      assert.isUndefined(yield* endOf({ access_token: "opaque" }))
    })
  )

  it.effect.each([{}, { access_token: "" }, { access_token: "a b" }, { access_token: "x", expires_in: 0 }])(
    "%j is none",
    (body) =>
      Effect.map(Effect.flip(session(body)), (error) => assert.strictEqual(named(error), "AnswerRejected.Malformed"))
  )

  it.effect("R1 the refresh token beside one that must not be used is not lost", () =>
    Effect.gen(function* () {
      const answer = yield* asking(json({ access_token: 1, refresh_token: "next" })).answered
      const renewed = yield* ServiceEndpoint.renewal(answer)
      assert.strictEqual(renewed.refreshToken && Redacted.value(renewed.refreshToken), "next")
      assert.property(renewed, "reason")
    })
  )
})
