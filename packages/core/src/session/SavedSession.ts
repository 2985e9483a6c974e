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

/** The text of what a store has of a login: its credential, and those derived from it. What the owner says anyway is left out. */
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
 * Puts a saved session into the store, if it is this owner's. A credential in the store that is as new, or newer, stays: it
 * may be what the saved session has become, whose refresh token is spent by now. A session that began with another token
 * than the owner brings is not taken up.
 */
export const restore = Effect.fnUntraced(function* (
  text: string,
  owner: Owner
): Effect.fn.Return<void, ConfigurationInvalid | StoreFailed, CredentialStore> {
  const invalid = (detail: string) =>
    new ConfigurationInvalid({ reason: "InvalidValue", detail: `saved session: ${detail}` })
  const { of, session } = yield* Effect.mapError(Schema.decodeEffect(Saved)(text), () => invalid("none of version 1"))
  if (of !== (yield* sha256(owner.key.canonical))) return yield* invalid("of another service, client or account")
  // Parents first: a derived credential is of no use without its parent.
  for (const { links, ...rest } of session.toSorted((a, b) => (a.links?.length ?? 0) - (b.links?.length ?? 0))) {
    const key = links === undefined ? owner.key : CredentialKey.make({ ...owner.key, links })
    const { account } = owner
    const saved = Credential.make({ ...(account === undefined ? {} : { account }), ...rest, key })
    const taken = yield* takeUp(saved, owner, (before) => !isBefore(before, rest))
    // Where another session stays, what was derived in the saved one does not belong to it.
    if (!taken && links === undefined) return
  }
})

/**
 * Puts a credential from elsewhere into the store, and says whether it did. It does not where `stays` says that the store's
 * own is to stay, nor for one that began with another token than the terms bring.
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
      // Under the lease and not before: a login may have changed the terms meanwhile.
      const own = yield* theirs(Effect.succeedSome(saved))
      if (Option.isNone(own)) return false
      const before = yield* undamaged(slot.read)
      if (Option.isSome(yield* theirs(Effect.succeed(Option.filter(before, stays))))) return false
      // Generations go on counting, so that the two can be told apart.
      const counted = Option.match(before, { onNone: () => 0, onSome: (one) => one.generation })
      const generation = Math.max(saved.generation, counted + 1)
      // An open mark stays open.
      const spending = saved.spending === saved.generation ? { spending: generation } : {}
      yield* commit(slot, Credential.make({ ...own.value, generation, ...spending }))
      return true
    })
  )
})

type Dated = Pick<Credential, "issuedAt" | "generation">

/** A refresh that brought a refresh token and no token of use counts the generation, and leaves the time. */
const isBefore = (one: Dated, other: Dated) =>
  Equal.equals(one.issuedAt, other.issuedAt)
    ? one.generation < other.generation
    : DateTime.isLessThan(one.issuedAt, other.issuedAt)
