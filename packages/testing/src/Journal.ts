/** Every request there was, oldest first, and what became of each. */
import * as Effect from "effect/Effect"
import type { Facts } from "./Trouble.ts"
import type { Request, Response } from "./model/Http.ts"
import * as RecordedRequest from "./RecordedRequest.ts"

/** A request that is on record and has not ended. */
export interface Entry {
  /** Says how it ended; an answer's error code goes on record with it. The first word stands. */
  readonly end: (outcome: RecordedRequest.RecordedRequest["outcome"], response?: Response) => void
}

export interface Journal {
  readonly begin: (request: Request, facts: Facts, now: number) => Entry
  readonly records: Effect.Effect<ReadonlyArray<RecordedRequest.RecordedRequest>>
  readonly clear: Effect.Effect<void>
}

export const make = (): Journal => {
  const records: Array<{ record: RecordedRequest.RecordedRequest }> = []
  return {
    begin: (request, facts, now) => {
      const record = RecordedRequest.record(request, facts, now)
      const entry: (typeof records)[number] = { record: { ...record, outcome: "open" } }
      records.push(entry)
      return {
        end: (outcome, response) => {
          if (entry.record.outcome !== "open") return
          const error = response === undefined ? undefined : errorOf(response)
          entry.record = { ...record, outcome, ...(error === undefined ? {} : { error }) }
        }
      }
    },
    records: Effect.sync(() => records.map(({ record }) => record)),
    clear: Effect.sync(() => {
      records.length = 0
    })
  }
}

const errorOf = ({ body, headers }: Response): string | undefined => {
  if (!/json/.test(headers["content-type"] ?? "")) return undefined
  try {
    const answer: unknown = JSON.parse(body)
    return typeof answer === "object" && answer !== null && "error" in answer ? String(answer.error) : undefined
  } catch {
    return undefined // a fault may answer with JSON that is none
  }
}
