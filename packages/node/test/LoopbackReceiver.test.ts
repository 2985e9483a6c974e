import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Scope } from "effect"
import { LoginFailed, RedirectReceiver } from "keyfob"
import * as Http from "node:http"
import * as Net from "node:net"
import { printed } from "../../testing/src/printed.ts"
import * as LoopbackPort from "../src/LoopbackPort.ts"
import * as LoopbackReceiver from "../src/LoopbackReceiver.ts"
import { ask } from "./ask.ts"

const state = "st4te"
const answer = `/callback?code=c0de&state=${state}`

/** An open receiver, in a scope that ends when the test says so. */
const opened = Effect.fnUntraced(function* (
  options: { readonly ports?: ReadonlyArray<number>; readonly responseMode?: "query" | "form_post" } = {}
) {
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  let recognized = 0
  const reception = yield* RedirectReceiver.use(({ open }) =>
    open({
      issuer: "https://id.example",
      responseMode: options.responseMode ?? "query",
      recognizes: (text) => {
        const isOurs = new URLSearchParams(text.replace(/^.*\?/, "")).get("state") === state
        if (isOurs) recognized++
        return isOurs
      }
    })
  ).pipe(
    Scope.provide(scope),
    Effect.provide(LoopbackReceiver.layer(options.ports === undefined ? {} : { ports: options.ports }))
  )
  const fiber = yield* Effect.forkChild(reception.answer, { startImmediately: true })
  return {
    ...reception,
    /** Until so many requests have come with the right state. */
    arrived: (count: number) => Effect.repeat(Effect.sleep("5 millis"), { until: () => recognized >= count }),
    port: Number(new URL(reception.redirectUri).port),
    /** The answer, if there is one by now. */
    taken: Effect.map(Effect.yieldNow, () => fiber.pollUnsafe()),
    join: Effect.map(Fiber.join(fiber), Redacted.value),
    end: (exit: Exit.Exit<unknown, unknown> = Exit.void) => Scope.close(scope, exit)
  }
})

