import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { LoginRequired } from "../AuthError.ts"
import type { CredentialKey } from "../Credential.ts"
import { required } from "../Required.ts"
import { AccessToken, lastInstant } from "../Token.ts"
import type { UnattendedFlow } from "./Flow.ts"
import * as Once from "./Once.ts"

/** A session that began elsewhere, and that settings bring along. Instants are in milliseconds since 1970. */
export interface Session {
  /** Without it there is nothing to begin with: only a session that is kept already can be used. */
  readonly token: Redacted.Redacted | undefined
  /** When the token ends, where that is known. */
  readonly end: number | undefined
  readonly refreshToken?: Redacted.Redacted | undefined
  readonly refreshEnd?: number | undefined
}

/** Begins with what was brought. A session that is over fails with `LoginRequired`. */
export const make = (
  key: CredentialKey,
  { end, refreshEnd, refreshToken, token }: Session
): Pick<UnattendedFlow, "brought" | "canObtain" | "forget" | "obtain"> => {
  const session = Effect.gen(function* () {
    const bearer = yield* required("token", token)
    const now = yield* DateTime.now
    const { epochMilliseconds } = now
    const canRenew = refreshToken !== undefined && (refreshEnd ?? Infinity) > epochMilliseconds
    if (!canRenew && end !== undefined && end <= epochMilliseconds) {
      const { account, issuer } = key
      return yield* new LoginRequired({ reason: "NotRenewable", issuer, account })
    }
    return {
      issuedAt: now,
      signedInAt: now,
      token: AccessToken.bearer(bearer, end),
      ...(canRenew ? { refreshToken } : {}),
      ...(refreshEnd === undefined ? {} : { refreshExpiresAt: DateTime.makeUnsafe(Math.min(refreshEnd, lastInstant)) })
    }
  })
  return { brought: token, ...Once.make(key, session, Effect.succeed) }
}
