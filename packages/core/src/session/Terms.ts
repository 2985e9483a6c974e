/**
 * What settings say of a credential that is kept, and what it is to them. One place may have had the sessions of several: who
 * brings a token is given no other's (R15), however that one's came to stand there.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Credential } from "../Credential.ts"
import type { FlowParts } from "../flow/Flow.ts"
import { sha256 } from "../protocol/Sha256.ts"

export type Terms = Pick<FlowParts, "brought" | "margin">

/** What a credential has of those that it begins under. */
export const marksOf = Effect.fnUntraced(function* ({
  brought,
  margin
}: Terms): Effect.fn.Return<Pick<Credential, "begunWith" | "margin">> {
  return {
    ...(brought === undefined ? {} : { begunWith: yield* sha256(Redacted.value(brought)) }),
    ...(margin === undefined ? {} : { margin })
  }
})

/**
 * What was read, as far as it is theirs, and with the margin that they say. A session that says nothing of what it began with,
 * as those of earlier versions, is that of its own token: one that was renewed since is nobody's who brings a token.
 */
export const under =
  (terms: Terms) =>
  <E, R>(read: Effect.Effect<Option.Option<Credential>, E, R>): Effect.Effect<Option.Option<Credential>, E, R> =>
    Effect.flatMap(
      read,
      Effect.fnUntraced(function* (found) {
        const { brought, margin } = terms
        if (Option.isNone(found) || (brought === undefined && Equal.equals(found.value.margin, margin))) return found
        const { margin: _, ...rest } = found.value
        const marks = yield* marksOf(terms)
        const isTheirs =
          brought === undefined ||
          rest.begunWith === marks.begunWith ||
          (rest.begunWith === undefined && Equal.equals(rest.token.value, brought))
        return isTheirs ? Option.some(Credential.make({ ...rest, ...marks })) : Option.none()
      })
    )
