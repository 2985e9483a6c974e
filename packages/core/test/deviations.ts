import { Tracer } from "effect"

/** A tracer, and what its spans say of what a server does otherwise than the RFCs. */
export const observing = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { tracer, deviations: () => spans.flatMap(({ attributes }) => attributes.get("keyfob.deviation") ?? []) }
}
