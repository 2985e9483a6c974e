import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Option, Random } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { objectOf, type Repeat, send, wasNotProcessed } from "../../src/protocol/HttpExchange.ts"
import { answer, broken, hanging, inTime, issuer, json, named, type Reply, scripted, status } from "../scripted.ts"

const url = `${issuer}/token`
const ok = json({ ok: true })

const sendTo = (repeat: Repeat) =>
  Effect.flatMap(HttpClient.HttpClient, (http) => send(http, "token", HttpClientRequest.post(url), repeat))

/** Sends to a provider with these replies: how it ended, and when each request was sent. */
const exchange = Effect.fnUntraced(function* (replies: ReadonlyArray<Reply>, repeat: Repeat = "idempotent") {
  const { layer, requests } = scripted({ [url]: replies })
  const exit = yield* inTime(Effect.exit(Effect.provide(sendTo(repeat), layer)))
  return { exit, times: requests.map(({ at }) => at) }
})

const failureOf = <A, E>(exit: Exit.Exit<A, E>): E => Option.getOrThrow(Exit.findErrorOption(exit))

const failing = (replies: ReadonlyArray<Reply>, repeat?: Repeat) =>
  Effect.map(exchange(replies, repeat), ({ exit, times }) => ({ error: failureOf(exit), times }))

