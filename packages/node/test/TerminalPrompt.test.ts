import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { type DeviceCodePrompt, UserPrompt } from "keyfob"
import type { Browser } from "../src/Browser.ts"
import * as TerminalPrompt from "../src/TerminalPrompt.ts"

const prompt: DeviceCodePrompt = {
  issuer: "https://id.test",
  verificationUri: "https://id.test/device",
  verificationUriComplete: "https://id.test/device?user_code=ABCD-EFGH",
  userCode: "ABCD-EFGH",
  expiresAt: DateTime.makeUnsafe(900_000),
  interval: 5
}

/** Shows a prompt; `shown` takes what has come on standard error since it was last asked. */
const show = Effect.fnUntraced(function* (
  layer: Layer.Layer<UserPrompt, never, Stdio.Stdio>,
  isTerminal: boolean,
  asked: DeviceCodePrompt = prompt
) {
  let output = ""
  const stdio = Stdio.layerTest({
    stderrIsTerminal: Effect.succeed(isTerminal),
    stderr: () =>
      Sink.forEach((chunk: string | Uint8Array) =>
        Effect.sync(() => {
          output += String(chunk)
        })
      )
  })
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  yield* UserPrompt.use(({ deviceCode }) => Scope.provide(deviceCode(asked), scope)).pipe(
    Effect.provide(Layer.provide(layer, stdio))
  )
  const shown = Effect.sync(() => {
    const text = output
    output = ""
    return text
  })
  return { shown, end: Scope.close(scope, Exit.void) }
})

const words = `To sign in at https://id.test, open this page on any device:

    https://id.test/device

and enter the code    ABCD-EFGH

This link has the code in it:

    https://id.test/device?user_code=ABCD-EFGH

`
const escape = "\u001b"

it.effect("without a terminal: words alone", () =>
  Effect.gen(function* () {
    const { end, shown } = yield* show(TerminalPrompt.layer({ color: true }), false)
    assert.strictEqual(yield* shown, `${words}The code is good for 15:00 minutes.\n`)
    yield* TestClock.adjust("1 minute")
    yield* end
    assert.strictEqual(yield* shown, "")
  })
)

it.effect("on a terminal: a QR code, and the time that is left on one line until the login ends", () =>
  Effect.gen(function* () {
    const { end, shown } = yield* show(TerminalPrompt.layer({ color: true }), true)
    yield* TestClock.adjust("0 seconds")
    const line = (left: string) =>
      `\r${escape}[KWaiting for your approval; the code is good for another ${left} minutes`
    const first = yield* shown
    assert.isTrue(first.startsWith(words))
    assert.include(first, "▀")
    assert.isTrue(first.endsWith(line("15:00")))
    yield* TestClock.adjust("2 seconds")
    assert.strictEqual(yield* shown, line("14:59") + line("14:58"))
    yield* end
    assert.strictEqual(yield* shown, `\r${escape}[K`)
    yield* TestClock.adjust("5 seconds")
    assert.strictEqual(yield* shown, "")
  })
)

it.effect("on a terminal without color: a QR code, and nothing that a terminal obeys", () =>
  Effect.gen(function* () {
    const { end, shown } = yield* show(TerminalPrompt.layer({ color: false }), true)
    yield* TestClock.adjust("2 seconds")
    yield* end
    const text = yield* shown
    assert.include(text, "█")
    assert.isTrue(text.endsWith("The code is good for 15:00 minutes.\n"))
    assert.notMatch(text, /[^\P{Cc}\n]/u)
  })
)

it.effect("a provider cannot speak to the terminal, and a long link stays whole", () =>
  Effect.gen(function* () {
    const long = `https://id.test/device?user_code=${"x".repeat(300)}`
    const { shown } = yield* show(TerminalPrompt.layer({ color: false }), false, {
      ...prompt,
      issuer: `https://id.test/${escape}]0;title\u0007`,
      userCode: `AB${escape}[2J\u009b31m\nCD`,
      verificationUri: `https://id.t\u0435st/${escape}[2Jdevice`,
      verificationUriComplete: long
    })
    const text = yield* shown
    assert.notMatch(text, /[^\P{Cc}\n]/u)
    assert.include(text, "AB [2J 31m CD\n")
    assert.include(text, "https://id.xn--tst-rdd/%1B[2Jdevice\n")
    assert.include(text, `    ${long}\n`)
  })
)

it.effect("as JSON: one event a line", () =>
  Effect.gen(function* () {
    yield* TestClock.adjust("1500 millis")
    const { end, shown } = yield* show(TerminalPrompt.layerJson(), true)
    yield* TestClock.adjust("2 seconds")
    yield* end
    const text = yield* shown
    assert.deepStrictEqual(
      text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line)),
      [
        {
          event: "device_code",
          verification_uri: "https://id.test/device",
          verification_uri_complete: "https://id.test/device?user_code=ABCD-EFGH",
          user_code: "ABCD-EFGH",
          expires_in: 899,
          interval: 5
        },
        { event: "waiting", for: "approval" }
      ]
    )
  })
)

