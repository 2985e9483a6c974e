/** Between a credential as text and what stands in its file: the text itself, encrypted, or kept elsewhere. */
import * as Effect from "effect/Effect"
import type { StoreFailed } from "keyfob"

/** Where a credential's file is. */
export interface Place {
  /** Its path. */
  readonly file: string
  /** What the file is called but for its extension. It holds a hash of the credential's key: no two keys share it. */
  readonly name: string
}

/** The write that a sealing is part of. */
export interface Writing {
  /** What stood in the file until now, and still does where the write fails. */
  readonly before: string | undefined
  /** Fails where the lease is lost. To be asked before each step that others would see. */
  readonly check: Effect.Effect<void, StoreFailed>
}

export interface Sealing {
  /** What `status` calls it: `file`, `encrypted_file`, `keychain`. */
  readonly store: string
  /** With the dot. Another one for each sealing, so that a file says who can open it. */
  readonly extension: string
  /** Fails where no credential can be put here now. Asked only where there is a choice. */
  readonly ready: Effect.Effect<void, StoreFailed>
  /** What stands in the file from now on. */
  readonly seal: (text: string, place: Place, writing: Writing) => Effect.Effect<string, StoreFailed>
  /** `Corrupt` is for what is damaged and may be moved aside; what another key or time can open is `Locked` or `Unavailable`. */
  readonly open: (sealed: string, place: Place) => Effect.Effect<string, StoreFailed>
  /** The file has other content now, or is gone: what `sealed` stood for can go. */
  readonly discard?: (sealed: string, check: Writing["check"]) => Effect.Effect<void>
}

/** The text as it is. */
export const plain: Sealing = {
  store: "file",
  extension: ".json",
  ready: Effect.void,
  seal: Effect.succeed,
  open: Effect.succeed
}
