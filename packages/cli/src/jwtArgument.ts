/** The token a command reads: from its argument, from standard input, or the stored one. */
import * as Argument from "effect/cli/Argument"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as stdin from "./stdin.ts"

export const argument = Argument.String("token").pipe(
  Argument.withDescription("A JWT; - reads it from standard input, out of the process list"),
  Argument.optional
)

export const read = <E, R>(given: Option.Option<string>, stored: Effect.Effect<Redacted.Redacted, E, R>) =>
  Option.match(given, {
    onNone: () => stored,
    onSome: (text) => Effect.map(text === "-" ? stdin.text : Effect.succeed(text), (jwt) => Redacted.make(jwt.trim()))
  })
