import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"

/** A tracer, and the spans it has made. */
export const tracing = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

/** Everything a program prints, logs and traces, and how it ends, as one text: where a secret might come to light. */
export const printed = Effect.fnUntraced(function* <A, E, R>(
  program: Effect.Effect<A, E, R>
): Effect.fn.Return<string, never, R> {
  const found: Array<string> = []
  const { spans, tracer } = tracing()
  const loggers = [Logger.formatLogFmt, Logger.formatJson, Logger.formatSimple].map((format) =>
    Logger.map(format, (line) => void found.push(line))
  )
  const exit = yield* program.pipe(
    Effect.tapCause((cause) => Effect.logError("failed", cause)),
    Effect.exit,
    Effect.provide(Logger.layer(loggers)),
    Effect.provideService(References.MinimumLogLevel, "All"),
    Effect.withTracer(tracer)
  )
  const traced = spans.map((span) => [span.name, [...span.attributes], span.events, span.status])
  const end = Exit.isFailure(exit)
    ? [Cause.pretty(exit.cause), inFull(exit.cause), ...exit.cause.reasons.map((reason) => String(reason))]
    : [inFull(exit.value), String(exit.value)]
  return [...found, inFull(traced), ...end].join("\n")
})

/** With every member JSON would leave out because it is an error's, and without what comes round again. */
const inFull = (value: unknown): string => {
  const seen = new WeakSet<object>()
  return JSON.stringify(value, (_, member: unknown) => {
    if (typeof member === "bigint") return String(member)
    if (typeof member !== "object" || member === null) return member
    if (seen.has(member)) return undefined
    seen.add(member)
    return member instanceof Error
      ? { ...member, message: member.message, stack: member.stack, cause: member.cause }
      : member
  })
}
