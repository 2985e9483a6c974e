/** A token as `keyfob token` prints it. */
import * as Redacted from "effect/Redacted"
import type { AccessToken } from "keyfob"
import { iso } from "./time.ts"

export const tokenJson = ({ expiresAt, scopes, type, value }: AccessToken) => ({
  access_token: Redacted.value(value),
  token_type: type,
  expires_at: iso(expiresAt),
  scopes
})

export const tokenText = ({ value }: AccessToken) => Redacted.value(value)
