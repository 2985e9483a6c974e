/** One thing that was looked at, how it is, and what to do about it. */
import { type AuthError, adviceOf } from "keyfob"

export interface Finding {
  readonly check: string
  readonly status: "ok" | "warning" | "problem"
  readonly detail: string
  readonly remedy?: string
  /** Of a problem: what the command ends with if it is the first one. */
  readonly exitCode?: number
}

export const ok = (check: string, detail: string): Finding => ({ check, status: "ok", detail })

export const warning = (check: string, detail: string, remedy: string): Finding => ({
  check,
  status: "warning",
  detail,
  remedy
})

export const problem = (check: string, error: AuthError): Finding => {
  const { exitCode, remedy } = adviceOf(error)
  return { check, status: "problem", detail: error.message, remedy, exitCode }
}
