/** The ears of the model: every log line and span of a process is kept, to be searched for secrets. */
import { Context, Exit, Logger, References, Tracer } from "effect"
import type { Witness } from "./Witness.ts"

class Span extends Tracer.NativeSpan {
  private readonly witness: Witness

  constructor(options: ConstructorParameters<typeof Tracer.NativeSpan>[0], witness: Witness) {
    super(options)
    this.witness = witness
    witness.hear(options.name)
  }

  override attribute(name: string, value: unknown) {
    this.witness.hear(value)
    super.attribute(name, value)
  }

  override event(name: string, startTime: bigint, attributes?: Record<string, unknown>): void {
    this.witness.hear([name, attributes])
    super.event(name, startTime, attributes)
  }

  /** A failure goes out with its span; what succeeds does not. */
  override end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isFailure(exit)) this.witness.hear(exit.cause)
    super.end(endTime, exit)
  }
}

export const overheard = (witness: Witness) =>
  Context.empty().pipe(
    Context.add(Logger.CurrentLoggers, new Set([Logger.make(({ cause, message }) => witness.hear([message, cause]))])),
    Context.add(References.MinimumLogLevel, "All"),
    Context.add(Tracer.Tracer, Tracer.make({ span: (options) => new Span(options, witness) }))
  )
