import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { decodeJwt } from "jose"
import { AnswerRejected, type ProviderRefused } from "../AuthError.ts"
import type { AccessToken } from "../Token.ts"
import * as ClientCertificate from "./ClientCertificate.ts"
import * as Deviation from "./Deviation.ts"
import { hostOf } from "./HttpExchange.ts"
import { accept } from "./OAuthAnswer.ts"
import type { MetadataError, OAuthClient } from "./OAuthClient.ts"

// Servers are seen to send these as "1735689600", and null for what they do not know: harmless.
const Instant = Schema.Union([
  Schema.Finite,
  Schema.String.check(Schema.isPattern(/^\d{1,15}$/)).pipe(
    Schema.decodeTo(Schema.Finite, SchemaTransformation.transform({ decode: Number, encode: String }))
  )
])
const Text = Schema.optionalKey(Schema.String)

const Active = Schema.StructWithRest(
  Schema.Struct({
    active: Schema.Literal(true),
    /** The scopes, with blanks between them. */
    scope: Text,
    client_id: Text,
    username: Text,
    token_type: Text,
    /** Seconds since 1970, by the provider's clock, as the other two. */
    exp: Schema.optionalKey(Instant),
    iat: Schema.optionalKey(Instant),
    nbf: Schema.optionalKey(Instant),
    sub: Text,
    aud: Schema.optionalKey(Schema.Union([Schema.String, Schema.Array(Schema.String)])),
    iss: Text,
    jti: Text
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)

// Good or not is what is asked: anything but a clear yes or no is no answer.
const Verdict = Schema.Struct({ active: Schema.Literals([true, false, "true", "false"]) })

/** What the provider knows of a token that is good (RFC 7662 section 2.2), in the wire's own names; other members are kept. */
export type ActiveToken = typeof Active.Type

/** Whether a token is good. Of one that is not, nothing else is told (RFC 7662 section 2.2). */
export type Introspection = ActiveToken | { readonly active: false }

/**
 * Asks the provider about a token (RFC 7662 section 2), as this client. Each call asks: no answer is kept, since a token
 * may be revoked at any time. What is `active` may be somebody else's or for another API: that is the caller's to judge.
 *
 * Of an access token of our own, the certificate it is bound to is held against ours (RFC 8705 section 3.2). Of a token as
 * text, which may be anybody's, `cnf` is a member as any other: an API compares it with what its caller presents.
 *
 * @param hint what kind of token it is, where that is known: it is found sooner
 */
export const introspect = Effect.fn("keyfob.introspect")(function* (
  client: OAuthClient,
  token: Redacted.Redacted | AccessToken,
  hint?: "access_token" | "refresh_token"
): Effect.fn.Return<Introspection, MetadataError | ProviderRefused> {
  const isOurs = !Redacted.isRedacted(token)
  const form = {
    token: Redacted.value(isOurs ? token.value : token),
    token_type_hint: isOurs ? "access_token" : hint
  }
  const answer = yield* client.post("introspection", form, "idempotent")
  const { active } = yield* accept(answer, Verdict)
  if (active === false || active === "false") return { active: false }
  if (active === "true") yield* Deviation.note("active is a string")
  const told = Object.fromEntries(Object.entries(answer.json ?? {}).filter(([, value]) => value !== null))
  const claims = yield* accept({ ...answer, json: { ...told, active: true } }, Active)
  // Where the token is a JWT, it says itself what it is bound to, and the answer may leave that out.
  const isTold = isOurs && (claims["cnf"] !== undefined || isBindingHidden(client, token))
  if (isTold && ClientCertificate.isMisbound(client, claims)) return yield* misbound(answer.host)
  return claims
})

const misbound = (host: string) =>
  new AnswerRejected({ reason: "CertificateMismatch", endpoint: "introspection", host })

/** Whether a token has to be bound to our certificate and does not show it: it is opaque, so that only the provider can tell. */
export const isBindingHidden = (
  { certificateBoundAccessTokens }: OAuthClient,
  { type, value }: AccessToken
): boolean => {
  if (!certificateBoundAccessTokens || type === "N_A") return false
  try {
    decodeJwt(Redacted.value(value))
    return false
  } catch {
    return true
  }
}

/**
 * Asks the provider whether such a token is bound to our certificate, and fails where it is not. This takes a request:
 * callers keep what they need of the token's answer (a refresh token) before.
 */
export const confirmBinding = Effect.fnUntraced(function* (
  client: OAuthClient,
  token: AccessToken
): Effect.fn.Return<void, MetadataError | ProviderRefused> {
  if (!isBindingHidden(client, token)) return
  const { active } = yield* introspect(client, token)
  if (!active) return yield* misbound(hostOf(yield* client.endpoint("introspection")))
})
