import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/** A secret string: shown as `<redacted>` wherever it is printed, in clear only on the wire and in a store. */
export const Secret = Schema.Redacted(Schema.NonEmptyString)

/** An access token (RFC 6749 section 1.4) with what is needed to use it. */
export class AccessToken extends Schema.Class<AccessToken>("keyfob/AccessToken")({
  value: Secret,
  /** The type as RFC 6750 spells it: `Bearer`. */
  type: Schema.String,
  /** When it ends, where that is known. */
  expiresAt: Schema.optionalKey(Schema.DateTimeUtc),
  /** The scopes that were granted. */
  scopes: Schema.Array(Schema.String)
}) {
  /** The value of an `Authorization` header (RFC 6750 section 2.1). */
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
