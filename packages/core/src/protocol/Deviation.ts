/** What a server does otherwise than the RFCs say, and is harmless: taken as it was meant, and told in the span. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

const attribute = "keyfob.deviation"

/** Notes one in the current span, beside those of before. Never a value: what is sent and granted are secrets. */
export const note = (what: string) =>
  Effect.flatMap(Effect.option(Effect.currentSpan), (span) => {
    const before = Option.isSome(span) ? span.value.attributes.get(attribute) : undefined
    const all = typeof before === "string" ? before.split("; ") : []
    return all.includes(what) ? Effect.void : Effect.annotateCurrentSpan(attribute, [...all, what].join("; "))
  })
