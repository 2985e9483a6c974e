/** One request of a caller for a token, and how it ended: one of the four outcomes, or something that must not be. */
import { Cause, Context, type Exit } from "effect"
import { HttpClientError } from "effect/http"
import { adviceOf, type AuthError, LoginRequired, toJson } from "keyfob"
import type { Asked, How } from "./Program.ts"

/** What was so when it began: who judges the end looks back to it. */
export interface Ask {
  readonly whose: Asked
  readonly how: How
  readonly isLogin: boolean
  /** The true time, the store's count of changes, of faults, and how often the process's clock had been set. */
  readonly at: number
  readonly tick: number
  readonly faults: number
  readonly clockSets: number
}

/** The ask that a request belongs to. */
export const CurrentAsk = Context.Reference<Ask | undefined>("model/CurrentAsk", { defaultValue: () => undefined })

export type End =
  | { readonly _tag: "Answered"; readonly value: unknown }
  | { readonly _tag: "Dead"; readonly error: LoginRequired }
  | { readonly _tag: "Transient"; readonly error: AuthError }
  | { readonly _tag: "GaveUp" }
  /** There was a token, and the API could not be reached. */
  | { readonly _tag: "ApiFailed" }
  /** None of the four. */
  | { readonly _tag: "Strange"; readonly what: string }

const isAuthError = (error: unknown): error is AuthError =>
  typeof error === "object" &&
  error !== null &&
  "_tag" in error &&
  "reason" in error &&
  typeof error.reason === "string"

export const endOf = (how: How, exit: Exit.Exit<unknown, unknown>): End => {
  if (exit._tag === "Success") return { _tag: "Answered", value: exit.value }
  if (Cause.hasInterruptsOnly(exit.cause)) return { _tag: "GaveUp" }
  const error = Cause.squash(exit.cause)
  // One of Keyfob's errors that is thrown and not in the type is none that a caller can catch.
  if (Cause.hasDies(exit.cause)) return { _tag: "Strange", what: `a defect: ${String(error)}` }
  if (error instanceof LoginRequired) return { _tag: "Dead", error }
  if (how === "call" && HttpClientError.isHttpClientError(error)) return { _tag: "ApiFailed" }
  // A store that cannot be used is somebody's to mend; nothing is lost over it. A token that is refused at once is renewed
  // once for who shows it.
  const passes =
    isAuthError(error) &&
    (["retry", "wait", "refresh"].includes(adviceOf(error).retry) ||
      error._tag === "StoreFailed" ||
      error._tag === "AnswerRejected")
  if (passes) return { _tag: "Transient", error }
  return { _tag: "Strange", what: isAuthError(error) ? JSON.stringify(toJson(error)) : String(error) }
}
