import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { Request } from "./model/Http.ts"
import type { Endpoint } from "./model/Machine.ts"
import type { Facts } from "./Trouble.ts"

/**
 * One request as the provider met it. Whatever might be a secret is `Redacted`: it prints as such, and equal secrets are
 * equal (`Equal.equals`).
 */
export interface RecordedRequest {
  /** When it arrived. */
  readonly at: DateTime.Utc
  readonly method: string
  readonly path: string
  /** Absent where the provider has nothing of that path. */
  readonly endpoint?: Endpoint
  /** Its `grant_type`. */
  readonly grant?: string
  /** The client it names: in its form, its `Authorization` header or its assertion. */
  readonly client?: string
  /** Parameters of query and form; the harmless ones in clear. Of a repeated one, the last. */
  readonly params: Readonly<Record<string, string | Redacted.Redacted>>
  readonly authorization?: Redacted.Redacted
  /** How it ended: the status that was sent, or what happened instead. */
  readonly outcome:
    | number
    | "unreachable"
    | "hang"
    | "reset before"
    | "reset after"
    | "half"
    /** The client went away before the provider did its work, or after it and before the answer was out. */
    | "left before"
    | "left after"
    /** Not yet. */
    | "open"
  /** The error code of the answer. */
  readonly error?: string
}

// What says nothing to a thief. Everything else may be a code, a token or a secret.
const harmless = new Set([
  "audience",
  "client_assertion_type",
  "client_id",
  "code_challenge_method",
  "grant_type",
  "post_logout_redirect_uri",
  "prompt",
  "redirect_uri",
  "requested_token_type",
  "resource",
  "response_mode",
  "response_type",
  "scope",
  "subject_token_type",
  "token_type_hint"
])

const asRecorded = (name: string, value: string | Redacted.Redacted) =>
  typeof value !== "string" || harmless.has(name) ? value : Redacted.make(value, { label: name })

/** The parameters of a request, wherever it has them. */
export const paramsOf = (request: Request): ReadonlyMap<string, string> => {
  const query = request.url.includes("?") ? request.url.slice(request.url.indexOf("?")) : ""
  const isForm = /^application\/x-www-form-urlencoded/i.test(request.headers["content-type"] ?? "")
  return new Map([...new URLSearchParams(query), ...new URLSearchParams(isForm ? request.body : "")])
}

/** The record of a request whose end is not known yet. */
export const record = (request: Request, facts: Facts, now: number): Omit<RecordedRequest, "outcome"> => {
  const { authorization } = request.headers
  return {
    at: DateTime.makeUnsafe(now),
    method: request.method,
    path: request.url.replace(/\?.*$/, ""),
    ...(facts.endpoint === undefined ? {} : { endpoint: facts.endpoint }),
    ...(facts.grant === undefined ? {} : { grant: facts.grant }),
    ...(facts.client === undefined ? {} : { client: facts.client }),
    params: Object.fromEntries([...facts.params].map(([name, value]) => [name, asRecorded(name, value)])),
    ...(authorization === undefined ? {} : { authorization: Redacted.make(authorization, { label: "authorization" }) })
  }
}

/** A record in one line: `day 3 04:00:00  POST token refresh_token → 400 invalid_grant`. */
export const print = (request: RecordedRequest): string => {
  const what = [request.method, request.endpoint ?? request.path, request.grant].filter((part) => part !== undefined)
  const end = [request.outcome, request.error].filter((part) => part !== undefined)
  return `${DateTime.formatIso(request.at)}  ${what.join(" ")} → ${end.join(" ")}`
}

/** What a request is expected to be: each member that is given must be equal. A secret may be given in clear. */
export type Expected = Partial<Omit<RecordedRequest, "params">> & { readonly params?: RecordedRequest["params"] }

