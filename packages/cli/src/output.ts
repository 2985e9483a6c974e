/** Where a command's words go: the answer to stdout and nothing else there, all else to stderr. */
import * as Effect from "effect/Effect"
import type { Globals, OutputMode } from "./globals.ts"
import { OutputFailed, type Report } from "./failure.ts"
import { Streams } from "./streams.ts"

/**
 * Prints the answer: one JSON document, or text for a person.
 *
 * @param json times in it are ISO 8601 in UTC; a member that is `undefined` is left out
 * @param text made of the same data, called when it is wanted
 */
export const answer = ({ output }: Globals, json: object, text: () => string) =>
  print(output === "json" ? stringify(json) : text())

/** Something a person should know, beside the answer. With `-o json` an event line. */
export const note = ({ output }: Globals, message: string) =>
  say(output === "json" ? stringify({ event: "note", message }) : `keyfob: ${message}`)

/** What happened, for a program that watches: an event line with `-o json`, nothing in text. */
export const event = ({ output }: Globals, fields: { readonly event: string; readonly [name: string]: string }) =>
  output === "json" ? say(stringify(fields)) : Effect.void

/** The last words of a command that failed. */
export const complain = (mode: OutputMode, { json, message, remedy }: Report) =>
  say(mode === "json" ? stringify({ error: json }) : `keyfob: ${message}\n        ${remedy}`)

/** One line of JSON, or several for a person to read. Control characters a terminal would obey are escaped. */
export const stringify = (json: unknown, indent?: number): string =>
  JSON.stringify(json, undefined, indent).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** Ignores errors of a stream that nobody reads any more (a pipe, a closed window): without a listener they end the process. */
export const tolerant = (stream: NodeJS.WritableStream): NodeJS.WritableStream =>
  stream.listenerCount("error") === 0 ? stream.on("error", () => undefined) : stream

/**
 * Writes a line (or several) and waits until it is out, so that the process may end. Somebody who stopped reading
 * (`keyfob status | head -1`) has read enough: a broken pipe is no failure.
 */
const write = (stream: NodeJS.WritableStream, text: string): Effect.Effect<void, OutputFailed> =>
  Effect.callback((resume) => {
    tolerant(stream).write(`${text}\n`, (error) => {
      const code = error instanceof Error && "code" in error ? String(error.code) : undefined
      resume(code === undefined || code === "EPIPE" ? Effect.void : new OutputFailed({ code }))
    })
  })

/** A line of the answer. */
export const print = (text: string) => Effect.flatMap(Streams, ({ stdout }) => write(stdout, text))

/** A line beside the answer. If it cannot be written, the command goes on. */
export const say = (text: string) => Effect.flatMap(Streams, ({ stderr }) => Effect.ignore(write(stderr, text)))
