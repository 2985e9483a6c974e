/**
 * A session as text: `{"version":2,"of":"…","session":[…]}`. What it belongs to (services, client, account, who signs in) is
 * told by a digest alone: nobody's address is in it. The earlier library's text, which says nothing of these, is taken for
 * this account's own: its network session alone, since what hangs on it costs an exchange, and was never checked.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import * as Digest from "effect/crypto/Digest"
import * as Base64Url from "effect/encoding/Base64Url"
import { ConfigurationInvalid, Credential, CredentialKey, Promised } from "keyfob"
import * as Api from "./Api.ts"

const Version = Schema.fromJsonString(Schema.Struct({ version: Schema.optionalKey(Schema.Unknown) }))
/** Whose credential it is goes without saying: what else is of theirs is the way to it. */
const Kept = Schema.Struct({
  ...Struct.omit(Credential.fields, ["key", "account"]),
  links: Schema.optionalKey(Schema.Array(Schema.String))
})
const Saved = Schema.fromJsonString(
  Schema.toCodecJson(Schema.Struct({ version: Schema.Literal(2), of: Schema.String, session: Schema.Array(Kept) }))
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

/** Whose session it is. */
type Owner = Pick<Credential, "key" | "account">

/** The key of the credential that a derived one hangs on. */
export const rootOf = (key: CredentialKey): CredentialKey => {
  const { links: _, ...root } = key
  return CredentialKey.make(root)
}

const digestOf = ({ canonical }: CredentialKey): Effect.Effect<string> =>
  Digest.Digest.use(({ digest }) => digest(Digest.sha256, new TextEncoder().encode(canonical))).pipe(
    Effect.map(Base64Url.encode),
    Effect.orDie, // every Web Crypto has SHA-256
    Effect.provide(Digest.layerWebCrypto),
    Promised.run
  )

export const encode = Effect.fnUntraced(function* (
  credentials: ReadonlyArray<Credential>,
  own: CredentialKey
): Effect.fn.Return<string> {
  const session = credentials.map(({ key: { links }, ...kept }) => (links === undefined ? kept : { ...kept, links }))
  return yield* Effect.orDie(Schema.encodeEffect(Saved)({ version: 2, of: yield* digestOf(own), session }))
})

/** The credentials of a saved state, if they are this owner's: parents come first, so that nothing hangs in the air. */
export const decode = Effect.fnUntraced(function* (
  text: string,
  owner: Owner
): Effect.fn.Return<ReadonlyArray<Credential>, ConfigurationInvalid> {
  const invalid = (detail: string) =>
    new ConfigurationInvalid({ reason: "InvalidValue", detail: `saved state: ${detail}` })
  const read = <S extends Schema.Codec<unknown, string>>(schema: S, detail: string) =>
    Effect.mapError(Schema.decodeEffect(schema)(text), () => invalid(detail))
  const { version } = yield* read(Version, "not a JSON object")
  if (version === undefined) {
    const { network_auth } = yield* read(Predecessor, "not a session")
    return network_auth === null ? [] : yield* taken(network_auth, owner)
  }
  const { of, session } = yield* read(Saved, "not of version 2")
  if (of !== (yield* digestOf(owner.key))) return yield* invalid("of another service, client or account")
  return session
    .toSorted((a, b) => (a.links?.length ?? 0) - (b.links?.length ?? 0))
    .map(({ links, ...kept }) => {
      const key = links === undefined ? owner.key : CredentialKey.make({ ...owner.key, links })
      return Credential.make({ ...kept, ...owner, key })
    })
})

/** An app's token there is its secret: that is configured, and comes from nowhere else. */
const taken = Effect.fnUntraced(function* (
  { expires_at, refresh_token, token }: NonNullable<(typeof Predecessor.Type)["network_auth"]>,
  owner: Owner
) {
  if (/^basic /i.test(token) || owner.key.subject === "client") return []
  const now = DateTime.makeUnsafe(yield* Clock.currentTimeMillis)
  return [
    Credential.make({
      ...owner,
      generation: 1,
      issuedAt: now,
      signedInAt: now,
      token: Api.bearer(Redacted.make(token.replace(/^bearer /i, "")), expires_at),
      ...(refresh_token ? { refreshToken: Redacted.make(refresh_token) } : {})
    })
  ]
})
