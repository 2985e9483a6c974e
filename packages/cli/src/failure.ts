/** How a command ends when it does not end well: one sentence, what to do about it, and an exit code. */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Predicate from "effect/Predicate"
import { type AuthError, adviceOf, printable, table, toJson } from "keyfob"
import * as CliError from "effect/cli/CliError"

/** An {@link AuthError} with the remedy that fits where it happened. */
export class Failure extends Data.TaggedError("Failure")<{ readonly error: AuthError; readonly remedy: string }> {
  override get message() {
    return this.error.message
  }
}

/** The command line does not make sense. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string; readonly remedy: string }> {}

/** What a command can fail with. */
export type CommandError = AuthError | Failure | UsageError

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
  const inner = error._tag === "Failure" ? error.error : error
  const { exitCode, remedy: usual } = adviceOf(inner)
  const remedy = error._tag === "Failure" ? error.remedy : usual
  return { exitCode, message: inner.message, remedy, json: { ...toJson(inner), remedy } }
}

/** The report of a command's end, or `undefined` where there is nothing to say (help, an interruption). */
export const reportOfCause = (cause: Cause.Cause<unknown>): Report | undefined => {
  if (Cause.hasInterruptsOnly(cause)) return undefined
  const error = Cause.squash(cause)
  if (CliError.isCliError(error)) {
    if (error._tag !== "ShowHelp") return reportOf(usage(error, ["keyfob"]))
    const [first] = error.errors
    return first === undefined ? undefined : reportOf(usage(first, error.commandPath))
  }
  return isCommandError(error) ? reportOf(error) : bug(error)
}

const isCommandError = (error: unknown): error is CommandError =>
  error instanceof Failure || error instanceof UsageError || isAuthError(error)

const isAuthError = (error: unknown): error is AuthError =>
  Predicate.hasProperty(error, "_tag") && Predicate.isString(error._tag) && Object.hasOwn(table, error._tag)

const bug = (defect: unknown): Report => {
  const what = defect instanceof Error ? `${defect.name}: ${printable(defect.message)}` : "unknown defect"
  const message = `a bug in keyfob (please report): ${what}`
  const remedy = "Report it with the command you ran; --log-level debug says more"
  return { exitCode: 1, message, remedy, json: { tag: "Bug", message, remedy, retry: "give up" } }
}

/** effect/cli's errors in our words. None repeats a value: somebody may have put a secret where it does not belong. */
const usage = (error: CliError.CliError, commandPath: ReadonlyArray<string>): UsageError =>
  new UsageError({ message: sentenceOf(error), remedy: `See: ${commandPath.join(" ")} --help` })

const sentenceOf = (error: CliError.CliError): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return `unknown flag ${printable(error.option.replace(/=.*$/s, ""))}${meant(error.suggestions)}`
    case "UnknownSubcommand":
      return `unknown command ${printable(error.subcommand)}${meant(error.suggestions)}`
    case "MissingOption":
      return `the flag --${error.option} is missing`
    case "MissingArgument":
      return `the argument ${error.argument.toUpperCase()} is missing`
    case "UnexpectedArgument":
      return "there are more arguments than the command takes"
    case "InvalidValue": {
      const name = error.kind === "flag" ? `--${error.option}` : error.option.toUpperCase()
      return `${name} needs another value; ${lowerFirst(error.expected.replaceAll(error.value, "…"))}`
    }
    default:
      return printable(error.message)
  }
}

const meant = ([first]: ReadonlyArray<string>) => (first === undefined ? "" : `; did you mean ${first}?`)
const lowerFirst = (text: string) => `${text.charAt(0).toLowerCase()}${text.slice(1)}`
