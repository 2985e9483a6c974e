/** How a command ends when it does not end well: one sentence, what to do about it, and an exit code. */
import * as Data from "effect/Data"
import { type AuthError, adviceOf, toJson } from "keyfob"

/** An {@link AuthError} with the remedy that fits where it happened. */
export class Failure extends Data.TaggedError("Failure")<{ readonly error: AuthError; readonly remedy: string }> {
  override get message() {
    return this.error.message
  }
}

/** The command line does not make sense. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string; readonly remedy: string }> {}

/** `doctor` found what it was looking for. The findings are its answer. */
export class ProblemsFound extends Data.TaggedError("ProblemsFound")<{
  readonly count: number
  readonly exitCode: number
}> {
  override get message() {
    return this.count === 1 ? "there is a problem" : `there are ${this.count} problems`
  }
}

/** What a command can fail with. */
export type CommandError = AuthError | Failure | UsageError | ProblemsFound

export interface Report {
  readonly exitCode: number
  readonly message: string
  readonly remedy: string
  /** As it is printed with `-o json`. */
  readonly json: Readonly<Record<string, unknown>>
}

/** The report of an error of ours. */
export const reportOf = (error: CommandError): Report => {
  if (error._tag === "UsageError") {
    const { message, remedy } = error
    return { exitCode: 2, message, remedy, json: { tag: "UsageError", message, remedy, retry: "fix configuration" } }
  }
  if (error._tag === "ProblemsFound") {
    const { exitCode, message } = error
    const remedy = "Each says what helps"
    return { exitCode, message, remedy, json: { tag: "ProblemsFound", message, remedy, retry: "fix configuration" } }
  }
  const inner = error._tag === "Failure" ? error.error : error
  const { exitCode, remedy: usual } = adviceOf(inner)
  const remedy = error._tag === "Failure" ? error.remedy : usual
  return { exitCode, message: inner.message, remedy, json: { ...toJson(inner), remedy } }
}
