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

export type Terms = Pick<FlowParts, "brought">

/** What a credential that begins under them has of them. */
export const marksOf = ({ brought }: Terms): Effect.Effect<Pick<Credential, "begunWith">> =>
  brought === undefined
    ? Effect.succeed({})
    : Effect.map(sha256(Redacted.value(brought)), (begunWith) => ({ begunWith }))

/**
 * What was read, as far as it is theirs. A session that says nothing of what it began with, as those of earlier versions, is
 * that of its own token: one that was renewed since is nobody's who brings a token.
 */
export const under =
  (terms: Terms) =>
  <E, R>(read: Effect.Effect<Option.Option<Credential>, E, R>): Effect.Effect<Option.Option<Credential>, E, R> =>
    Effect.flatMap(
      read,
      Effect.fnUntraced(function* (found) {
        if (Option.isNone(found) || terms.brought === undefined) return found
        const marks = yield* marksOf(terms)
        const { begunWith, token } = found.value
        if (begunWith === marks.begunWith) return found
        const isItsOwn = begunWith === undefined && Equal.equals(token.value, terms.brought)
        return isItsOwn ? Option.some(Credential.make({ ...found.value, ...marks })) : Option.none()
      })
    )
