/** What the operating system said, as the store's typed error. The error keeps the path and the code, never a content. */
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

const failure = (reason: StoreFailed["reason"], location: string, detail: string) =>
  new StoreFailed({ reason, store: "file", location, detail })

export const readFailed = (location: string) => (error: PlatformError) =>
  failure("Unreadable", location, errnoOf(error))

export const writeFailed = (location: string) => (error: PlatformError) =>
  failure(unwritable[errnoOf(error)] ?? "WriteFailed", location, errnoOf(error))

export const corrupt = (location: string, detail: string) => failure("Corrupt", location, detail)

export const busy = (location: string, detail: string) => failure("Busy", location, detail)
