import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"

const seconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** What `90s`, `5m`, `2h` or `30d` means; `undefined` where the text is none of those. */
export const parse = (text: string): Duration.Duration | undefined => {
  const [, amount, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  return amount === undefined || unit === undefined
    ? undefined
    : Duration.seconds(Number(amount) * (seconds[unit] ?? 1))
}

/** A flag whose value reads like `90s`, `5m`, `2h`. */
export const flag = (name: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("DURATION"),
    Flag.mapEffect((text) => {
      const duration = parse(text)
      return duration === undefined
        ? Effect.fail(
            new CliError.InvalidValue({
              option: name,
              value: text,
              expected: "a duration like 90s, 5m or 2h",
              kind: "flag"
            })
          )
        : Effect.succeed(duration)
    })
  )
