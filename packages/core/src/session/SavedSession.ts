/**
 * A login, and what was had for it, as text for a host that keeps it itself: `{"version":1,"of":"…","session":[…]}`, its
 * secrets in clear. Whose it is is told by a digest, so that it is taken up by nobody else, and names nobody.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { ConfigurationInvalid, type StoreFailed } from "../AuthError.ts"
import { Credential, CredentialKey } from "../Credential.ts"
import { sha256 } from "../protocol/Sha256.ts"
import { CredentialStore } from "../store/CredentialStore.ts"
import { undamaged } from "../store/StoreNote.ts"
import { commit } from "./Renewal.ts"
import * as Terms from "./Terms.ts"

/** Whose session it is: where it is kept, who is known to have signed in there, and what they brought. */
export type Owner = Pick<Credential, "key" | "account"> & Terms.Terms

const Kept = Schema.Struct({
  ...Struct.omit(Credential.fields, ["key"]),
  links: Schema.optionalKey(Schema.Array(Schema.String))
})
const Saved = Schema.fromJsonString(
  Schema.toCodecJson(Schema.Struct({ version: Schema.Literal(1), of: Schema.String, session: Schema.Array(Kept) }))
)

/** The text of what a store has of a login: its own credential, and those that hang on it. What the owner is known by anyway is not in it. */
export const save = Effect.fnUntraced(function* (owner: Owner): Effect.fn.Return<string, StoreFailed, CredentialStore> {
  const { list } = yield* CredentialStore
  const isTheirs = ({ key }: Credential) => key.canonical === owner.key.canonical || key.isBelow(owner.key)
  const kept = yield* Effect.forEach((yield* list).filter(isTheirs), (one) =>
    Terms.under(owner)(Effect.succeedSome(one))
  )
  const session = kept.flatMap(Option.toArray).map(({ account, key: { links }, ...rest }) => ({
    ...rest,
    ...(links === undefined ? {} : { links }),
    ...(account === undefined || Equal.equals(account, owner.account) ? {} : { account })
  }))
  return yield* Effect.orDie(
    Schema.encodeEffect(Saved)({ version: 1, of: yield* sha256(owner.key.canonical), session })
  )
})

/**
 * Takes it up in a store, where it is this owner's. What the store has of the same time or a later one stays: it may be
 * what became of the very session that was saved, whose refresh token is spent by now. Nor is a session taken that began with
 * another token than the owner brings.
 */
export const restore = Effect.fnUntraced(function* (
  text: string,
  owner: Owner
): Effect.fn.Return<void, ConfigurationInvalid | StoreFailed, CredentialStore> {
  const invalid = (detail: string) =>
    new ConfigurationInvalid({ reason: "InvalidValue", detail: `saved session: ${detail}` })
  const { of, session } = yield* Effect.mapError(Schema.decodeEffect(Saved)(text), () => invalid("none of version 1"))
  if (of !== (yield* sha256(owner.key.canonical))) return yield* invalid("of another service, client or account")
  // Parents come first, so that nothing hangs in the air.
  for (const { links, ...rest } of session.toSorted((a, b) => (a.links?.length ?? 0) - (b.links?.length ?? 0))) {
    const key = links === undefined ? owner.key : CredentialKey.make({ ...owner.key, links })
    const { account } = owner
    const saved = Credential.make({ ...(account === undefined ? {} : { account }), ...rest, key })
    const taken = yield* takeUp(saved, owner, (before) => !isBefore(before, rest))
    // What was had in the saved session is nothing to another one.
    if (!taken && links === undefined) return
  }
})

/**
 * Takes up a credential that was had elsewhere, and says whether it did: not where what the store has stays, nor one that
 * began with another token than is brought.
 */
export const takeUp = Effect.fnUntraced(function* (
  saved: Credential,
  terms: Terms.Terms,
  stays: (before: Credential) => boolean
): Effect.fn.Return<boolean, StoreFailed, CredentialStore> {
  const { modify } = yield* CredentialStore
  const theirs = Terms.under(terms)
  return yield* modify(
    saved.key,
    Effect.fnUntraced(function* (slot) {
      // Not before its turn: a login may have brought another meanwhile.
      const own = yield* theirs(Effect.succeedSome(saved))
      if (Option.isNone(own)) return false
      const before = yield* undamaged(slot.read)
      if (Option.isSome(yield* theirs(Effect.succeed(Option.filter(before, stays))))) return false
      // It goes on counting, so that the two can be told apart from then on.
      const counted = Option.match(before, { onNone: () => 0, onSome: (one) => one.generation })
      const generation = Math.max(saved.generation, counted + 1)
      // A refresh that was not finished is one here too.
      const spending = saved.spending === saved.generation ? { spending: generation } : {}
      yield* commit(slot, Credential.make({ ...own.value, generation, ...spending }))
      return true
    })
  )
})

type Dated = Pick<Credential, "issuedAt" | "generation">

/** A refresh whose token was of no use has a generation, and no time, of its own. */
const isBefore = (one: Dated, other: Dated) =>
  Equal.equals(one.issuedAt, other.issuedAt)
    ? one.generation < other.generation
    : DateTime.isLessThan(one.issuedAt, other.issuedAt)
