import { Console, Effect, Schema } from "effect"

/** A step was not what it should be. The transcript has said already what was expected. */
export class CheckFailed extends Schema.TaggedError<CheckFailed>()("CheckFailed", { expected: Schema.String }) {
  override get message() {
    return `not as it should be: ${this.expected}`
  }
}

export interface Transcript {
  readonly heading: (title: string) => Effect.Effect<void>
  readonly line: (text: string) => Effect.Effect<void>
  /** From now on only the first 8 characters of this are shown. */
  readonly secret: (value: string) => Effect.Effect<void>
  /** Whether a text holds a secret, told about before or after it was written. */
  readonly leaks: (text: string) => boolean
  readonly check: (holds: boolean, what: string) => Effect.Effect<void, CheckFailed>
}

/** What the demo tells its reader: commands, what they printed with the secrets cut short, and whether that was right. */
export const make = (): Transcript => {
  const secrets = new Set<string>()
  const jwt = /\beyJ[\w-]+\.[\w-]+\.[\w-]*/g // one that nobody told about is cut short all the same
  const cut = (secret: string) => `${secret.slice(0, 8)}…`
  const hide = (text: string) =>
    [...secrets].reduce((rest, secret) => rest.replaceAll(secret, cut(secret)), text).replace(jwt, cut)

  return {
    heading: (title) => Console.log(`\n${title}`),
    line: (text) => Console.log(hide(text)),
    secret: (value) => Effect.sync(() => void secrets.add(value)),
    leaks: (text) => text.search(jwt) >= 0 || [...secrets].some((secret) => text.includes(secret)),
    check: Effect.fnUntraced(function* (holds: boolean, what: string) {
      yield* Console.log(hide(`  ${holds ? "✓" : "✗"} ${what}`))
      if (!holds) return yield* new CheckFailed({ expected: what })
    })
  }
}
