import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Redacted } from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { Jwt } from "keyfob"
import * as Jwks from "../../src/protocol/Jwks.ts"
import {
  answer,
  broken,
  hanging,
  inTime,
  issuer,
  json,
  metadata,
  named,
  type Reply,
  scripted,
  status
} from "../scripted.ts"
import { keys, sign } from "./signing.ts"

const url = metadata.jwks_uri
const kids = (set: { readonly keys: ReadonlyArray<{ readonly kid?: string }> }) => set.keys.map(({ kid }) => kid)
const serving = (...which: ReadonlyArray<keyof typeof keys>) => json({ keys: which.map((name) => keys[name].jwk) })
const cached = (cacheControl: string) =>
  json({ keys: [keys.provider.jwk] }, { headers: { "cache-control": cacheControl } })

/** The keys of a provider that answers so, and how often it was asked. */
const jwksOf = Effect.fnUntraced(function* (...replies: ReadonlyArray<Reply>) {
  const { layer, requests } = scripted({ [url]: replies })
  const http = yield* Effect.provide(HttpClient.HttpClient, layer)
  return { jwks: yield* Jwks.make(http, url, { now: Clock.currentTimeMillis }), requests }
})

describe("Jwks: kept", () => {
  it.effect("R9 keys are fetched at the first use and kept for ten minutes", () =>
    Effect.gen(function* () {
      const { jwks, requests } = yield* jwksOf(serving("provider"), serving("next"))
      assert.lengthOf(requests, 0)
      assert.deepStrictEqual(kids(yield* jwks.keys), ["provider"])
      yield* TestClock.adjust("599999 millis")
      assert.deepStrictEqual(kids(yield* jwks.keys), ["provider"])
      assert.lengthOf(requests, 1)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(kids(yield* jwks.keys), ["next"])
      assert.lengthOf(requests, 2)
    })
  )

  for (const [cacheControl, seconds] of [
    ["max-age=3600", 3600],
    ["public, max-age=120, must-revalidate", 120],
    ["Max-Age=120", 120],
    ["s-maxage=7200, max-age=300", 300],
    ["max-age=0", 60],
    ["no-store, max-age=5", 60],
    ["max-age=31536000", 86_400],
    ["max-age=99999999999999999999", 86_400],
    ["max-age=-1", 600],
    ["max-age=soon", 600],
    ["no-cache", 600]
  ] as const) {
    it.effect(`R9 Cache-Control: ${cacheControl} keeps them for ${seconds} seconds`, () =>
      Effect.gen(function* () {
        const { jwks, requests } = yield* jwksOf(cached(cacheControl), serving("next"))
        yield* jwks.keys
        yield* TestClock.adjust(seconds * 1000 - 1)
        yield* jwks.keys
        assert.lengthOf(requests, 1)
        yield* TestClock.adjust(1)
        yield* jwks.keys
        assert.lengthOf(requests, 2)
      })
    )
  }

  it.effect("keys that come again as they were stay the same object, so that none is imported anew", () =>
    Effect.gen(function* () {
      const { jwks } = yield* jwksOf(serving("provider"), serving("provider"), serving("provider", "next"))
      const first = yield* jwks.keys
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* jwks.keys, first)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(kids(yield* jwks.keys), ["provider", "next"])
    })
  )

  it.effect("a hundred callers at once share one fetch", () =>
    Effect.gen(function* () {
      const { jwks, requests } = yield* jwksOf(serving("provider"))
      const all = yield* Effect.all(
        Array.from({ length: 100 }, () => jwks.keys),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(all, 100)
      assert.lengthOf(requests, 1)
    })
  )
})

