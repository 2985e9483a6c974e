/** What went wrong with a store on this machine, as its typed error. The error keeps path and code, never a content. */
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import { StoreFailed } from "keyfob"

/** The operating system's word for it (`ENOSPC`) where there is one, else Effect's (`PermissionDenied`). */
export const errnoOf = (error: PlatformError): string => {
  const { _tag, cause } = error.reason
  return Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) ? cause.code : _tag
}

const unwritable: Readonly<Record<string, StoreFailed["reason"]>> = {
  EROFS: "ReadOnly",
  EACCES: "ReadOnly",
  EPERM: "ReadOnly",
  PermissionDenied: "ReadOnly",
  ENOSPC: "Full",
  EDQUOT: "Full"
}

/** The failures of the store that is called `store`. */
export const failuresOf = (store: string) => {
  const failure = (reason: StoreFailed["reason"]) => (location: string, detail: string) =>
    new StoreFailed({ reason, store, location, detail })
  return {
    readFailed: (location: string) => (error: PlatformError) => failure("Unreadable")(location, errnoOf(error)),
    writeFailed: (location: string) => (error: PlatformError) =>
      failure(unwritable[errnoOf(error)] ?? "WriteFailed")(location, errnoOf(error)),
    corrupt: failure("Corrupt"),
    busy: failure("Busy"),
    locked: failure("Locked"),
    unavailable: failure("Unavailable")
  }
}
