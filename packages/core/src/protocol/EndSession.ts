/** Ending a person's session at the provider itself, by their browser (OpenID Connect RP-Initiated Logout 1.0). */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { AnswerRejected, ConfigurationInvalid, printable } from "../AuthError.ts"
import { Secret } from "../Token.ts"
import { isTo } from "./AuthorizationResponse.ts"
import { hostOf } from "./HttpExchange.ts"
import type { MetadataError, OAuthClient } from "./OAuthClient.ts"
import * as Pkce from "./Pkce.ts"

/** What a sign-out at the provider may say (section 2). */
export interface EndSessionRequest {
  /** The ID token the person signed in with: whose session it is, and that it is this client's. It may have ended. */
  readonly idTokenHint?: Redacted.Redacted
  /** Who they are, where there is no ID token any more. */
  readonly logoutHint?: string
  /** Where their browser comes back to, as it is registered for that at the provider. */
  readonly postLogoutRedirectUri?: string
  /** The languages they read, best first (BCP 47). */
  readonly uiLocales?: ReadonlyArray<string>
  readonly state?: string
}

/** The URL a person opens to end their session at the provider. It may hold the ID token, so it is Redacted. */
export const url = Effect.fnUntraced(function* (
  client: OAuthClient,
  request: EndSessionRequest = {}
): Effect.fn.Return<Redacted.Redacted, MetadataError> {
  const { idTokenHint, logoutHint, postLogoutRedirectUri, state, uiLocales } = request
  const url = new URL(yield* client.endpoint("end_session"))
  if (postLogoutRedirectUri !== undefined && URL.parse(postLogoutRedirectUri) === null) {
    const detail = `post logout redirect URI ${printable(postLogoutRedirectUri)}`
    return yield* new ConfigurationInvalid({ reason: "InvalidValue", detail })
  }
  for (const [name, value] of Object.entries({
    client_id: client.clientId,
    id_token_hint: idTokenHint && Redacted.value(idTokenHint),
    logout_hint: logoutHint,
    post_logout_redirect_uri: postLogoutRedirectUri,
    ui_locales: uiLocales?.join(" "),
    state
  })) {
    if (value !== undefined) url.searchParams.set(name, value)
  }
  return Redacted.make(url.href)
})

/**
 * What must be remembered from a sign-out until the browser is back: one return alone. A web app keeps it in the person's
 * browser, say, as `Schema.toCodecJson(PendingEndSession)` writes it: their session is what ends.
 */
export class PendingEndSession extends Schema.Class<PendingEndSession>("keyfob/PendingEndSession")({
  issuer: Schema.String,
  /** Ties the return to the browser that was sent out (section 3). */
  state: Secret
}) {}

/** A sign-out that is ready: the address the person's browser must open, and what to remember meanwhile. */
export interface BegunEndSession {
  readonly url: Redacted.Redacted
  readonly pending: PendingEndSession
}

/** Begins a sign-out that the person's browser comes back from. */
export const begin = Effect.fnUntraced(function* (
  client: OAuthClient,
  request: Omit<EndSessionRequest, "state"> & { readonly postLogoutRedirectUri: string }
): Effect.fn.Return<BegunEndSession, MetadataError> {
  const state = yield* Pkce.random
  const { issuer } = yield* client.metadata
  return {
    url: yield* url(client, { ...request, state: Redacted.value(state) }),
    pending: PendingEndSession.make({ issuer, state })
  }
})

/**
 * Whether what came to the post logout redirect URI ends the sign-out that was begun. Anybody can send a browser there: a
 * program that forgets its own session on the way back does so for its own sign-outs alone.
 *
 * @param answer the address the browser came to, in full or from its path on
 */
export const complete = (pending: PendingEndSession, answer: string): Effect.Effect<void, AnswerRejected> =>
  isTo(pending.state, answer)
    ? Effect.void
    : Effect.fail(
        new AnswerRejected({ reason: "StateMismatch", endpoint: "end_session", host: hostOf(pending.issuer) })
      )
