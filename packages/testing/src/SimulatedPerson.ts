import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as HttpClient from "effect/http/HttpClient"
import { type BrowserPrompt, type DeviceCodePrompt, RedirectReceiver, UserPrompt } from "keyfob"
import * as SimulatedBrowser from "./SimulatedBrowser.ts"
import { SimulatedProvider } from "./SimulatedProvider.ts"

/** What a simulated person does with what a login shows them. */
export interface PersonScript {
  readonly person: string
  /** Default: approve. */
  readonly decision?: "approve" | "deny"
  /** How long it takes them to type the code or open the page. Default: no time. */
  readonly after?: Duration.Input
}

/**
 * The person in front of the screen: answers what a login asks through Keyfob's `UserPrompt`, and their browser brings
 * the provider's answer to Keyfob's `RedirectReceiver`.
 *
 * Without a script they only look: what the provider was told with `approve` or `deny` happens, on the page they open as
 * well. With one, they type the code they were shown at the provider's page, or sign in there, and a login that shows
 * nothing is never approved.
 */
export class SimulatedPerson extends Context.Service<
  SimulatedPerson,
  {
    /** The device codes they were shown, oldest first. */
    readonly shown: Effect.Effect<ReadonlyArray<DeviceCodePrompt>>
    /** The pages they were to open, oldest first. */
    readonly pages: Effect.Effect<ReadonlyArray<BrowserPrompt>>
  }
>()("@keyfob/testing/SimulatedPerson") {
  static readonly layer = (
    script?: PersonScript
  ): Layer.Layer<SimulatedPerson | UserPrompt | RedirectReceiver, never, SimulatedProvider | HttpClient.HttpClient> =>
    Layer.effectContext(
      Effect.gen(function* () {
        const provider = yield* SimulatedProvider
        const http = yield* HttpClient.HttpClient
        // No device shows no code: this asks for the name alone. Mistyped, it would be a login that nobody completes.
        if (script !== undefined) yield* provider.enterCode("", script.person, "approve")
        const shown: Array<DeviceCodePrompt> = []
        const pages: Array<BrowserPrompt> = []
        const open = new Set<(address: string) => Effect.Effect<void>>()

        const deviceCode = Effect.fnUntraced(function* (prompt: DeviceCodePrompt) {
          shown.push(prompt)
          if (script === undefined) return
          yield* provider
            .enterCode(prompt.userCode, script.person, script.decision ?? "approve")
            .pipe(Effect.delay(script.after ?? 0), Effect.forkScoped)
        })

        const browser = Effect.fnUntraced(function* (prompt: BrowserPrompt) {
          pages.push(prompt)
          const signIn =
            script === undefined ? undefined : { person: script.person, decision: script.decision ?? "approve" }
          yield* SimulatedBrowser.visit(prompt.url, signIn).pipe(
            // Nobody has decided yet, or nobody is there: whoever waits presses reload.
            Effect.retry({ schedule: reload, while: (error) => error._tag !== "Stuck" || error.status === 200 }),
            Effect.flatMap(({ href }) => Effect.forEach([...open], (bring) => bring(href))),
            Effect.ignore,
            Effect.delay(script?.after ?? 0),
            Effect.provideService(HttpClient.HttpClient, http),
            Effect.forkScoped
          )
        })

        const receiver = RedirectReceiver.of({
          open: Effect.fnUntraced(function* ({ recognizes }) {
            const answer = yield* Deferred.make<Redacted.Redacted>()
            const bring = (address: string) =>
              recognizes(address) ? Deferred.succeed(answer, Redacted.make(address)) : Effect.void
            yield* Effect.acquireRelease(
              Effect.sync(() => open.add(bring)),
              () => Effect.sync(() => open.delete(bring))
            )
            return { redirectUri: "http://127.0.0.1:49152/callback", answer: Deferred.await(answer) }
          })
        })

        return Context.make(UserPrompt, { deviceCode, browser }).pipe(
          Context.add(RedirectReceiver, receiver),
          Context.add(SimulatedPerson, {
            shown: Effect.sync(() => [...shown]),
            pages: Effect.sync(() => [...pages])
          })
        )
      })
    )
}

const reload = Schedule.spaced("5 minutes")
