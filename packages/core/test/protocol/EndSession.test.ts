import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { EndSession } from "keyfob"
import { json, metadata, openIdLocation } from "../scripted.ts"
import { asClient } from "./client.ts"

const urlFor = (request?: EndSession.EndSessionRequest, endpoint: string = metadata.end_session_endpoint) =>
  Effect.gen(function* () {
    const { requests, result } = asClient(
      { [openIdLocation]: json({ ...metadata, end_session_endpoint: endpoint }) },
      (client) => EndSession.url(client, request)
    )
    const url = yield* result
    assert.deepStrictEqual(
      requests.map((request) => request.url),
      [openIdLocation]
    )
    return url
  })

describe("EndSession", () => {
  it.effect("names the client, and asks nobody", () =>
    Effect.gen(function* () {
      assert.strictEqual(Redacted.value(yield* urlFor()), `${metadata.end_session_endpoint}?client_id=app`)
    })
  )

  it.effect("R12 everything that is given survives its encoding, and the endpoint's own query stays", () =>
    Effect.gen(function* () {
      const url = yield* urlFor(
        { idTokenHint: Redacted.make("id+t&k"), postLogoutRedirectUri: "http://127.0.0.1/done?a=b&c", state: "s #1" },
        `${metadata.end_session_endpoint}?tenant=1`
      )
      assert.deepStrictEqual(
        [...new URL(Redacted.value(url)).searchParams],
        [
          ["tenant", "1"],
          ["client_id", "app"],
          ["id_token_hint", "id+t&k"],
          ["post_logout_redirect_uri", "http://127.0.0.1/done?a=b&c"],
          ["state", "s #1"]
        ]
      )
    })
  )

  it.effect("X-23 the URL does not show itself: it may hold the ID token", () =>
    Effect.gen(function* () {
      const url = yield* urlFor({ idTokenHint: Redacted.make("canary") })
      assert.notInclude(`${String(url)}${JSON.stringify(url)}`, "canary")
    })
  )
})