const connect = (port: number, host = "127.0.0.1") =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket, Error>((resume) => {
      const socket = Net.connect(port, host)
      socket.once("connect", () => resume(Effect.succeed(socket)))
      socket.on("error", (error) => resume(Effect.fail(error)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const form = { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" } }

describe("LoopbackReceiver", () => {
  it.live("takes the answer, tells the browser how the login ended, and closes", () =>
    Effect.gen(function* () {
      const { end, join, port, redirectUri } = yield* opened()
      assert.strictEqual(redirectUri, `http://127.0.0.1:${port}/callback`)
      const browser = yield* Effect.forkChild(ask(port, answer))
      assert.strictEqual(yield* join, answer)
      yield* end()
      const { body, headers, status } = yield* Fiber.join(browser)
      assert.strictEqual(status, 200)
      assert.include(body, "<h1>You are signed in</h1>")
      assert.strictEqual(headers["connection"], "close")
      yield* Effect.flip(ask(port, answer))
    }).pipe(Effect.scoped)
  )

  it.live.each([
    ["denied", Exit.fail(new LoginFailed({ reason: "Denied", issuer: "https://id.example" })), "The login was denied."],
    ["failed for a reason of nobody's", Exit.fail("<script>c0de</script>"), "Something went wrong."],
    ["cancelled", Exit.interrupt(), "The sign-in was cancelled"]
  ] as const)("says that it was %s", ([, exit, words]) =>
    Effect.gen(function* () {
      const { end, join, port } = yield* opened()
      const browser = yield* Effect.forkChild(ask(port, answer))
      yield* join
      yield* end(exit)
      const { body, status } = yield* Fiber.join(browser)
      assert.strictEqual(status, 400)
      assert.include(body, words)
      assert.notInclude(body, "You are signed in")
      assert.notInclude(body, "c0de")
    }).pipe(Effect.scoped)
  )

  it.live(
    "attack: token in a referrer, the page leaks nothing: no code in it, no referrer, nothing loaded or framed",
    () =>
      Effect.gen(function* () {
        const { end, join, port } = yield* opened()
        const browser = yield* Effect.forkChild(ask(port, answer))
        yield* join
        yield* end()
        const { body, headers } = yield* Fiber.join(browser)
        for (const secret of ["c0de", state]) assert.notInclude(body, secret)
        assert.notMatch(body, /https?:|src=|href=/)
        assert.include(body, 'lang="en"')
        assert.include(body, "color-scheme:light dark")
        assert.include(body, "history.replaceState")
        assert.strictEqual(headers["referrer-policy"], "no-referrer")
        assert.strictEqual(headers["cache-control"], "no-store")
        const policy = headers["content-security-policy"] ?? ""
        assert.include(policy, "default-src 'none'")
        assert.include(policy, "frame-ancestors 'none'")
        assert.notInclude(policy, "unsafe")
      }).pipe(Effect.scoped)
  )

  const refused: ReadonlyArray<readonly [string, number, string, Http.RequestOptions?]> = [
    ["the favicon", 404, "/favicon.ico"],
    ["a scanner", 404, "/.env"],
    ["a path that begins the same", 404, `/callback/x?state=${state}`],
    ["no state", 403, "/callback?code=x"],
    ["a wrong state", 403, "/callback?code=x&state=other"],
    ["an error with a wrong state", 403, "/callback?error=access_denied&state=other"],
    ["attack: DNS rebinding, another host name", 421, answer, { headers: { host: "attacker.test" } }],
    ["attack: DNS rebinding, our port under another name", 421, answer, { headers: { host: "attacker.test:PORT" } }],
    ["localhost, which was not asked for", 421, answer, { headers: { host: "localhost:PORT" } }],
    ["attack: a script's request", 403, answer, { headers: { "sec-fetch-dest": "empty" } }],
    ["attack: an image", 403, answer, { headers: { "sec-fetch-dest": "image" } }],
    ["attack: a frame", 403, answer, { headers: { "sec-fetch-dest": "iframe" } }],
    ["attack: a cross-site form, where none is waited for", 405, answer, form],
    ["HEAD", 405, answer, { method: "HEAD" }],
    ["OPTIONS", 405, answer, { method: "OPTIONS" }]
  ]
  for (const [what, status, path, options = {}] of refused) {
    it.live(`refuses ${what}, and the login goes on`, () =>
      Effect.gen(function* () {
        const { end, join, port, taken } = yield* opened()
        const headers = Object.fromEntries(
          Object.entries(options.headers ?? {}).map(([name, value]) => [
            name,
            String(value).replace("PORT", String(port))
          ])
        )
        const said = yield* ask(port, path, { ...options, headers })
        assert.strictEqual(said.status, status)
        assert.notInclude(said.body, "signed in")
        assert.isUndefined(yield* taken)
        const browser = yield* Effect.forkChild(ask(port, answer))
        assert.strictEqual(yield* join, answer)
        yield* end()
        assert.strictEqual((yield* Fiber.join(browser)).status, 200)
      }).pipe(Effect.scoped)
    )
  }

  it.live("takes a form where one is waited for, and nothing else that is posted", () =>
    Effect.gen(function* () {
      const { end, join, port, taken } = yield* opened({ responseMode: "form_post" })
      const json = { method: "POST", headers: { "content-type": "application/json" } }
      assert.strictEqual((yield* ask(port, "/callback", json, `code=c&state=${state}`)).status, 415)
      assert.strictEqual((yield* ask(port, "/callback", form, "code=c&state=other")).status, 403)
      assert.strictEqual((yield* ask(port, answer, form, "code=c&state=other")).status, 403)
      assert.strictEqual((yield* ask(port, "/callback", form, "x".repeat(100_000))).status, 413)
      assert.isUndefined(yield* taken)
      const browser = yield* Effect.forkChild(ask(port, "/callback", form, `code=c&state=${state}`))
      assert.strictEqual(yield* join, `code=c&state=${state}`)
      yield* end()
      assert.strictEqual((yield* Fiber.join(browser)).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("a second request with the right state changes nothing, and is told the same end", () =>
    Effect.gen(function* () {
      const { arrived, end, join, port } = yield* opened()
      const first = yield* Effect.forkChild(ask(port, answer))
      assert.strictEqual(yield* join, answer)
      const second = yield* Effect.forkChild(ask(port, `/callback?error=access_denied&state=${state}`))
      yield* arrived(2)
      yield* end()
      for (const fiber of [first, second]) assert.strictEqual((yield* Fiber.join(fiber)).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("attack: slow and silent callers on the port hold up nobody, however many they are", () =>
    Effect.gen(function* () {
      const { end, join, port } = yield* opened()
      for (let caller = 0; caller < 200; caller++) {
        const socket = yield* connect(port)
        if (caller % 2 === 0) socket.write("GET /callback?code=x HTTP/1.1\r\nHost: 127")
      }
      const browser = yield* Effect.forkChild(ask(port, answer))
      assert.strictEqual(yield* join, answer)
      yield* end()
      assert.strictEqual((yield* Fiber.join(browser)).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("attack: of many silent callers the one that has been there for longest makes room, and no other", () =>
    Effect.gen(function* () {
      const { end, join, port } = yield* opened()
      const oldest = yield* connect(port)
      let isGone = false
      oldest.resume().once("close", () => (isGone = true))
      const next = yield* connect(port)
      const others: Array<Net.Socket> = []
      for (let caller = 2; caller < 65; caller++) others.push(yield* connect(port))
      // By round trips and not by time: silence alone would end it too, after seconds, and most often the next one with it.
      for (const other of others.slice(0, 20)) {
        if (isGone) break
        other.write(`GET /nothing HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
        yield* Effect.callback<void>((resume) => void other.once("data", () => resume(Effect.void)))
      }
      assert.isTrue(isGone)
      next.write(`GET ${answer} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
      assert.strictEqual(yield* join, answer)
      next.destroy()
      yield* end()
    }).pipe(Effect.scoped)
  )

  it.live("attack: a head without end is cut off, and what is no HTTP at all", () =>
    Effect.gen(function* () {
      const { end, join, port } = yield* opened()
      for (const nonsense of [
        `GET /callback HTTP/1.1\r\nX: ${"x".repeat(100_000)}`,
        "\u0016\u0003\u0001",
        "GET\r\n\r\n"
      ]) {
        const socket = yield* connect(port)
        const closed = yield* Effect.forkChild(
          Effect.callback<void>((resume) => {
            socket.resume()
            socket.once("close", () => resume(Effect.void))
          }),
          { startImmediately: true }
        )
        socket.write(nonsense)
        yield* Fiber.join(closed)
      }
      const browser = yield* Effect.forkChild(ask(port, answer))
      assert.strictEqual(yield* join, answer)
      yield* end()
      yield* Fiber.join(browser)
    }).pipe(Effect.scoped)
  )

  it.live("a browser that went away does not hold up the end", () =>
    Effect.gen(function* () {
      const { end, join, port } = yield* opened()
      const socket = yield* connect(port)
      socket.write(`GET ${answer} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
      assert.strictEqual(yield* join, answer)
      socket.destroy()
      yield* end()
      yield* Effect.flip(connect(port))
    }).pipe(Effect.scoped)
  )

  it.live("listens on both loopback addresses with one port, and on nothing else", () =>
    Effect.gen(function* () {
      const { end, join, port } = yield* opened()
      const browser = yield* Effect.forkChild(ask(port, answer, { host: "::1", headers: { host: `[::1]:${port}` } }))
      assert.strictEqual(yield* join, answer)
      yield* end()
      assert.strictEqual((yield* Fiber.join(browser)).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("takes the first of its fixed ports that is free at both; fails where none is", () =>
    Effect.gen(function* () {
      const busy = yield* opened()
      const error = yield* Effect.flip(opened({ ports: [busy.port] }))
      assert.deepInclude(error, { _tag: "LoginFailed", reason: "NoRedirect", issuer: "https://id.example" })
      const free = yield* opened()
      yield* free.end()
      assert.strictEqual((yield* opened({ ports: [busy.port, free.port] })).port, free.port)
    }).pipe(Effect.scoped)
  )

  it.live("no log and no span has the code", () =>
    Effect.gen(function* () {
      const text = yield* printed(
        Effect.gen(function* () {
          const { end, join, port } = yield* opened()
          const browser = yield* Effect.forkChild(ask(port, answer))
          yield* Effect.asVoid(join)
          yield* end()
          yield* Fiber.join(browser)
        })
      )
      assert.notInclude(text, "c0de")
    }).pipe(Effect.scoped)
  )
})

describe("LoopbackPort", () => {
  const servers = () => Http.createServer((_, response) => response.end("here"))
  const nowhere = { v4: "192.0.2.1", v6: "2001:db8::1" } // kept for documentation: no machine has them (RFC 5737, RFC 3849)

  it.live.each([
    ["IPv4 alone", ["127.0.0.1", nowhere.v6], ["127.0.0.1"]],
    ["IPv6 alone", [nowhere.v4, "::1"], ["[::1]"]],
    ["both", ["127.0.0.1", "::1"], ["127.0.0.1", "[::1]"]]
  ] as const)("works where there is %s", ([, addresses, hosts]) =>
    Effect.gen(function* () {
      const bound = yield* LoopbackPort.bind(servers, [0], addresses)
      assert.deepStrictEqual(bound?.hosts, [...hosts])
    }).pipe(Effect.scoped)
  )

  it.live("nothing where there is neither", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* LoopbackPort.bind(servers, [0], [nowhere.v4, nowhere.v6]))
    }).pipe(Effect.scoped)
  )

  it.live("a port that somebody has at the other address is left to them", () =>
    Effect.gen(function* () {
      const theirs = yield* LoopbackPort.bind(servers, [0], ["::1"])
      assert.isUndefined(yield* LoopbackPort.bind(servers, [theirs?.port ?? 0]))
      const free = yield* Effect.scoped(LoopbackPort.bind(servers, [0]))
      assert.strictEqual((yield* LoopbackPort.bind(servers, [theirs?.port ?? 0, free?.port ?? 0]))?.port, free?.port)
    }).pipe(Effect.scoped)
  )
})
