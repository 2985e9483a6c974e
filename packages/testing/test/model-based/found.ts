/** What the model found in Keyfob, shortened: each program broke a law until the mistake was mended. */
import type { Program } from "./Program.ts"

export interface Found {
  readonly seed: string
  /** What was wrong. */
  readonly what: string
  readonly program: Program
}

export const found: ReadonlyArray<Found> = [
  {
    seed: "a/90",
    what: "a clock that is set back: the last failure was repeated, without asking anybody, for as long as the clock was wrong",
    program: {
      settings: {
        processes: 2,
        accessLifetime: 3600,
        idle: 10800,
        absolute: 7776000,
        grace: 0,
        rotation: true,
        retryAfter: 10800
      },
      steps: [
        { do: "recover", seed: 848068 },
        { do: "jump", process: 0, millis: -86400000 },
        { do: "recover", seed: 879069 }
      ]
    }
  }
]
