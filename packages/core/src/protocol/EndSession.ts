import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { MetadataError, OAuthClient } from "./OAuthClient.ts"

/** What a sign-out at the provider may say (OpenID Connect RP-Initiated Logout section 2). */
export interface EndSessionRequest {
  readonly idTokenHint?: Redacted.Redacted
  readonly postLogoutRedirectUri?: string
  readonly state?: string
}

/** The URL a person opens to end their session at the provider. It may hold the ID token, so it is Redacted. */
export const url = Effect.fnUntraced(function* (
  client: OAuthClient,
  request: EndSessionRequest = {}
): Effect.fn.Return<Redacted.Redacted, MetadataError> {
  const url = new URL(yield* client.endpoint("end_session"))
  url.searchParams.set("client_id", client.clientId)
  if (request.idTokenHint !== undefined) url.searchParams.set("id_token_hint", Redacted.value(request.idTokenHint))
  if (request.postLogoutRedirectUri !== undefined) {
    url.searchParams.set("post_logout_redirect_uri", request.postLogoutRedirectUri)
  }
  if (request.state !== undefined) url.searchParams.set("state", request.state)
  return Redacted.make(url.href)
})
