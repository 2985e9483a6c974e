/** Log lines for a person, on stderr: stdout belongs to the answer. */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { printable } from "keyfob"
import type { OutputMode } from "./globals.ts"
import { stringify, tolerant } from "./output.ts"
import { Streams } from "./streams.ts"

const names: Readonly<Record<string, string>> = { Warn: "warning" }

/** Only text is shown: what else somebody logs may hold anything. */
const textOf = (message: unknown) =>
  (Array.isArray(message) ? message : [message])
    .filter((part) => typeof part === "string")
    .map(printable)
    .join(" ")

export const layer = (mode: OutputMode): Layer.Layer<never> =>
  Layer.mergeAll(
    Logger.layer([
      Logger.make(({ fiber, logLevel, message }) => {
        const event = names[logLevel] ?? logLevel.toLowerCase()
        const text = textOf(message)
        const line = mode === "json" ? stringify({ event, message: text }) : `keyfob: ${event}: ${text}`
        tolerant(Context.get(fiber.context, Streams).stderr).write(`${line}\n`)
      })
    ]),
    Layer.succeed(References.MinimumLogLevel, "Warn")
  )
