import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { ClientAuthentication } from "keyfob"
import { revoke } from "../../src/protocol/Revocation.ts"
import { answer, broken, json, metadata, named, refused, type Reply, status } from "../scripted.ts"
import { asClient } from "./client.ts"

const url = metadata.revocation_endpoint
const ask = (reply: Reply | ReadonlyArray<Reply>, hint: "access_token" | "refresh_token" = "refresh_token") =>
  asClient({ [url]: reply }, (client) => revoke(client, Redacted.make("rt+&"), hint), {
    authentication: ClientAuthentication.secretPost(Redacted.make("s3cret"))
  })

describe("Revocation", () => {
  for (const hint of ["access_token", "refresh_token"] as const) {
    it.effect(`sends the token, that it is one of kind ${hint}, and who asks`, () =>
      Effect.gen(function* () {
        const { result, to } = ask(status(200), hint)
        yield* result
        const form = { token: "rt+&", token_type_hint: hint, client_id: "app", client_secret: "s3cret" }
        assert.deepStrictEqual(to(url)[0]?.form, form)
      })
    )
  }

  for (const [name, reply] of Object.entries({
    "an empty 200": status(200),
    "204": status(204),
    "an empty object": json({}),
    "a page": answer("OK", { headers: { "content-type": "text/html" } })
  })) {
    it.effect(`revoked, by ${name}: the body says nothing (RFC 7009 section 2.2)`, () =>
      Effect.gen(function* () {
        assert.isUndefined(yield* ask(reply).result)
      })
    )
  }

  for (const [name, reply, expected] of [
    ["a wrong secret", refused("invalid_client", 401), "ProviderRefused.InvalidClient"],
    ["a kind of token it does not revoke", refused("unsupported_token_type"), "ProviderRefused.Other"],
    ["an error inside a 200", json({ error: "invalid_client" }), "ProviderRefused.InvalidClient"],
    ["X-14 a redirect", status(302, { location: "https://evil.example/" }), "AnswerRejected.Redirected"],
    ["nobody there", broken("ENOTFOUND"), "ProviderUnavailable.Unreachable"]
  ] as const) {
    it.effect(`not revoked: ${name}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(named(yield* Effect.flip(ask(reply).result)), expected)
      })
    )
  }

  it.effect("a lost answer is asked for again: revoking twice does no harm", () =>
    Effect.gen(function* () {
      const { result, to } = ask([broken("ECONNRESET"), status(200)])
      yield* result
      assert.lengthOf(to(url), 2)
    })
  )
})
