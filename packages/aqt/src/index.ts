export * from "./Arnica.ts"
export { type FinalJobState, isFinal, JobState } from "./Job.ts"
export { JobUnavailable } from "./JobUnavailable.ts"
