import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"

/** What follows from a reason: the exit code of a command, whether asking again helps, what is wrong, what to do. */
const reasons = {
  NotAuthenticated: [3, false, "Arnica does not take the token, not even a new one", "Sign in again: keyfob login"],
  Denied: [4, false, "Arnica does not let this account see the job", "Ask who owns the workspace"],
  NotFound: [2, false, "Arnica knows no such job", "Check the job's id"],
  Expired: [2, false, "Arnica has kept the job's result for its time, and no longer", "Send the job again"],
  InvalidId: [2, false, "this is no job's id", "A job's id is a UUID, as Arnica answers it to a new job"],
  Unreachable: [5, true, "Arnica cannot be reached", "Check the network, then try again"],
  Overloaded: [5, true, "Arnica asks to come back later", "Try again in a while"],
  ServerError: [5, false, "Arnica has met an error of its own", "Try again later; if it stays, tell AQT"],
  Malformed: [5, false, "Arnica's answer is not a job's state", "Check arnica_url, and whether a newer version is out"],
  TooLarge: [5, false, "Arnica's answer is larger than any job's result", "Check arnica_url; if it is right, tell AQT"],
  NotFinished: [5, false, "the job has not ended in the time that was given", "Wait again, or for longer"],
  Other: [5, false, "Arnica answers what nobody expects here", "Check arnica_url"]
} as const satisfies Record<string, readonly [exitCode: number, passes: boolean, sentence: string, remedy: string]>

type Reason = keyof typeof reasons

/** Why a job's state could not be had. Nothing of the answer's body is in it. */
export class JobUnavailable extends Schema.TaggedError<JobUnavailable>("keyfob/aqt/JobUnavailable")("JobUnavailable", {
  reason: Schema.Literals(Object.keys(reasons) as ReadonlyArray<Reason>), // keys are what the type says
  jobId: Schema.String,
  host: Schema.String,
  status: Schema.optionalKey(Schema.Int)
}) {
  override get message(): string {
    const where = this.status === undefined ? this.host : `${this.host}, status ${this.status}`
    return `${reasons[this.reason][2]} (${where}). ${this.remedy}.`
  }
  get remedy(): string {
    return reasons[this.reason][3]
  }
  override get [Runtime.errorExitCode](): number {
    return reasons[this.reason][0]
  }
}

/** Whether it is over by itself, and asking again is all there is to do. */
export const passes = (error: JobUnavailable): boolean => reasons[error.reason][1]

/** What a status other than 200 means. */
export const reasonOf = (status: number): Reason => {
  switch (status) {
    case 401:
      return "NotAuthenticated"
    case 403:
      return "Denied"
    case 404:
      return "NotFound"
    case 410:
      return "Expired"
    case 422:
      return "InvalidId"
    case 429:
    case 502:
    case 503:
    case 504:
      return "Overloaded"
    default:
      return status >= 500 ? "ServerError" : "Other"
  }
}
