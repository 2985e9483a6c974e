import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Base64 from "effect/encoding/Base64"

/** The last instant that a date can be, in milliseconds since 1970: an end beyond it is this one. */
export const lastInstant = 8.64e15

/** A secret string: shown as `<redacted>` wherever it is printed, in clear only on the wire and in a store. */
export const Secret = Schema.Redacted(Schema.NonEmptyString)

const Coordinate = Schema.String.check(Schema.isPattern(/^[\w-]{43}$/))

/** The private key that a token is bound to (RFC 9449), an ES256 JWK: whoever has both can use the token. */
export const DpopKey = Schema.Redacted(
  Schema.Struct({
    kty: Schema.Literal("EC"),
    crv: Schema.Literal("P-256"),
    x: Coordinate,
    y: Coordinate,
    d: Coordinate
  })
)
export type DpopKey = typeof DpopKey.Type

/** Why a token with such a key cannot be given out as a header line. For a person. */
export const noHeaderLine =
  "the token is bound to a key (DPoP): each request needs a proof of its own, which no header line can hold"

/** An access token (RFC 6749 section 1.4) with what is needed to use it. */
export class AccessToken extends Schema.Class<AccessToken>("keyfob/AccessToken")({
  value: Secret,
  /**
   * `Bearer` (RFC 6750), or `DPoP` (RFC 9449), which is of no use without proofs by its key. `N_A` is what an exchange
   * brought that is no access token (RFC 8693 section 2.2.1): its value is for another exchange, and for no request.
   */
  type: Schema.String,
  /** The key it is bound to, and with it a public client's refresh token. */
  dpopKey: Schema.optionalKey(DpopKey),
  /** When it ends, where that is known, by the clock of the machine that asked for it. */
  expiresAt: Schema.optionalKey(Schema.DateTimeUtc),
  /** Milliseconds that machine found the provider's clock ahead of its own, where it could tell. */
  clockOffset: Schema.optionalKey(Schema.Finite),
  /** The scopes that were granted. */
  scopes: Schema.Array(Schema.String).pipe(Schema.withConstructorDefault(Effect.succeed([]))),
  /** What the provider says of it besides, such as the server that takes it: facts, no secrets. */
  details: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
}) {
  /**
   * A token that whoever has it may use (RFC 6750), as one that grants no scopes.
   *
   * @param end in milliseconds since 1970, where that is known
   */
  static readonly bearer = (value: Redacted.Redacted, end?: number, details?: AccessToken["details"]): AccessToken =>
    AccessToken.make({
      value,
      type: "Bearer",
      ...(end === undefined ? {} : { expiresAt: DateTime.makeUnsafe(Math.min(end, lastInstant)) }),
      ...(details === undefined ? {} : { details })
    })

  /** A name and its secret in a token's place (RFC 7617), without end. The name has no colon. */
  static readonly basic = (name: string, secret: Redacted.Redacted): AccessToken =>
    AccessToken.make({
      value: Redacted.make(Base64.encode(`${name}:${Redacted.value(secret)}`)),
      type: "Basic"
    })

  /** The value of an `Authorization` header (RFC 6750 section 2.1, RFC 9449 section 7.1). */
  get authorization(): Redacted.Redacted {
    return Redacted.make(`${this.type} ${Redacted.value(this.value)}`)
  }

  /** Whether the token is past its end. A token without a known end never is. (A getter would take part in `Equal`.) */
  isExpired(): Effect.Effect<boolean> {
    return Effect.map(
      Clock.currentTimeMillis,
      (now) => this.expiresAt !== undefined && now >= DateTime.toEpochMillis(this.expiresAt)
    )
  }
}