export const fits = (request: RecordedRequest, expected: Expected): boolean =>
  entriesOf(expected).every(([name, value]) =>
    name === "params"
      ? Object.entries(value).every(([param, wanted]) => Equal.equals(request.params[param], asRecorded(param, wanted)))
      : Equal.equals(request[name], value)
  )

// Object.entries forgets which names there are; `Expected` has no others.
const entriesOf = (expected: Expected) => Object.entries(expected) as ReadonlyArray<[keyof Expected, object]>

/** The requests were not the expected ones. Its message shows both, one below the other, and so does a test's diff. */
export class UnexpectedRequests extends Schema.TaggedError<UnexpectedRequests>()("UnexpectedRequests", {
  // A member and no getter: vitest makes texts of an error's `expected` and `actual` before it reads its message.
  message: Schema.String,
  expected: Schema.Array(Schema.String),
  actual: Schema.Array(Schema.String)
}) {}

/** The records among those that fit `among` are exactly the expected ones, in their order. */
export const expect = (
  records: ReadonlyArray<RecordedRequest>,
  expected: ReadonlyArray<Expected>,
  among: Expected
): Effect.Effect<void, UnexpectedRequests> => {
  const actual = records.filter((record) => fits(record, among))
  const fitsAt = (one: Expected, index: number) => {
    const request = actual[index]
    return request !== undefined && fits(request, one)
  }
  if (actual.length === expected.length && expected.every(fitsAt)) return Effect.void
  const compared = new Set(expected.flatMap(({ params, ...members }) => Object.keys({ ...members, ...params })))
  const there = actual.map((request) => print(request) + detailsOf(request, compared))
  // What fits is written as what was there, so that only the difference differs.
  const wanted = expected.map((one, index) =>
    fitsAt(one, index) ? (there[index] ?? "") : printExpected(one, compared, actual[index])
  )
  return Effect.fail(
    UnexpectedRequests.make({
      message: `expected ${requests(wanted)}\nthere ${there.length === 1 ? "was" : "were"} ${requests(there)}`,
      expected: wanted,
      actual: there
    })
  )
}

const requests = (lines: ReadonlyArray<string>) => {
  const count = lines.length === 1 ? "1 request" : `${lines.length || "no"} requests`
  return [`${count}${lines.length === 0 ? "" : ":"}`, ...lines.map((line, index) => `  ${index + 1}. ${line}`)].join(
    "\n"
  )
}

/** What is expected, as {@link print} writes what was; what may be anything is left out. */
const printExpected = (expected: Expected, compared: ReadonlySet<string>, there?: RecordedRequest): string => {
  const { at, endpoint, error, grant, method, outcome, path } = expected
  const what = [method, endpoint ?? path, grant].filter((part) => part !== undefined)
  const end = [outcome, error].filter((part) => part !== undefined)
  return [
    at === undefined ? "" : `${DateTime.formatIso(at)}  `,
    what.length === 0 ? "any request" : what.join(" "),
    end.length === 0 ? "" : ` → ${end.join(" ")}`,
    detailsOf(expected, compared, there)
  ].join("")
}

/** What is compared and not in a record's line. Of two secrets that differ, one is called another. */
const detailsOf = (expected: Expected, compared: ReadonlySet<string>, there: Expected = {}) => {
  const found = new Map(details(there))
  return details(expected)
    .filter(([name, value]) => value !== undefined && compared.has(name))
    .map(([name, value]) => {
      const other = found.get(name)
      const isAnother = Redacted.isRedacted(value) && other !== undefined && !Equal.equals(value, other)
      return `  ${name}=${isAnother ? `<another ${name}>` : String(value)}`
    })
    .join("")
}

const details = ({ authorization, client, endpoint, params = {}, path }: Expected) => {
  const printed = Object.entries(params).map(([name, value]) => [name, asRecorded(name, value)] as const)
  return [
    ["path", endpoint === undefined ? undefined : path],
    ["client", client],
    ["authorization", authorization],
    ...printed.sort(([a], [b]) => (a < b ? -1 : 1))
  ] as const
}
