/**
 * A session as text: `{"version":1,"credentials":[…]}`, each bound to issuer, client and account by its key. The earlier
 * library's text, which says nothing of these, is taken for this account's own: its network session alone, since what hangs
 * on it costs an exchange, and was never checked.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { AccessToken, ConfigurationInvalid, Credential, CredentialKey } from "keyfob"

const Version = Schema.fromJsonString(Schema.Struct({ version: Schema.optionalKey(Schema.Unknown) }))
const Saved = Schema.fromJsonString(
  Schema.Struct({ version: Schema.Literal(1), credentials: Schema.Array(Schema.toCodecJson(Credential)) })
)
const Millis = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8.64e15 }))
const Predecessor = Schema.fromJsonString(
  Schema.Struct({
    network_auth: Schema.NullOr(
      Schema.Struct({
        token: Schema.NonEmptyString,
        refresh_token: Schema.optionalKey(Schema.NullOr(Schema.String)),
        expires_at: Millis
      })
    )
  })
)

/** The key of the credential that a derived one hangs on. */
export const rootOf = (key: CredentialKey): CredentialKey => {
  const { links: _, ...root } = key
  return CredentialKey.make(root)
}

export const encode = (credentials: ReadonlyArray<Credential>): Effect.Effect<string> =>
  Effect.orDie(Schema.encodeEffect(Saved)({ version: 1, credentials }))

/** The credentials of a saved state, if they are `own`: parents come first, so that nothing hangs in the air. */
export const decode = Effect.fnUntraced(function* (
  text: string,
  own: CredentialKey
): Effect.fn.Return<ReadonlyArray<Credential>, ConfigurationInvalid> {
  const invalid = (detail: string) =>
    Effect.mapError(() => new ConfigurationInvalid({ reason: "InvalidValue", detail: `saved state: ${detail}` }))
  const { version } = yield* Schema.decodeEffect(Version)(text).pipe(invalid("not a JSON object"))
  if (version === undefined) {
    const { network_auth } = yield* Schema.decodeEffect(Predecessor)(text).pipe(invalid("not a session"))
    return network_auth === null ? [] : yield* taken(network_auth, own)
  }
  const { credentials } = yield* Schema.decodeEffect(Saved)(text).pipe(invalid("not of version 1"))
  if (credentials.some(({ key }) => rootOf(key).canonical !== own.canonical)) {
    const detail = "saved state: of another service, client or account"
    return yield* new ConfigurationInvalid({ reason: "InvalidValue", detail })
  }
  return credentials.toSorted((a, b) => (a.key.links?.length ?? 0) - (b.key.links?.length ?? 0))
})

/** An app's token there is its secret: that is configured, and comes from nowhere else. */
const taken = Effect.fnUntraced(function* (
  { expires_at, refresh_token, token }: NonNullable<(typeof Predecessor.Type)["network_auth"]>,
  key: CredentialKey
) {
  if (/^basic /i.test(token) || key.subject === "client") return []
  const now = DateTime.makeUnsafe(yield* Clock.currentTimeMillis)
  return [
    Credential.make({
      key,
      generation: 1,
      issuedAt: now,
      signedInAt: now,
      token: AccessToken.make({
        value: Redacted.make(token.replace(/^bearer /i, "")),
        type: "Bearer",
        scopes: [],
        expiresAt: DateTime.makeUnsafe(expires_at)
      }),
      ...(refresh_token ? { refreshToken: Redacted.make(refresh_token) } : {})
    })
  ]
})
