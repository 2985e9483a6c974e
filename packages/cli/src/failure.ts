/** How a command ends when it does not end well: one sentence, what to do about it, and an exit code. */
import * as Data from "effect/Data"
import * as Runtime from "effect/Runtime"
import { type AuthError, adviceOf, type Retry, toJson } from "keyfob"

/** An {@link AuthError} with the remedy that fits where it happened, and the sentence where its reason says too much. */
export class Failure extends Data.TaggedError("Failure")<{
  readonly error: AuthError
  readonly remedy: string
  readonly sentence?: string
}> {
  override get message() {
    return this.sentence ?? this.error.message
  }
}

/** A failure that one of the systems has besides those of signing in. */
export class SystemFailure extends Data.TaggedError("SystemFailure")<{
  readonly error: Error & { readonly _tag: string; readonly remedy: string; readonly [Runtime.errorExitCode]: number }
}> {
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

/** The answer could not be written where it was wanted: a full disk, say. */
export class OutputFailed extends Data.TaggedError("OutputFailed")<{ readonly code: string }> {
  override get message() {
    return `the answer could not be written to standard output (${this.code})`
  }
}

/** What a command can fail with. */
export type CommandError = AuthError | Failure | SystemFailure | UsageError | ProblemsFound | OutputFailed

/** The program that ran in the command's place has ended: what there was to say, it has said. */
export class Ended extends Data.TaggedError("Ended")<{ readonly exitCode: number }> {}

export interface Report {
  readonly exitCode: number
  readonly message: string
  readonly remedy: string
  /** As it is printed with `-o json`. */
  readonly json: Readonly<Record<string, unknown>>
}

/** The report of an error of ours. */
export const reportOf = (error: CommandError): Report => {
  switch (error._tag) {
    case "UsageError":
      return own(error, 2, error.remedy, "fix configuration")
    case "ProblemsFound":
      return own(error, error.exitCode, "Each of them says what helps", "fix configuration")
    case "OutputFailed":
      return own(error, 5, "Make room there, or send it elsewhere", "retry")
    case "SystemFailure": {
      const { _tag: tag, message, remedy, [Runtime.errorExitCode]: exitCode } = error.error
      const retry = exitCode === 5 ? "retry" : "give up"
      return { exitCode, message, remedy, json: { tag, message, remedy, retry } }
    }
    case "Failure": {
      const { message, remedy, sentence } = error
      const { reason, ...json } = toJson(error.error)
      const said = { ...json, message, remedy, ...(sentence === undefined ? { reason } : {}) }
      return { ...reportOf(error.error), message, remedy, json: said }
    }
    default: {
      const { exitCode, remedy } = adviceOf(error)
      return { exitCode, message: error.message, remedy, json: toJson(error) }
    }
  }
}

/** Of an error that the library does not have. */
const own = (
  { _tag: tag, message }: UsageError | ProblemsFound | OutputFailed,
  exitCode: number,
  remedy: string,
  retry: Retry
) => ({ exitCode, message, remedy, json: { tag, message, remedy, retry } }) satisfies Report
