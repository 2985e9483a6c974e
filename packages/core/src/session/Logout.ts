import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as HttpClient from "effect/http/HttpClient"
import { ConfigurationInvalid, type ProviderError, type StoreFailed } from "../AuthError.ts"
import type { Credential, CredentialKey } from "../Credential.ts"
import type { Flow } from "../flow/Flow.ts"
import * as OAuthClient from "../protocol/OAuthClient.ts"
import { revoke } from "../protocol/Revocation.ts"
import { CredentialStore } from "../store/CredentialStore.ts"
import { forget } from "./LoginSupervisor.ts"

export interface LogoutResult {
  /** A credential was there and is gone. */
  readonly removed: boolean
  /** The provider took the tokens back. */
  readonly revoked: boolean
  /** Why it did not, where it was asked. */
  readonly revocationError?: ConfigurationInvalid | ProviderError
}

/** Removes from the store what was derived from a credential. */
export const forgetDerived = Effect.fnUntraced(function* (
  key: CredentialKey
): Effect.fn.Return<void, StoreFailed, CredentialStore> {
  const { list, modify } = yield* CredentialStore
  for (const { key: derived } of yield* list) if (derived.isBelow(key)) yield* modify(derived, ({ remove }) => remove)
})

/**
 * Signs out. The provider is asked to revoke the tokens (RFC 7009); then they are forgotten, whether it did so or not, and
 * with them what was derived from them and what the flow would sign in with again (`Once`).
 */
export const logout = Effect.fn("keyfob.logout")(function* <R>(
  flow: Flow<R>,
  options: { readonly revoke: boolean } = { revoke: true }
): Effect.fn.Return<LogoutResult, StoreFailed, HttpClient.HttpClient | CredentialStore> {
  const store = yield* CredentialStore
  const http = yield* Effect.context<HttpClient.HttpClient>()
  const result = yield* store.modify(
    flow.key,
    Effect.fnUntraced(function* (slot): Effect.fn.Return<LogoutResult, StoreFailed> {
      if (!flow.attended) yield* flow.forget ?? Effect.void
      const stored = yield* slot.read
      // Also where there is nothing: removing is a revision, and a failed write that is still to be repeated is void then.
      if (Option.isNone(stored)) return yield* Effect.as(slot.remove, { removed: false, revoked: false })
      const revocation = options.revoke
        ? yield* Effect.result(Effect.provideContext(revokeAll(flow, stored.value), http))
        : undefined
      yield* slot.remove
      return {
        removed: true,
        revoked: revocation !== undefined && Result.isSuccess(revocation),
        ...(revocation !== undefined && Result.isFailure(revocation) ? { revocationError: revocation.failure } : {})
      }
    })
  )
  // After that, so that nothing is derived from it in between.
  yield* forgetDerived(flow.key)
  if (flow.attended) yield* forget(flow.key)
  return result
})

/** There is no revocation of ID tokens, and the access token beside it was never kept. */
const idTokenStays = new ConfigurationInvalid({ reason: "NotSupported", detail: "revocation of an ID token" })

/** The refresh token first: most providers end what came of it as well, but not all. */
const revokeAll = Effect.fnUntraced(function* <R>(flow: Flow<R>, credential: Credential) {
  const client = yield* OAuthClient.make(flow.client)
  if (flow.revoke !== undefined) return yield* flow.revoke(client, credential)
  const hasRefreshToken = credential.refreshToken !== undefined
  const first =
    credential.refreshToken === undefined ? Effect.void : revoke(client, credential.refreshToken, "refresh_token")
  if (credential.key.bearer === "id_token") return yield* hasRefreshToken ? first : idTokenStays
  const second = Effect.catchIf(
    revoke(client, credential.token.value, "access_token"),
    // Some take refresh tokens alone (RFC 7009 section 2.2.1): then what they took is all there was to take.
    (error) => error._tag === "ProviderRefused" && error.code === "unsupported_token_type" && hasRefreshToken,
    () => Effect.void
  )
  // If the one is refused, the other is still tried.
  yield* Effect.catchTag(first, "ProviderRefused", (refusal) => Effect.andThen(Effect.ignore(second), refusal))
  yield* second
})
