/**
 * A login that happened, as data that is safe to show, and as a test. Also as `@keyfob/testing/Trace`, which needs no
 * vitest: a recorder is of use in a program.
 *
 * ```ts
 * const layer = Trace.record().pipe(Layer.provide(NodeHttpClient.layerUndici))
 * const trace = yield* (yield* Trace.Recorder).trace
 * program.pipe(Effect.provide(Trace.replay(trace)))
 * ```
 */
export { Recorder, record } from "./trace/Recorder.ts"
export type { Options } from "./trace/Redaction.ts"
export { Replay, replay } from "./trace/Replay.ts"
export { Body, Exchange, Jwt, outline, Outcome, Trace, TraceJson } from "./trace/Trace.ts"