describe("Jwks: rotation", () => {
  const verifyWith = (jwks: Jwks.Jwks, key: keyof typeof keys) =>
    Effect.flatMap(sign({ iss: issuer, aud: "app", exp: 4e9 }, { key: keys[key] }), (jwt) =>
      Jwt.verify(jwt, { jwks, issuer, audience: "app" })
    )

  it.effect("A-50 R9 a new key is found at the first token that names it", () =>
    Effect.gen(function* () {
      const { jwks, requests } = yield* jwksOf(serving("provider"), serving("provider", "next"))
      yield* verifyWith(jwks, "provider")
      yield* TestClock.adjust("30 seconds")
      yield* verifyWith(jwks, "next")
      yield* verifyWith(jwks, "provider")
      assert.lengthOf(requests, 2)
    })
  )

  it.effect("R9 a flood of tokens with unknown keys asks the provider twice a minute, not more", () =>
    Effect.gen(function* () {
      const { jwks, requests } = yield* jwksOf(...Array.from({ length: 10 }, () => serving("provider")))
      for (let second = 0; second < 60; second++) {
        assert.strictEqual(named(yield* Effect.flip(verifyWith(jwks, "next"))), "TokenRejected.UnknownKey")
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(
        requests.map(({ at }) => at),
        [0, 30_000]
      )
    })
  )

  it.effect("known keys serve while the fetch for an unknown one is under way", () =>
    Effect.gen(function* () {
      const { jwks, requests } = yield* jwksOf(serving("provider"), hanging, hanging, hanging, hanging)
      yield* jwks.keys
      yield* TestClock.adjust("30 seconds")
      const attack = yield* Effect.forkChild(Effect.exit(jwks.refetched), { startImmediately: true })
      assert.lengthOf(requests, 2)
      const caller = yield* Effect.forkChild(jwks.keys, { startImmediately: true })
      assert.isDefined(caller.pollUnsafe())
      assert.deepStrictEqual(kids(yield* Fiber.join(caller)), ["provider"])
      assert.isUndefined(attack.pollUnsafe())
    })
  )
})

describe("Jwks: the provider is away", () => {
  for (const [name, trouble] of Object.entries({
    "cannot be reached": broken("ECONNREFUSED"),
    "has trouble": status(500),
    "has lost the document": status(404),
    "answers with a page": answer("<html>", { headers: { "content-type": "text/html" } }),
    "answers with something else": json({ nothing: true }),
    redirects: status(302, { location: "https://evil.example/jwks" })
  })) {
    it.effect(`old keys go on serving while it ${name}`, () =>
      Effect.gen(function* () {
        const { jwks } = yield* jwksOf(serving("provider"), ...Array.from({ length: 4 }, () => trouble))
        yield* jwks.keys
        yield* TestClock.adjust("1 day")
        assert.deepStrictEqual(kids(yield* inTime(jwks.keys)), ["provider"])
      })
    )
  }

  it.effect("after a fetch that failed slowly the old keys serve at once, until it is time to try again", () =>
    Effect.gen(function* () {
      const { jwks, requests } = yield* jwksOf(serving("provider"), hanging, serving("next"))
      yield* jwks.keys
      yield* TestClock.adjust("1 day")
      yield* inTime(jwks.keys)
      assert.lengthOf(requests, 2)
      assert.deepStrictEqual(kids(yield* jwks.keys), ["provider"])
      assert.lengthOf(requests, 2)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(kids(yield* jwks.keys), ["next"])
    })
  )

  it.effect("without old keys the trouble is the answer, and the next caller tries again", () =>
    Effect.gen(function* () {
      const { jwks } = yield* jwksOf(...Array.from({ length: 4 }, () => status(503)), serving("provider"))
      assert.strictEqual(named(yield* inTime(Effect.flip(jwks.keys))), "ProviderUnavailable.ServerError")
      assert.deepStrictEqual(kids(yield* jwks.keys), ["provider"])
    })
  )
})

describe("Jwks: the document", () => {
  for (const [name, reply, reason] of [
    ["a page", answer("<html>", { headers: { "content-type": "text/html" } }), "NotJson"],
    ["another document", json(metadata), "Malformed"],
    ["keys that are no list", json({ keys: {} }), "Malformed"],
    ["keys that are no objects", json({ keys: ["a", null] }), "Malformed"],
    ["404", json({ keys: [] }, { status: 404 }), "Malformed"]
  ] as const) {
    it.effect(`A-49 ${name} is no set of keys`, () =>
      Effect.gen(function* () {
        const { jwks } = yield* jwksOf(reply)
        assert.strictEqual(named(yield* Effect.flip(jwks.keys)), `AnswerRejected.${reason}`)
      })
    )
  }

  it.effect("symmetric keys, keys for encryption and things that are no keys are dropped", () =>
    Effect.gen(function* () {
      const { jwks } = yield* jwksOf(
        json({
          keys: [
            { kty: "oct", k: "c2VjcmV0", kid: "shared" },
            { ...keys.provider.jwk, use: "enc", kid: "enc" },
            { kid: "no type" },
            { kty: 1, kid: "type as number" },
            keys.provider.jwk
          ]
        })
      )
      assert.deepStrictEqual(kids(yield* jwks.keys), ["provider"])
    })
  )

  it.effect("the request carries nothing secret and is a plain GET", () =>
    Effect.gen(function* () {
      const { jwks, requests } = yield* jwksOf(serving("provider"))
      yield* jwks.keys
      assert.deepInclude(requests[0], { method: "GET", url, body: "", headers: { accept: "application/json" } })
    })
  )

  it.effect("A-48 keys that are damaged verify nothing", () =>
    Effect.gen(function* () {
      const damaged = { kty: "RSA", kid: "provider", alg: "RS256", n: 1, e: {} }
      const { jwks } = yield* jwksOf(json({ keys: [damaged] }))
      const jwt = Redacted.value(yield* sign({ iss: issuer, aud: "app", exp: 4e9 }))
      const error = yield* Effect.flip(Jwt.verify(Redacted.make(jwt), { jwks, issuer, audience: "app" }))
      assert.strictEqual(error._tag, "TokenRejected")
    })
  )
})
