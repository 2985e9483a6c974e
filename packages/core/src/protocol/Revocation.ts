import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { ProviderRefused } from "../AuthError.ts"
import { refusalOf } from "./OAuthAnswer.ts"
import type { MetadataError, OAuthClient } from "./OAuthClient.ts"

/** Tells the provider that a token is not used any more (RFC 7009 section 2). A token it does not know counts as revoked. */
export const revoke = Effect.fn("keyfob.revoke")(function* (
  client: OAuthClient,
  token: Redacted.Redacted,
  hint: "access_token" | "refresh_token"
): Effect.fn.Return<void, MetadataError | ProviderRefused> {
  const form = { token: Redacted.value(token), token_type_hint: hint }
  const answer = yield* client.post("revocation", form, "idempotent")
  const refusal = refusalOf(answer)
  if (refusal !== undefined) return yield* refusal
})