it.effect("as JSON: what was not given is absent, what a terminal obeys is escaped and not lost", () =>
  Effect.gen(function* () {
    const { verificationUriComplete: _, ...rest } = prompt
    const { shown } = yield* show(TerminalPrompt.layerJson(), true, { ...rest, userCode: "A\u009b2J\u202e\n" })
    const text = yield* shown
    assert.notMatch(text, /[^\P{Cc}\n]/u)
    const event = JSON.parse(text.split("\n")[0] ?? "")
    assert.notProperty(event, "verification_uri_complete")
    assert.strictEqual(event.user_code, "A\u009b2J\u202e\n")
  })
)

describe("the browser's page", () => {
  const page = {
    issuer: "https://id.test",
    url: "https://id.test/authorize?client_id=app&state=xyz",
    redirectUri: "http://127.0.0.1:40459/callback"
  }
  const invitation = `To sign in at https://id.test, open this page in a browser:

    ${page.url}

`

  /** A page shown on a screen where these lines are typed; what was opened and pasted. */
  const invite = Effect.fnUntraced(function* (
    options: {
      readonly json?: boolean
      readonly terminal?: boolean
      readonly browser?: Partial<Browser>
      readonly typed?: ReadonlyArray<string>
    } = {}
  ) {
    let output = ""
    const opened: Array<string> = []
    const pasted: Array<string> = []
    const browser: Browser = {
      isAtHand: Effect.succeed(true),
      open: (url) => Effect.sync(() => opened.push(url) > 0),
      tunnel: (port) => Effect.succeed(`ssh -N -L ${port}:127.0.0.1:${port} me@host`),
      ...options.browser
    }
    const given = options.browser === undefined ? {} : { browser }
    const isTerminal = Effect.succeed(options.terminal ?? false)
    const stdio = Stdio.layerTest({
      stdinIsTerminal: isTerminal,
      stderrIsTerminal: isTerminal,
      stdin: Stream.fromIterable((options.typed ?? []).map((line) => new TextEncoder().encode(line))),
      stderr: () => Sink.forEach((chunk: string | Uint8Array) => Effect.sync(() => void (output += String(chunk))))
    })
    const layer =
      options.json === true ? TerminalPrompt.layerJson(given) : TerminalPrompt.layer({ color: false, ...given })
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const paste = (text: Redacted.Redacted) =>
      Effect.sync(() => pasted.push(Redacted.value(text))).pipe(
        Effect.map(() => Redacted.value(text).includes("right"))
      )
    yield* UserPrompt.use(({ browser }) => Scope.provide(browser({ ...page, paste }), scope)).pipe(
      Effect.provide(Layer.provide(layer, stdio))
    )
    yield* TestClock.adjust("5 seconds")
    return { output, opened, pasted }
  })

  it.effect("its address is shown, browser or not; nothing is opened where none was given (law 11)", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* invite(), { output: invitation, opened: [], pasted: [] })
      assert.deepStrictEqual(yield* invite({ browser: {} }), { output: invitation, opened: [page.url], pasted: [] })
    })
  )

  it.effect("a browser that does not open is a warning", () =>
    Effect.gen(function* () {
      const { output } = yield* invite({ browser: { open: () => Effect.succeed(false) } })
      assert.strictEqual(output, `${invitation}Warning: no browser could be opened; open the page yourself.\n`)
    })
  )

  it.effect("an opener that hangs holds up nobody", () =>
    Effect.gen(function* () {
      const { output } = yield* invite({ browser: { open: () => Effect.never } })
      assert.strictEqual(output, invitation)
    })
  )

  it.effect("where no browser is at hand: the line for a tunnel to the port, and none is opened", () =>
    Effect.gen(function* () {
      const { opened, output } = yield* invite({ browser: { isAtHand: Effect.succeed(false) } })
      assert.deepStrictEqual(opened, [])
      assert.include(output, "    ssh -N -L 40459:127.0.0.1:40459 me@host\n")
    })
  )

  it.effect("on a terminal the answer can be pasted; what is none is said, and the next line read", () =>
    Effect.gen(function* () {
      const typed = ["wrong\n\n", "http://127.0.0.1:40459/callback?code=ri", "ght\nnever read\n"]
      const { output, pasted } = yield* invite({ terminal: true, typed })
      assert.deepStrictEqual(pasted, ["wrong", "http://127.0.0.1:40459/callback?code=right"])
      assert.include(output, "paste the address it ends at here")
      assert.strictEqual(output.split("That is not the answer to this login").length, 2)
      assert.notInclude(output, "right")
    })
  )

  it.effect("without a terminal nothing is read", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* invite({ typed: ["right\n"] })).pasted, [])
    })
  )

  it.effect("as JSON: the event, opened all the same, warnings as notes", () =>
    Effect.gen(function* () {
      const lines = (output: string) =>
        output
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line))
      const well = yield* invite({ json: true, browser: {} })
      assert.deepStrictEqual(lines(well.output), [
        { event: "browser", url: page.url, redirect_uri: page.redirectUri },
        { event: "waiting", for: "browser" }
      ])
      assert.deepStrictEqual(well.opened, [page.url])
      const badly = yield* invite({ json: true, browser: { open: () => Effect.succeed(false) } })
      assert.strictEqual(lines(badly.output)[2].event, "note")
    })
  )
})
