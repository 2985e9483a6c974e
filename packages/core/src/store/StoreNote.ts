/**
 * Something small to keep beside credentials, in the same store and under its leases: as the text of a credential whose
 * key has another use. No store has to know of it, and `list` leaves it out.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { StoreFailed } from "../AuthError.ts"
import { Credential, CredentialKey } from "../Credential.ts"
import { AccessToken } from "../Token.ts"
import type { Slot } from "./CredentialStore.ts"

/** A kind of note, for one or all accounts of a client. What is not there, or damaged, is `empty`. */
export const make = <T>(
  use: NonNullable<CredentialKey["use"]>,
  schema: Schema.Codec<T, unknown>,
  empty: NoInfer<T>
) => {
  const Text = Schema.fromJsonString(schema)
  return {
    keyOf: ({ account, clientId, issuer }: Pick<CredentialKey, "issuer" | "clientId" | "account">): CredentialKey =>
      CredentialKey.make({ issuer, clientId, account, subject: "client", use }),
    in: (stored: Option.Option<Credential>): T =>
      Option.getOrElse(
        Option.flatMap(stored, ({ token }) => Schema.decodeOption(Text)(Redacted.value(token.value))),
        () => empty
      ),
    /** Writes it in the place of what stands there. */
    write: Effect.fnUntraced(function* (
      slot: Slot,
      key: CredentialKey,
      before: Option.Option<Credential>,
      note: T
    ): Effect.fn.Return<void, StoreFailed> {
      const generation = Option.match(before, { onNone: () => 1, onSome: (found) => found.generation + 1 })
      const text = yield* Effect.orDie(Schema.encodeEffect(Text)(note))
      const token = AccessToken.make({ value: Redacted.make(text), type: "keyfob/note" })
      yield* slot.write(Credential.make({ key, generation, token, issuedAt: yield* DateTime.now }))
    })
  }
}

/** A read that takes what is damaged for absent: a damaged note or credential is no reason not to go on. */
export const undamaged = (read: Slot["read"]): Slot["read"] =>
  Effect.catchIf(
    read,
    ({ reason }) => reason === "Corrupt",
    () => Effect.succeedNone
  )
