import * as Data from "effect/Data"
import { errors } from "jose"
import { json, type Response } from "./Http.ts"

/** A request the provider says no to (RFC 6749 section 5.2). What it changed before saying so stays changed. */
export class Refusal extends Data.TaggedError("Refusal")<{
  readonly status: number
  /** The RFC's error code. */
  readonly error: string
  readonly description: string
  readonly headers: Readonly<Record<string, string>>
}> {}

/** No, with an error code and a sentence for a developer. Status 400 unless told otherwise. */
export const refuse = (
  error: string,
  description: string,
  options: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {}
) => new Refusal({ error, description, status: options.status ?? 400, headers: options.headers ?? {} })

/**
 * What is wrong with a JWT, in letters that a description may have (RFC 6749 section 5.2). It names claims, never what they
 * say.
 */
export const complaint = (what: string, error: unknown): string =>
  error instanceof errors.JOSEError
    ? `${what}: ${error.message.replaceAll('"', "'").replace(/[^ !#-[\]-~]/g, "")}`
    : what

/** The refusal as an answer. */
export const responseOf = ({ description, error, headers, status }: Refusal): Response =>
  json({ error, error_description: description }, status, headers)
