import * as Schema from "effect/Schema"

/** A name and a value, in the order and as often as they were sent. */
const Pairs = Schema.Array(Schema.Tuple([Schema.String, Schema.Json]))

/** A body without its secrets. What is neither JSON nor a form is kept as its length. */
export const Body = Schema.Union([
  Schema.TaggedStruct("Empty", {}),
  Schema.TaggedStruct("Form", { fields: Pairs }),
  Schema.TaggedStruct("Json", { value: Schema.Json }),
  Schema.TaggedStruct("Opaque", { length: Schema.optionalKey(Schema.Int) })
])
export type Body = typeof Body.Type

/** Where a JWT stood in a body: read, without its signature. Times in its claims are seconds from the trace's start. */
export const Jwt = Schema.Struct({
  jwt: Schema.Struct({
    /** The number that stands for the whole of it where it is used as a token. */
    token: Schema.String,
    header: Schema.JsonObject,
    claims: Schema.JsonObject,
    /** Whether it fitted a key the provider published within the trace. */
    signature: Schema.Literals(["good", "bad", "unchecked"])
  })
})
export type Jwt = typeof Jwt.Type

/** How a request ended, `after` this many milliseconds. */
export const Outcome = Schema.Union([
  Schema.TaggedStruct("Answered", {
    after: Schema.Finite,
    status: Schema.Int,
    headers: Schema.Record(Schema.String, Schema.Json),
    body: Body
  }),
  /** The connection was never there, or broke. `code` is the system's word for it. */
  Schema.TaggedStruct("Broken", { after: Schema.Finite, code: Schema.optionalKey(Schema.String) }),
  /** The client gave up waiting, or still waits. */
  Schema.TaggedStruct("Unanswered", {})
])
export type Outcome = typeof Outcome.Type

/** A request and what became of it. */
export const Exchange = Schema.Struct({
  /** Milliseconds from the first request. */
  at: Schema.Finite,
  method: Schema.String,
  /** What the provider's metadata calls the URL: `token`, `jwks`, …; `other` where it does not name it. */
  endpoint: Schema.String,
  url: Schema.String,
  grant: Schema.optionalKey(Schema.String),
  headers: Schema.Record(Schema.String, Schema.Json),
  body: Body,
  outcome: Outcome
})
export type Exchange = typeof Exchange.Type

/**
 * What a client and its providers said to each other, safe to show: every secret and everything personal is replaced by a
 * number (`~1`, `~2`, …), the same one wherever it comes up. A number says nothing of what it stands for, not even to
 * somebody who can guess that, as a hash would.
 */
export const Trace = Schema.Struct({ keyfobTrace: Schema.Literal(1), exchanges: Schema.Array(Exchange) })
export type Trace = typeof Trace.Type

/** The trace as text, to paste and to read back. */
export const TraceJson = Schema.fromJsonString(Trace)

/** One line for each request: `+5.012s  POST token refresh_token → 400 invalid_grant`. */
export const outline = (trace: Trace): ReadonlyArray<string> =>
  trace.exchanges.map(({ at, endpoint, grant, method, outcome }) =>
    [`+${(at / 1000).toFixed(3)}s `, method, endpoint, grant, "→", endOf(outcome)]
      .filter((part) => part !== undefined)
      .join(" ")
  )

const endOf = (outcome: Outcome) => {
  if (outcome._tag === "Unanswered") return "no answer"
  if (outcome._tag === "Broken") return outcome.code ?? "broken"
  const value = outcome.body._tag === "Json" ? outcome.body.value : null
  const error = typeof value === "object" && value !== null && "error" in value ? ` ${String(value["error"])}` : ""
  return `${outcome.status}${error}`
}
