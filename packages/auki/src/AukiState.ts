/**
 * A session as text, of this library or of the earlier one. That one's says nothing of whose it is, and is taken for this
 * account's own: its network session alone, since what hangs on it costs an exchange, and was never checked. Nor does it say
 * when it began: it is taken for the later one where its token ends after the one in the store. Who brings a token takes up
 * none that has another.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import {
  AccessToken,
  type ConfigurationInvalid,
  Credential,
  type CredentialStore,
  lastInstant,
  SavedSession,
  type StoreFailed
} from "keyfob"

const Predecessor = Schema.fromJsonString(
  Schema.Struct({
    network_auth: Schema.NullOr(
      Schema.Struct({
        token: Schema.NonEmptyString,
        refresh_token: Schema.optionalKey(Schema.NullOr(Schema.String)),
        expires_at: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: lastInstant }))
      })
    )
  })
)

export const restore = Effect.fnUntraced(function* (
  text: string,
  owner: SavedSession.Owner
): Effect.fn.Return<void, ConfigurationInvalid | StoreFailed, CredentialStore> {
  const old = yield* Effect.option(Schema.decodeEffect(Predecessor)(text))
  if (Option.isNone(old)) return yield* SavedSession.restore(text, owner)
  const { network_auth: session } = old.value
  // An app's token there is its secret: that is configured, and comes from nowhere else.
  if (session === null || /^basic /i.test(session.token) || owner.key.subject === "client") return
  const now = DateTime.makeUnsafe(yield* Clock.currentTimeMillis)
  const { account, key } = owner
  const saved = Credential.make({
    key,
    ...(account === undefined ? {} : { account }),
    generation: 1,
    issuedAt: now,
    signedInAt: now,
    token: AccessToken.bearer(Redacted.make(session.token.replace(/^bearer /i, "")), session.expires_at),
    ...(session.refresh_token ? { refreshToken: Redacted.make(session.refresh_token) } : {})
  })
  yield* SavedSession.takeUp(saved, owner, ({ token }) => endOf(token) >= session.expires_at)
})

const endOf = ({ expiresAt }: AccessToken) => expiresAt?.epochMilliseconds ?? Infinity
