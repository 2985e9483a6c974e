import { tracing } from "../../testing/src/printed.ts"

/** A tracer, and what its spans say of what a server does otherwise than the RFCs. */
export const observing = () => {
  const { spans, tracer } = tracing()
  return { tracer, deviations: () => spans.flatMap(({ attributes }) => attributes.get("keyfob.deviation") ?? []) }
}
