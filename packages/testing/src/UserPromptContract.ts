/**
 * What every `UserPrompt` must do, as a test suite for vitest: run it over one of your own.
 *
 * ```ts
 * import { UserPromptContract } from "@keyfob/testing"
 *
 * UserPromptContract.suite("my page", Effect.map(MyPage.make, ({ html, prompt }) => ({ prompt, shown: html })), { html: true })
 * ```
 */
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { BrowserPrompt, DeviceCodePrompt, UserPrompt } from "keyfob"

/** A prompt, and what a person has seen of it so far. */
export interface Screen {
  readonly prompt: UserPrompt["Service"]
  readonly shown: Effect.Effect<string>
}

export interface Options {
  /** What is shown is HTML: texts from outside must be escaped. Default: text, whose control characters must not get through. */
  readonly html?: boolean
}

const prompt: DeviceCodePrompt = {
  issuer: "https://id.example",
  verificationUri: "https://id.example/device",
  // Neither the page nor the code is to be found in it: who has no link to click needs both.
  verificationUriComplete: "https://id.example/d/4f1d9c",
  userCode: "WDJB-MJHT",
  expiresAt: DateTime.makeUnsafe(900_000),
  interval: 5
}

const page: BrowserPrompt = {
  issuer: "https://id.example",
  url: "https://id.example/authorize?client_id=app&state=xyz",
  redirectUri: "http://127.0.0.1:49152/callback",
  paste: () => Effect.succeed(false)
}

/** Shows a prompt in a scope of its own. */
const show = (screen: Screen, what: DeviceCodePrompt = prompt) => begin(screen.prompt.deviceCode(what))
const showPage = (screen: Screen, what: BrowserPrompt = page) => begin(screen.prompt.browser(what))

const begin = Effect.fnUntraced(function* (asking: Effect.Effect<void, never, Scope.Scope>) {
  const scope = yield* Scope.make()
  const shown = yield* run(Scope.provide(asking, scope))
  const closing = Effect.suspend(() => run(Scope.close(scope, Exit.void)))
  yield* Effect.addFinalizer(() => closing)
  return {
    shown: atOnce(shown, "the prompt has not returned: the login waits for it"),
    end: Effect.flatMap(closing, (closed) => atOnce(closed, "the prompt's end takes time: the login waits for it"))
  }
})

/** As far as it comes without time. Detached, since the test would wait for one that cannot be stopped. */
const run = <A>(effect: Effect.Effect<A>) =>
  Effect.tap(Effect.forkDetach(effect, { startImmediately: true }), TestClock.adjust(0))

const atOnce = (fiber: Fiber.Fiber<void>, otherwise: string) =>
  Effect.suspend(() => (fiber.pollUnsafe() === undefined ? Effect.die(new Error(otherwise)) : Fiber.join(fiber)))

/** Registers the suite under `name`. `make` is run anew for each case, under the test clock. */
export const suite = (name: string, make: Effect.Effect<Screen, never, Scope.Scope>, options: Options = {}): void => {
  describe(`UserPrompt contract: ${name}`, () => {
    it.effect("shows where to go and what to type", () =>
      Effect.gen(function* () {
        const screen = yield* make
        yield* show(screen)
        const shown = yield* screen.shown
        assert.include(shown, prompt.verificationUri)
        assert.include(shown, prompt.userCode)
      })
    )

    it.effect("can do without the link that has the code in it", () =>
      Effect.gen(function* () {
        const screen = yield* make
        const { verificationUriComplete: _, ...rest } = prompt
        yield* show(screen, rest)
        const shown = yield* screen.shown
        assert.include(shown, prompt.userCode)
        assert.notInclude(shown, "undefined")
      })
    )

    it.effect("shows the page to sign in at, whole", () =>
      Effect.gen(function* () {
        const screen = yield* make
        yield* showPage(screen)
        const { url } = page
        assert.include(yield* screen.shown, options.html === true ? url.replaceAll("&", "&amp;") : url)
      })
    )

    it.effect.each([["device code", show] as const, ["page", showPage] as const])(
      "a %s: returns at once, since the login has to go on",
      ([, begin]) =>
        Effect.gen(function* () {
          const { shown } = yield* begin(yield* make)
          yield* shown
        })
    )

    it.effect.each([["device code", show] as const, ["page", showPage] as const])(
      "a %s: leaves nothing behind when the login ends, and does not hold it up",
      ([, begin]) =>
        Effect.gen(function* () {
          const screen = yield* make
          const { end } = yield* begin(screen)
          yield* TestClock.adjust("3 seconds")
          yield* end
          const shown = yield* screen.shown
          yield* TestClock.adjust("1 hour")
          assert.strictEqual(yield* screen.shown, shown, "the screen has changed after the login's end")
        })
    )

    it.effect("outlives the code it shows", () =>
      Effect.gen(function* () {
        const screen = yield* make
        const { end } = yield* show(screen)
        yield* TestClock.adjust("20 minutes")
        yield* end
        assert.include(yield* screen.shown, prompt.userCode)
      })
    )

    it.effect("obeys no text from outside", () =>
      Effect.gen(function* () {
        const screen = yield* make
        yield* show(screen, {
          ...prompt,
          userCode: `AB${hostile.join("")}CD`,
          issuer: `https://id.example/${hostile.join("")}`
        })
        yield* showPage(screen, {
          ...page,
          issuer: `https://id.example/${hostile.join("")}`,
          url: `${page.url}&x=${hostile.join("")}`
        })
        const shown = yield* screen.shown
        for (const text of options.html === true ? markup : controls) assert.notInclude(shown, text)
      })
    )
  })
}

const markup = ["<img src=x onerror=alert(1)>", '"><script>alert(1)</script>']

/** What a terminal would obey: title, clearing, colours by one byte, direction of text, a line of its own. */
const controls = ["\u001b]0;title\u0007", "\u001b[2J", "\u009b31m", "\u202etxt", "\r\nkeyfob: "]

const hostile = [...controls, ...markup]