describe("HttpExchange: what is tried again", () => {
  for (const [name, trouble] of Object.entries({
    ...Object.fromEntries([408, 429, 500, 502, 503, 504].map((code) => [code, status(code)])),
    "connection reset": broken("ECONNRESET"),
    "no connection": broken("ECONNREFUSED")
  })) {
    it.effect(`an idempotent request is sent again after any transient trouble: ${name}`, () =>
      Effect.gen(function* () {
        const { exit, times } = yield* exchange([trouble, ok])
        assert.isTrue(Exit.isSuccess(exit))
        assert.lengthOf(times, 2)
      })
    )
  }

  for (const [name, reply] of Object.entries({
    "429": status(429),
    "503": status(503),
    "no connection": broken("ECONNREFUSED"),
    "no such host": broken("ENOTFOUND"),
    "certificate refused": broken("DEPTH_ZERO_SELF_SIGNED_CERT"),
    "no handshake": broken("ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE")
  })) {
    it.effect(`X-11 a spending request is sent again where it certainly was not processed: ${name}`, () =>
      Effect.gen(function* () {
        const { exit, times } = yield* exchange([reply, ok], "spending")
        assert.isTrue(Exit.isSuccess(exit))
        assert.lengthOf(times, 2)
      })
    )
  }

  for (const [name, reply, reason] of [
    ["500", status(500), "ServerError"],
    ["502", status(502), "ServerError"],
    ["504", status(504), "ServerError"],
    ["408", status(408), "TimedOut"],
    ["connection reset", broken("ECONNRESET"), "AnswerLost"],
    ["connection closed", broken("UND_ERR_SOCKET"), "AnswerLost"],
    ["the answer's TLS record is damaged", broken("ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), "AnswerLost"],
    ["TLS ends without a word", broken("ERR_SSL_UNEXPECTED_EOF_WHILE_READING"), "AnswerLost"],
    ["no answer in time", hanging, "TimedOut"]
  ] as const) {
    it.effect(`X-11 a spending request is never sent again where it may have been processed: ${name}`, () =>
      Effect.gen(function* () {
        const { error, times } = yield* failing([reply, ok], "spending")
        assert.strictEqual(named(error), `ProviderUnavailable.${reason}`)
        assert.lengthOf(times, 1)
      })
    )
  }

  for (const alert of [
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "SSL/TLS_ALERT_BAD_CERTIFICATE",
    "TLSV1_ALERT_UNKNOWN_CA"
  ]) {
    it.effect(
      `a server that refuses the client's certificate has processed nothing, and will not another time: ${alert}`,
      () =>
        Effect.gen(function* () {
          const { error, times } = yield* failing([broken(`ERR_SSL_${alert}`), ok])
          assert.strictEqual(named(error), "ProviderUnavailable.Unreachable")
          assert.isTrue(error._tag === "ProviderUnavailable" && wasNotProcessed(error))
          assert.lengthOf(times, 1)
        })
    )
  }

  it.effect("who was silent for as long as we wait is not asked again: the caller has waited enough", () =>
    Effect.gen(function* () {
      const { error, times } = yield* failing([hanging, ok])
      assert.strictEqual(named(error), "ProviderUnavailable.TimedOut")
      assert.lengthOf(times, 1)
    })
  )

  it.effect("a request that its caller repeats is sent once", () =>
    Effect.gen(function* () {
      const { error, times } = yield* failing([status(503), ok], "once")
      assert.strictEqual(named(error), "ProviderUnavailable.ServerError")
      assert.lengthOf(times, 1)
    })
  )

  it.effect("a refusal is an answer: nothing to try again", () =>
    Effect.gen(function* () {
      const { exit, times } = yield* exchange([json({ error: "invalid_grant" }, { status: 400 })])
      assert.strictEqual(Exit.isSuccess(exit) ? exit.value.status : 0, 400)
      assert.lengthOf(times, 1)
    })
  )
})

describe("HttpExchange: how long it waits", () => {
  const chance = (next: number) =>
    Effect.provideService(Random.Random, { nextDoubleUnsafe: () => next, nextIntUnsafe: () => 0 })
  const pauses = (times: ReadonlyArray<number>) => times.slice(1).map((at, index) => at - (times[index] ?? 0))

  it.effect("four attempts, each pause twice the one before, then the last trouble is the answer", () =>
    Effect.gen(function* () {
      const replies = [status(502), status(502), status(502), status(500)]
      const { error, times } = yield* chance(1)(failing(replies))
      assert.deepStrictEqual(pauses(times), [500, 1000, 2000])
      assert.deepInclude(error, { _tag: "ProviderUnavailable", status: 500 })
    })
  )

  it.effect("chance shortens a pause by up to a half", () =>
    Effect.gen(function* () {
      const { times } = yield* chance(0)(exchange([status(503), status(503), status(503), ok]))
      assert.deepStrictEqual(pauses(times), [250, 500, 1000])
    })
  )

  it.effect("Retry-After in seconds is the least it waits", () =>
    Effect.gen(function* () {
      const { exit, times } = yield* exchange([status(503, { "retry-after": "20" }), ok])
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(pauses(times), [20_000])
    })
  )

  it.effect("Retry-After as a date is counted from the test's now", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const { times } = yield* exchange([status(429, { "retry-after": "Thu, 01 Jan 2026 00:00:07 GMT" }), ok])
      assert.deepStrictEqual(pauses(times), [7000])
    })
  )

  it.effect("a date that is over asks for nothing", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const { times } = yield* chance(1)(
        exchange([status(429, { "retry-after": "Wed, 31 Dec 2025 00:00:00 GMT" }), ok])
      )
      assert.deepStrictEqual(pauses(times), [500])
    })
  )

  for (const absurd of ["31", "86400", "9".repeat(400), "Fri, 31 Dec 9999 23:59:59 GMT"]) {
    it.effect(`Retry-After: ${absurd.slice(0, 40)} fails at once instead of waiting, and says how long`, () =>
      Effect.gen(function* () {
        const { error, times } = yield* failing([status(503, { "retry-after": absurd }), ok])
        assert.lengthOf(times, 1)
        assert.strictEqual(error._tag, "ProviderUnavailable")
        assert.isAbove(
          "retryAfter" in error && error.retryAfter !== undefined ? Duration.toSeconds(error.retryAfter) : 0,
          30
        )
        assert.strictEqual(yield* Clock.currentTimeMillis, 0)
      })
    )
  }

  for (const nonsense of ["soon", "-5", "1e3", ""]) {
    it.effect(`Retry-After: ${JSON.stringify(nonsense)} is as good as none`, () =>
      Effect.gen(function* () {
        const { times } = yield* chance(1)(exchange([status(503, { "retry-after": nonsense }), ok]))
        assert.deepStrictEqual(pauses(times), [500])
      })
    )
  }

  it.effect("a provider that never answers is given up after 15 seconds", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(
        Effect.flip(Effect.provide(sendTo("once"), scripted({ [url]: hanging }).layer))
      )
      yield* TestClock.adjust("14999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(named(yield* Fiber.join(fiber)), "ProviderUnavailable.TimedOut")
    })
  )

  it.effect("a body that never ends counts against the same 15 seconds, and is let go", () =>
    Effect.gen(function* () {
      let cancelled = false
      const drip = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
        cancel: () => {
          cancelled = true
        }
      })
      const { error, times } = yield* failing(
        [answer(drip, { headers: { "content-type": "application/json" } })],
        "once"
      )
      assert.strictEqual(named(error), "ProviderUnavailable.TimedOut")
      assert.deepStrictEqual(times, [0])
      assert.strictEqual(yield* Clock.currentTimeMillis, 15_000)
      assert.isTrue(cancelled)
    })
  )
})

