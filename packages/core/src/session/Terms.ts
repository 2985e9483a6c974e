/**
 * Whether a credential that is kept belongs to the settings at hand, and what these say of it.
 *
 * A token that settings bring is not part of the key, so different tokens share one place in the store. Whoever brings a
 * token is given the session that began with it, and never another's (R15).
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Credential } from "../Credential.ts"
import type { FlowParts } from "../flow/Flow.ts"
import { sha256 } from "../protocol/Sha256.ts"

export type Terms = Pick<FlowParts, "brought" | "margin">

/** What a new credential notes of the terms it begins under. */
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
 * The credential that was read, if it belongs to these terms, with their margin. One of an earlier version does not say which
 * token it began with: it counts as begun with the token it has, so it belongs to nobody who brings one once it is renewed.
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
