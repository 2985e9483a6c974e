import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import type { StoreFailed } from "../AuthError.ts"
import type { Credential } from "../Credential.ts"
import type { Slot } from "../store/CredentialStore.ts"

/**
 * Remembers a credential that the store failed to write, and writes it before the provider is asked for anything else: it
 * may have the only refresh token that is still good.
 */
export interface Unsaved {
  /** The slot, which remembers what it fails to write. */
  readonly watch: (slot: Slot) => Slot
  /** Writes what could not be written before, unless something newer is there. Gives what the slot has then. */
  readonly settle: (slot: Slot) => Effect.Effect<Option.Option<Credential>, StoreFailed>
}

/** @param revision counts what this process writes there */
export const make = (revision: Effect.Effect<number>): Unsaved => {
  let unsaved: Pending | undefined
  return {
    watch: (slot) => {
      let over = Option.none<Credential>()
      return {
        ...slot,
        read: Effect.tap(slot.read, (credential) =>
          Effect.sync(() => {
            over = credential
          })
        ),
        write: (credential) =>
          slot.write(credential).pipe(
            Effect.map(() => {
              over = Option.some(credential)
              unsaved = undefined
            }),
            Effect.onError(() =>
              Effect.map(revision, (since) => {
                unsaved = { credential, over, since }
              })
            )
          )
      }
    },
    settle: Effect.fnUntraced(function* (slot) {
      const current = yield* slot.read
      if (unsaved === undefined) return current
      const pending = unsaved
      // There was a login or logout since, which is newer.
      if (!follows(pending, current, yield* revision)) {
        unsaved = undefined
        return current
      }
      yield* slot.write(pending.credential)
      return Option.some(pending.credential)
    })
  }
}

/** What could not be written, and what stood there. */
interface Pending {
  readonly credential: Credential
  readonly over: Option.Option<Credential>
  /** The revision with the last try. */
  readonly since: number
}

/**
 * Whether the slot still has what the failed write was to replace. The generation alone does not tell, since a login begins
 * anew with 1. Nor does an empty slot, since a logout leaves one: there the revision tells.
 */
const follows = ({ credential, over, since }: Pending, stored: Option.Option<Credential>, revision: number) => {
  if (Option.isNone(over) || Option.isNone(stored)) {
    return Option.isNone(over) && Option.isNone(stored) && credential.generation === 1 && since === revision
  }
  const { generation, refused, spending, token } = stored.value
  return (
    credential.generation === generation + 1 &&
    refused !== true &&
    spending === over.value.spending &&
    Equal.equals(token.value, over.value.token.value)
  )
}
