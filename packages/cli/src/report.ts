/** What is said of a command's end: nothing, an error of ours, a command line that makes no sense, or a bug. */
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import { isAuthError, printable } from "keyfob"
import {
  type CommandError,
  Ended,
  Failure,
  OutputFailed,
  ProblemsFound,
  type Report,
  reportOf,
  SystemFailure,
  UsageError
} from "./failure.ts"

/** The report of a command's end, or `undefined` where there is nothing to say (help, an interruption). */
export const reportOfCause = (cause: Cause.Cause<unknown>): Report | undefined => {
  if (Cause.hasInterruptsOnly(cause)) return undefined
  const error = Cause.squash(cause)
  if (error instanceof Ended) return undefined
  if (CliError.isCliError(error)) {
    if (error._tag !== "ShowHelp") return reportOf(usage(error, ["keyfob"]))
    const [first] = error.errors
    return first === undefined ? undefined : reportOf(usage(first, error.commandPath))
  }
  return isCommandError(error) ? reportOf(error) : bug(error)
}

const isCommandError = (error: unknown): error is CommandError =>
  [Failure, SystemFailure, UsageError, ProblemsFound, OutputFailed].some((one) => error instanceof one) ||
  isAuthError(error)

const bug = (defect: unknown): Report => {
  const what = defect instanceof Error ? `${defect.name}: ${printable(defect.message)}` : "unknown defect"
  const message = `a bug in keyfob (please report): ${what}`
  const remedy = "Report it with the command you ran and what keyfob --version says"
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
      // Nothing secret is that short, and taking it out would take letters out of words.
      const expected = error.value.length < 4 ? error.expected : error.expected.replaceAll(error.value, "…")
      return `${name} needs another value; ${lowerFirst(expected)}`
    }
    default:
      return printable(error.message)
  }
}

const meant = ([first]: ReadonlyArray<string>) => (first === undefined ? "" : `; did you mean ${first}?`)
const lowerFirst = (text: string) => `${text.charAt(0).toLowerCase()}${text.slice(1)}`