describe("HttpExchange: what it accepts", () => {
  const asJson = { headers: { "content-type": "application/json" } }
  const object = Effect.fnUntraced(function* (reply: Reply) {
    const { layer } = scripted({ [url]: reply })
    return yield* inTime(Effect.provide(Effect.flatMap(sendTo("once"), objectOf), layer))
  })
  const reasonOf = (reply: Reply) => Effect.map(Effect.flip(object(reply)), named)

  for (const code of [301, 302, 303, 307, 308]) {
    it.effect(`X-14 a redirect (${code}) is refused and nothing is sent to where it points`, () =>
      Effect.gen(function* () {
        const { layer, requests } = scripted({ [url]: status(code, { location: "https://evil.example/" }) })
        const error = yield* Effect.flip(Effect.provide(sendTo("idempotent"), layer))
        assert.strictEqual(named(error), "AnswerRejected.Redirected")
        assert.deepStrictEqual(
          requests.map((request) => request.url),
          [url]
        )
      })
    )
  }

  it.effect("X-14 a browser's opaque redirect (status 0) is refused", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(() => Effect.sync(() => Response.error())), "AnswerRejected.Redirected")
    })
  )

  it.effect("X-14 the fetch client is told not to follow redirects, whatever it was told before", () =>
    Effect.gen(function* () {
      const seen: Array<RequestRedirect | undefined> = []
      const fetch: typeof globalThis.fetch = async (_, init) => {
        seen.push(init?.redirect)
        return Response.json({})
      }
      yield* sendTo("once").pipe(
        Effect.provide(FetchHttpClient.layer),
        Effect.provideService(FetchHttpClient.RequestInit, { redirect: "follow" }),
        Effect.provideService(FetchHttpClient.Fetch, fetch)
      )
      assert.deepStrictEqual(seen, ["manual"])
    })
  )

  it.effect("no trace headers leave for the provider", () =>
    Effect.gen(function* () {
      const { layer, requests } = scripted({ [url]: ok })
      yield* Effect.withSpan(Effect.provide(sendTo("once"), layer), "caller")
      assert.deepStrictEqual(Object.keys(requests[0]?.headers ?? {}), ["accept"])
    })
  )

  const sized = (bytes: number) => `{"a":"${"x".repeat(bytes - 8)}"}`

  it.effect("X-15 a body of 512 KiB is read", () =>
    Effect.gen(function* () {
      assert.lengthOf(String((yield* object(answer(sized(512 * 1024), asJson)))["a"]), 512 * 1024 - 8)
    })
  )

  it.effect("X-15 X-22 one byte more is too large", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(answer(sized(512 * 1024 + 1), asJson)), "AnswerRejected.TooLarge")
    })
  )

  it.effect("X-15 X-22 a body without a length and without an end is cut off, and its source let go", () =>
    Effect.gen(function* () {
      let sent = 0
      let cancelled = false
      const endless = new ReadableStream<Uint8Array>({
        pull: (controller) => {
          sent += 64 * 1024
          controller.enqueue(new Uint8Array(64 * 1024).fill(0x20))
        },
        cancel: () => {
          cancelled = true
        }
      })
      assert.strictEqual(yield* reasonOf(answer(endless, asJson)), "AnswerRejected.TooLarge")
      assert.isBelow(sent, 1024 * 1024)
      assert.isTrue(cancelled)
    })
  )

  it.effect("X-15 a body is one text, wherever the network has cut it", () =>
    Effect.gen(function* () {
      const bytes = new TextEncoder().encode(`{"a":"Zoë €"}`)
      const one = new ReadableStream<Uint8Array>({
        start: (controller) => {
          for (const byte of bytes) controller.enqueue(Uint8Array.of(byte))
          controller.close()
        }
      })
      assert.deepStrictEqual(yield* object(answer(one, asJson)), { a: "Zoë €" })
    })
  )

  it.effect("X-15 the answer to an error status is bounded too", () =>
    Effect.gen(function* () {
      const large = answer(sized(600 * 1024), { ...asJson, status: 400 })
      assert.strictEqual(yield* reasonOf(large), "AnswerRejected.TooLarge")
    })
  )

  for (const type of [
    "application/json",
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    "application/problem+json",
    undefined
  ]) {
    it.effect(`X-15 content type ${type} is JSON`, () =>
      Effect.gen(function* () {
        const body = new TextEncoder().encode(`{"a":1}`) // bytes: a string would name a content type by itself
        const reply = answer(body, type === undefined ? {} : { headers: { "content-type": type } })
        assert.deepStrictEqual(yield* object(reply), { a: 1 })
      })
    )
  }

  for (const type of [
    "text/html",
    "text/plain",
    "application/jwt",
    "application/json-seq",
    "application/jsonp",
    "multipart/application/json"
  ]) {
    it.effect(`X-15 content type ${type} is not JSON, whatever the body says`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(object(answer(`{"a":1}`, { headers: { "content-type": type } })))
        assert.strictEqual(named(error), "AnswerRejected.NotJson")
        assert.include(error.message, type)
      })
    )
  }

  for (const body of ["[]", "null", "1", `"text"`, "true"]) {
    it.effect(`JSON that is no object is refused: ${body}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* reasonOf(answer(body, asJson)), "AnswerRejected.NotJson")
      })
    )
  }

  for (const body of [`{"a":`, "", "{'a':1}", `{"a":1}}`]) {
    it.effect(`truncated or broken JSON is refused: ${JSON.stringify(body)}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* reasonOf(answer(body, asJson)), "AnswerRejected.Truncated")
      })
    )
  }

  it.effect("a broken connection in the middle of a body is a lost answer", () =>
    Effect.gen(function* () {
      const torn = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode(`{"a":1`)),
        pull: (controller) => controller.error(Object.assign(new Error("reset"), { code: "ECONNRESET" }))
      })
      const { error } = yield* failing([answer(torn, asJson)], "spending")
      assert.strictEqual(named(error), "ProviderUnavailable.AnswerLost")
    })
  )

  it.effect("R13 trouble names the endpoint, the host and the system's code, never the URL's query", () =>
    Effect.gen(function* () {
      const { layer } = scripted({ [`${url}?secret=canary`]: broken("ENOTFOUND", "getaddrinfo canary") })
      const request = HttpClientRequest.post(`${url}?secret=canary`)
      const asked = Effect.flatMap(HttpClient.HttpClient, (http) => send(http, "token", request, "once"))
      const error = yield* Effect.flip(Effect.provide(asked, layer))
      assert.deepInclude(error, { endpoint: "token", host: "id.example", reason: "Unreachable", detail: "ENOTFOUND" })
      assert.notInclude(error.message, "canary")
    })
  )

  it.effect("a system's code that is no constant is left out", () =>
    Effect.gen(function* () {
      const { error } = yield* failing([broken("not a code \u001b[31m")], "once")
      assert.isFalse("detail" in error)
    })
  )
})
