/** What is asked of a server itself, whoever may be signed in there. Loaded when a command needs it, as `online.ts` is. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { type AuthError, HttpExchange, Jwt, OAuthClient } from "keyfob"
import type { Globals } from "./globals.ts"
import { http } from "./network.ts"

/** Verifies a JWT with the issuer's keys. */
export const verify = Effect.fnUntraced(function* (
  jwt: Redacted.Redacted,
  expected: { readonly server: OAuthClient.ServerOptions; readonly audience: string },
  globals: Globals
): Effect.fn.Return<Jwt.Claims, AuthError> {
  return yield* Effect.gen(function* () {
    // Metadata and keys are public: the client's id is never sent.
    const client = yield* OAuthClient.make({ ...expected.server, clientId: expected.audience })
    const { issuer } = yield* client.metadata
    return yield* Jwt.verify(jwt, { jwks: yield* client.jwks, issuer, audience: expected.audience })
  }).pipe(Effect.provide(http(globals)))
})

/** Whether somebody answers at an address, whatever it is, and what time it is there. */
export const reach = Effect.fnUntraced(function* (
  url: string,
  globals: Globals
): Effect.fn.Return<DateTime.Utc | undefined, AuthError> {
  return yield* Effect.gen(function* () {
    const http = yield* HttpClient.HttpClient
    const answer = yield* HttpExchange.send(http, "discovery", HttpClientRequest.get(url), "once")
    return Option.getOrUndefined(DateTime.make(answer.headers["date"] ?? ""))
  }).pipe(
    Effect.catchTag("AnswerRejected", () => Effect.succeed(undefined)),
    Effect.provide(http(globals))
  )
})

/** What a provider's metadata request shows: the issuer as it states it, and what time it is there. */
export const inspect = Effect.fnUntraced(function* (
  server: OAuthClient.ServerOptions,
  globals: Globals
): Effect.fn.Return<{ readonly issuer: string; readonly date: DateTime.Utc | undefined }, AuthError> {
  return yield* Effect.gen(function* () {
    let date: DateTime.Utc | undefined
    const client = HttpClient.tap(yield* HttpClient.HttpClient, ({ headers }) =>
      Effect.sync(() => {
        date = Option.getOrUndefined(DateTime.make(headers["date"] ?? ""))
      })
    )
    const { metadata } = yield* OAuthClient.make({ ...server, clientId: "" }).pipe(
      Effect.provideService(HttpClient.HttpClient, client)
    )
    return { issuer: (yield* metadata).issuer, date }
  }).pipe(Effect.provide(http(globals)))
})
