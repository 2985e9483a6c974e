import * as Effect from "effect/Effect"
import { ConfigurationInvalid } from "./AuthError.ts"

/** A value that settings must have; else `ConfigurationInvalid` with `detail`, its name there. */
export const required = <A>(detail: string, value: A | undefined): Effect.Effect<A, ConfigurationInvalid> =>
  value === undefined
    ? Effect.fail(new ConfigurationInvalid({ reason: "MissingValue", detail }))
    : Effect.succeed(value)
