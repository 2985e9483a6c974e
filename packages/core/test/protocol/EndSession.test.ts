import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
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

  it.effect("hints and languages, for who has no ID token any more", () =>
    Effect.gen(function* () {
      const url = yield* urlFor({ logoutHint: "alice@example.com", uiLocales: ["de-AT", "de"] })
      const { searchParams } = new URL(Redacted.value(url))
      assert.strictEqual(searchParams.get("logout_hint"), "alice@example.com")
      assert.strictEqual(searchParams.get("ui_locales"), "de-AT de")
    })
  )

  it.effect("a place to come back to that is no address is refused before anybody goes anywhere", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(urlFor({ postLogoutRedirectUri: "/signed-out" }))
      assert.deepInclude({ ...error }, { _tag: "ConfigurationInvalid", reason: "InvalidValue" })
    })
  )

  it.effect("the way back: the state of this sign-out, once, and no other's", () =>
    Effect.gen(function* () {
      const postLogoutRedirectUri = "https://app.example/signed-out"
      const begin = asClient({}, (client) => EndSession.begin(client, { postLogoutRedirectUri })).result
      const [mine, other] = [yield* begin, yield* begin]
      const state = new URL(Redacted.value(mine.url)).searchParams.get("state") ?? ""
      assert.match(state, /^[\w-]{43}$/)
      const kept = Schema.toCodecJson(EndSession.PendingEndSession)
      const pending = Schema.decodeSync(kept)(JSON.parse(JSON.stringify(Schema.encodeSync(kept)(mine.pending))))
      yield* EndSession.complete(pending, `${postLogoutRedirectUri}?state=${state}`)
      yield* EndSession.complete(pending, `/signed-out?state=${state}`)
      for (const [session, answer] of [
        [other.pending, `?state=${state}`],
        [pending, "/signed-out"],
        [pending, "?state="],
        [pending, `?state=${state}x`],
        [pending, `?state=x&state=${state}`],
        [pending, `#state=${state}`]
      ] as const) {
        const error = yield* Effect.flip(EndSession.complete(session, answer))
        assert.deepInclude({ ...error }, { _tag: "AnswerRejected", reason: "StateMismatch", endpoint: "end_session" })
        assert.notInclude(error.message, state)
      }
    })
  )

  it.effect("X-23 the URL does not show itself: it may hold the ID token", () =>
    Effect.gen(function* () {
      const url = yield* urlFor({ idTokenHint: Redacted.make("canary") })
      assert.notInclude(`${String(url)}${JSON.stringify(url)}`, "canary")
    })
  )
})
