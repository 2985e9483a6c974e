/** The contract of prompts, held against prompts that are wrong in one way each: a suite that passes those is none. */
import { Cause, Effect, Exit, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { BrowserPrompt, DeviceCodePrompt, UserPrompt } from "keyfob"
import { expect, it, vi } from "vitest"
import { UserPromptContract } from "../src/index.ts"

type Case = () => Effect.Effect<void, unknown, Scope.Scope>
const cases = vi.hoisted(() => new Map<string, Case>())

// The suite registers its cases here instead of with vitest.
vi.mock("@effect/vitest", async (original) => {
  const register = (name: string, body: Case) => void cases.set(name, body)
  const each =
    (values: ReadonlyArray<ReadonlyArray<unknown>>) => (name: string, body: (value: unknown) => ReturnType<Case>) =>
      values.forEach((value) => cases.set(name.replace("%s", String(value[0])), () => body(value)))
  return {
    ...(await original<object>()),
    describe: (_: string, body: () => void) => body(),
    it: { effect: Object.assign(register, { each }) }
  }
})

type Print = (text: string) => Effect.Effect<void>
type Prompt = UserPrompt["Service"]

// oxlint-disable-next-line no-control-regex -- what it is about
const plain = (text: string) => text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/g, "?")
const device = (print: Print, { userCode, verificationUri }: DeviceCodePrompt) =>
  print(plain(`open ${verificationUri} and type ${userCode}`))
const page = (print: Print, { url }: BrowserPrompt) => print(plain(`open ${url}`))

const right = (print: Print): Prompt => ({
  deviceCode: (prompt) => device(print, prompt),
  browser: (prompt) => page(print, prompt)
})

/** One whose end is this. */
const ending =
  (last: Effect.Effect<void>) =>
  (print: Print): Partial<Prompt> => ({
    deviceCode: (prompt) =>
      Effect.andThen(
        device(print, prompt),
        Effect.addFinalizer(() => last)
      )
  })

const atOnce = "a device code: returns at once, since the login has to go on"
const end = "a device code: leaves nothing behind when the login ends, and does not hold it up"
const obeys = "obeys no text from outside"

const wrong: Readonly<Record<string, readonly [noticedBy: string, says: RegExp, (print: Print) => Partial<Prompt>]>> = {
  "one that waits for the person": [
    atOnce,
    /has not returned/,
    (print) => ({ deviceCode: (prompt) => Effect.andThen(device(print, prompt), Effect.never) })
  ],
  "one that waits and cannot be stopped": [
    atOnce,
    /has not returned/,
    (print) => ({
      deviceCode: (prompt) => Effect.andThen(device(print, prompt), Effect.uninterruptible(Effect.never))
    })
  ],
  "one that fails": [atOnce, /no terminal/, () => ({ deviceCode: () => Effect.die(new Error("no terminal")) })],
  "a farewell": [end, /end takes time/, ending(Effect.sleep("5 seconds"))],
  "an end that never comes": [end, /end takes time/, ending(Effect.never)],
  "a countdown that goes on": [
    end,
    /has changed after the login's end/,
    (print) => ({
      deviceCode: (prompt) => {
        const countdown = Effect.forever(Effect.andThen(Effect.sleep("1 second"), print("…")))
        return Effect.andThen(device(print, prompt), Effect.forkDetach(countdown))
      }
    })
  ],
  "the link alone": [
    "shows where to go and what to type",
    /to include/,
    (print) => ({ deviceCode: ({ verificationUriComplete = "" }) => print(verificationUriComplete) })
  ],
  "a link that may be missing": [
    "can do without the link that has the code in it",
    /undefined/,
    (print) => ({
      deviceCode: (prompt) => Effect.andThen(device(print, prompt), print(`or ${prompt.verificationUriComplete}`))
    })
  ],
  "a short address": [
    "shows the page to sign in at, whole",
    /to include/,
    (print) => ({ browser: ({ url }) => print(`${url.slice(0, 40)}…`) })
  ],
  "a code as it came": [obeys, /to not include/, (print) => ({ deviceCode: ({ userCode }) => print(userCode) })],
  "an issuer as it came": [obeys, /to not include/, (print) => ({ browser: ({ issuer }) => print(issuer) })]
}

/** The cases a prompt fails, with what they say. */
const failing = async (change: (print: Print) => Partial<Prompt>) => {
  cases.clear()
  const make = Effect.sync(() => {
    const shown: Array<string> = []
    const print: Print = (text) => Effect.sync(() => void shown.push(text))
    return { prompt: { ...right(print), ...change(print) }, shown: Effect.sync(() => shown.join("\n")) }
  })
  UserPromptContract.suite("test", make)
  const found = new Map<string, string>()
  for (const [name, body] of cases) {
    const exit = await Effect.runPromiseExit(
      Effect.suspend(body).pipe(Effect.scoped, Effect.provide(TestClock.layer()))
    )
    if (Exit.isFailure(exit)) found.set(name, Cause.pretty(exit.cause))
  }
  return found
}

it("a prompt that is right passes", async () => {
  expect([...(await failing(() => ({}))).keys()]).toEqual([])
  expect(cases.size).toBe(9)
})

it.each(Object.entries(wrong))("%s is noticed", async (_, [noticedBy, says, change]) => {
  expect((await failing(change)).get(noticedBy)).toMatch(says)
})
