import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type DeviceCodePrompt, UserPrompt } from "keyfob"
import { SimulatedProvider } from "./SimulatedProvider.ts"

/** What a simulated person does with what a login shows them. */
export interface PersonScript {
  readonly person: string
  /** Default: approve. */
  readonly decision?: "approve" | "deny"
  /** How long it takes them to type the code. Default: no time. */
  readonly after?: Duration.Input
}

/**
 * The person in front of the screen: answers what a login asks through Keyfob's `UserPrompt`.
 *
 * Without a script they only look: what the provider was told with `approve` or `deny` happens. With one, they type the
 * code they were shown at the provider's page, and a login that shows none is never approved.
 */
export class SimulatedPerson extends Context.Service<
  SimulatedPerson,
  {
    /** The device codes they were shown, oldest first. */
    readonly shown: Effect.Effect<ReadonlyArray<DeviceCodePrompt>>
  }
>()("@keyfob/testing/SimulatedPerson") {
  static readonly layer = (
    script?: PersonScript
  ): Layer.Layer<SimulatedPerson | UserPrompt, never, SimulatedProvider> =>
    Layer.effectContext(
      Effect.map(SimulatedProvider, (provider) => {
        const shown: Array<DeviceCodePrompt> = []
        const deviceCode = Effect.fnUntraced(function* (prompt: DeviceCodePrompt) {
          shown.push(prompt)
          if (script === undefined) return
          yield* provider
            .enterCode(prompt.userCode, script.person, script.decision ?? "approve")
            .pipe(Effect.delay(script.after ?? 0), Effect.forkScoped)
        })
        return Context.make(UserPrompt, { deviceCode }).pipe(
          Context.add(SimulatedPerson, { shown: Effect.sync(() => [...shown]) })
        )
      })
    )
}
