/** A job as Arnica tells of it: the wire's own names. */
import * as Schema from "effect/Schema"

const common = {
  timing_data: Schema.optionalKey(
    Schema.NullOr(Schema.Array(Schema.Struct({ new_status: Schema.String, timestamp: Schema.String })))
  )
}

const Queued = Schema.Struct({ status: Schema.Literal("queued"), ...common })
const Ongoing = Schema.Struct({
  status: Schema.Literal("ongoing"),
  finished_count: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  ...common
})
const Finished = Schema.Struct({
  status: Schema.Literal("finished"),
  /** Of each circuit, by its number, the bits of each shot. */
  result: Schema.Record(Schema.String, Schema.Array(Schema.Array(Schema.Int))),
  ...common
})
const Failed = Schema.Struct({ status: Schema.Literal("error"), message: Schema.String, ...common })
const Cancelled = Schema.Struct({ status: Schema.Literal("cancelled"), ...common })

const Final = Schema.Union([Finished, Failed, Cancelled])

/** Who and what, and how it stands. */
export const JobState = Schema.Struct({
  job: Schema.Struct({
    job_id: Schema.String,
    job_type: Schema.String,
    label: Schema.optionalKey(Schema.NullOr(Schema.String)),
    resource_id: Schema.String,
    workspace_id: Schema.String
  }),
  response: Schema.Union([Queued, Ongoing, ...Final.members])
})
export type JobState = typeof JobState.Type

/** A job that has ended: finished, failed or cancelled. */
export type FinalJobState = JobState & { readonly response: typeof Final.Type }

export const isFinal = (state: JobState): state is FinalJobState => Schema.is(Final)(state.response)
