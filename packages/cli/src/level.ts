/** Which token of a chain a command is about: the provider's own, or one that is had for it. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { UsageError } from "./failure.ts"

const domain = Flag.String("domain").pipe(
  Flag.withMetavar("ID"),
  Flag.withDescription("Access to this domain, at a provider that has them"),
  Flag.filter(
    (id) => id !== "",
    () => "a domain's id"
  )
)

const level = Flag.Literals("level", ["network", "discovery"]).pipe(
  Flag.withDescription("Which level's token, at a provider that has several"),
  Flag.optional
)

export const flags = { level, domain: domain.pipe(Flag.optional) }
export const manyFlags = { level, domain: domain.pipe(Flag.atLeast(0)) }

export type Flags = Command.Command.Config.Infer<typeof flags>

/** A place in the provider's chain. */
export interface Level {
  readonly level: string
  readonly target?: string
}

/** None is the provider's own token. */
export const of = ({ domain, level }: Flags) =>
  Effect.map(ofMany({ level, domain: Option.toArray(domain) }), ([found]) => Option.fromUndefinedOr(found))

export const ofMany = Effect.fnUntraced(function* ({
  domain,
  level
}: Command.Command.Config.Infer<typeof manyFlags>): Effect.fn.Return<ReadonlyArray<Level>, UsageError> {
  if (Option.isSome(level) && domain.length > 0) {
    return yield* new UsageError({ message: "--level and --domain exclude each other", remedy: "Give one of them" })
  }
  if (Option.isSome(level) && level.value !== "network") return [{ level: level.value }]
  return domain.map((target) => ({ level: "domain", target }))
})
