/** JWTs that a platform leaves on the machine for the workload that runs there, or a program gets. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ConfigurationInvalid, printable } from "keyfob"
import { type Program, programOutput } from "./programOutput.ts"
import * as SecretFile from "./SecretFile.ts"

/**
 * What a file holds now: it is read at each use, and so follows when it is rotated. Kubernetes projects a service account's
 * token so (`/var/run/secrets/…/token`, a link that moves), readable for a group: who else can read it is the platform's
 * business.
 */
export const file = (path: string): Effect.Effect<Redacted.Redacted, ConfigurationInvalid> =>
  Effect.map(SecretFile.read(path), ({ text }) => Redacted.make(Redacted.value(text).trim()))

/**
 * What a program prints, asked at each use; by default it has 30 s. No shell stands between, and it sees the environment
 * without what was meant for Keyfob (`KEYFOB_…`).
 */
export const command = (
  program: Program,
  options: { readonly timeout?: Duration.Input } = {}
): Effect.Effect<Redacted.Redacted, ConfigurationInvalid> => {
  const timeout = options.timeout ?? "30 seconds"
  const failed = (how: string) =>
    new ConfigurationInvalid({ reason: "Unreadable", detail: `${printable(program[0])} gave no assertion: ${how}` })
  return programOutput(program, { timeout }).pipe(
    Effect.mapError((failure) =>
      failed(
        failure._tag === "TimedOut"
          ? `it took longer than ${Duration.toSeconds(timeout)} s`
          : `it failed with ${failure.how}`
      )
    ),
    Effect.flatMap((printed) =>
      printed === "" ? Effect.fail(failed("it printed nothing")) : Effect.succeed(Redacted.make(printed))
    )
  )
}
