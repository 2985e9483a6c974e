import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { AnswerRejected, printable, type ProviderError, type ProviderRefused } from "../AuthError.ts"
import { AccessToken, type DpopKey } from "../Token.ts"
import { type Answer, malformed, type Repeat } from "./HttpExchange.ts"
import * as ClientCertificate from "./ClientCertificate.ts"
import * as Deviation from "./Deviation.ts"
import { claimsOf, expiryOf } from "./Jwt.ts"
import { accept } from "./OAuthAnswer.ts"
import type { Form, MetadataError, OAuthClient } from "./OAuthClient.ts"
import type { ProviderProfile } from "./ProviderProfile.ts"

/** What a grant brings (RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3). */
export interface Granted {
  readonly token: AccessToken
  /** When the request was sent: lifetimes are counted from there. */
  readonly issuedAt: DateTime.Utc
  readonly refreshToken?: Redacted.Redacted
  /** When the refresh token ends if it is not used, where the answer says so: no RFC has it, many servers do. */
  readonly refreshExpiresAt?: DateTime.Utc
  readonly idToken?: Redacted.Redacted
  /** When the provider wants the token renewed (`refresh_in`, in no RFC). */
  readonly refreshAt?: DateTime.Utc
}

// A lifetime beyond all calendars is a long one: dates end where JavaScript's do.
const upToCentury = (seconds: number) => Math.min(seconds, 100 * 365 * 86_400)

// Servers are seen to send these as "3600": harmless.
export const Seconds = Schema.Union([
  Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)).pipe(
    Schema.decodeTo(Schema.Finite, SchemaTransformation.transform({ decode: upToCentury, encode: upToCentury }))
  ),
  Schema.String.check(Schema.isPattern(/^\d{1,20}$/)).pipe(
    Schema.decodeTo(
      Schema.Finite,
      SchemaTransformation.transform({ decode: (text) => upToCentury(Number(text)), encode: String })
    )
  )
])

// Hints that no RFC has: one that is no number of seconds is none, and no reason to lose what came with it. 0 stands for
// "no end" where Keycloak speaks of offline tokens, and would say nothing anywhere else.
const Hint = Schema.optionalKey(Schema.Unknown)
const decodeSeconds = Schema.decodeUnknownOption(Seconds)
const hinted = (member: unknown) =>
  Option.getOrUndefined(Option.filter(decodeSeconds(member), (seconds) => seconds > 0))

// null and "" stand for "none" at some servers.
const OptionalText = Schema.optionalKey(Schema.NullOr(Schema.String))

/** What an exchange brings may be of no use as an access token (RFC 8693 section 2.2.1). */
const notApplicable = "N_A"
const accessToken = "urn:ietf:params:oauth:token-type:access_token"
// Whether an access token is a JWT may be said or left open (RFC 8693 section 3).
const asAccessToken = [accessToken, "urn:ietf:params:oauth:token-type:jwt"]

const members = {
  // RFC 6749 appendix A.12. An HTTP client that is given any other repeats it in its error.
  access_token: Schema.String.check(Schema.isPattern(/^[\x20-\x7e]+$/)),
  expires_in: Schema.optionalKey(Schema.NullOr(Seconds)),
  refresh_in: Hint,
  refresh_token: OptionalText,
  refresh_token_expires_in: Hint,
  refresh_expires_in: Hint,
  id_token: OptionalText,
  scope: OptionalText,
  issued_token_type: OptionalText
}

// A token of a type one does not understand must not be used (RFC 6749 section 7.1); the letter case is left open.
const Success = Schema.Struct({
  ...members,
  token_type: Schema.optionalKey(Schema.NullOr(Schema.String.check(Schema.isPattern(/^(bearer)?$/i))))
})
// Any other type says that it is not bound to the key, and who asked for that does not want less (RFC 9449 section 5).
const BoundSuccess = Schema.Struct({ ...members, token_type: Schema.String.check(Schema.isPattern(/^dpop$/i)) })

// Some other kind of token, in answer to who asked for one.
const OtherSuccess = Schema.Struct({
  ...members,
  token_type: Schema.optionalKey(Schema.NullOr(Schema.String.check(Schema.isPattern(/^(bearer|n_a)?$/i))))
})

/**
 * A refresh whose answer brought a token that must not be used. The provider has rotated all the same: the refresh token
 * beside it is the one that counts from now on (RFC 6749 section 6).
 */
export interface Withheld extends Pick<Granted, "issuedAt" | "idToken"> {
  readonly refreshToken: Redacted.Redacted
  readonly reason: AnswerRejected
}

interface GrantOptions {
  /** What was asked for: what the answer means when it names no scope (RFC 6749 section 5.1). */
  readonly scopes: ReadonlyArray<string>
  readonly repeat: Repeat
  /** The type of token that an exchange must bring (RFC 8693 section 3). */
  readonly issues?: string
  /** The key that the token must be bound to. Default: the client's own, if its tokens are bound at all. */
  readonly dpopKey?: DpopKey | undefined
}

type GrantForm = Form & { readonly grant_type: string }

/** Asks the token endpoint for a token (RFC 6749 section 3.2). */
export const grant = Effect.fn("keyfob.token")(function* (
  client: OAuthClient,
  form: GrantForm,
  options: GrantOptions
): Effect.fn.Return<Granted, MetadataError | ProviderRefused> {
  return yield* judge(client, yield* ask(client, form, options), options)
})

/** The same with a refresh token (RFC 6749 section 6). An answer that must not be used may still bring the next refresh token. */
export const refresh = Effect.fn("keyfob.token")(function* (
  client: OAuthClient,
  refreshToken: Redacted.Redacted,
  { resource, ...options }: Omit<GrantOptions, "issues" | "repeat"> & { readonly resource: ReadonlyArray<string> }
): Effect.fn.Return<Granted | Withheld, MetadataError | ProviderRefused> {
  const form = { grant_type: "refresh_token", refresh_token: Redacted.value(refreshToken), resource }
  const asked = yield* ask(client, form, { ...options, repeat: "spending" })
  return yield* orWithheld(judge(client, asked, options), asked.answer, asked.now)
})

const isText = Schema.is(members.access_token)

/**
 * What a refresh brought or, where its access token must not be used, the refresh token and the ID token beside that.
 *
 * @param now when it was asked for, in milliseconds since 1970
 */
export const orWithheld = <E, R>(
  granted: Effect.Effect<Granted, E | AnswerRejected, R>,
  { json = {} }: Answer,
  now: number
): Effect.Effect<Granted | Withheld, E | AnswerRejected, R> =>
  Effect.catchIf(
    granted,
    (error) => error instanceof AnswerRejected,
    (reason) => {
      const { id_token: idToken, refresh_token: next } = json
      if (!isText(next)) return Effect.fail(reason)
      return Effect.succeed({
        issuedAt: DateTime.makeUnsafe(now),
        refreshToken: Redacted.make(next),
        ...(typeof idToken === "string" ? { idToken: Redacted.make(idToken) } : {}),
        reason
      })
    }
  )

/** What was asked when, and what came back. */
interface Asked {
  readonly now: number
  readonly answer: Answer
  readonly key: DpopKey | undefined
}

const ask = Effect.fnUntraced(function* (
  client: OAuthClient,
  form: GrantForm,
  options: GrantOptions
): Effect.fn.Return<Asked, MetadataError | ProviderRefused> {
  yield* Effect.annotateCurrentSpan({ "oauth.grant_type": form.grant_type })
  yield* client.metadata // so that its time does not count against the token's
  const dpopKey = isOther(options) ? undefined : client.dpopKey
  const key = options.dpopKey ?? (dpopKey === undefined ? undefined : yield* dpopKey)
  const now = yield* Clock.currentTimeMillis
  return { now, key, answer: yield* client.post("token", form, options.repeat, key) }
})

/** Whether an exchange is to bring something else than an access token. */
const isOther = ({ issues }: Pick<GrantOptions, "issues">) => issues !== undefined && issues !== accessToken

const judge = Effect.fnUntraced(function* (
  client: OAuthClient,
  { answer, key, now }: Asked,
  options: Omit<GrantOptions, "repeat">
): Effect.fn.Return<Granted, ProviderError> {
  const schema = isOther(options) ? OtherSuccess : key === undefined ? Success : BoundSuccess
  const success = yield* accept(answer, schema)
  if (options.issues !== undefined) yield* checkIssued(answer, success.issued_token_type, options.issues)
  yield* noteDeviations(answer)
  // Another kind of token goes on requests only where the answer calls it a bearer token. Not for a client with DPoP: no key
  // was proven in this exchange, so it cannot be bound to one.
  const isBearer = client.dpopKey === undefined && /^bearer$/i.test(success.token_type ?? "")
  const isUsable = !isOther(options) || isBearer
  const issuedAt = DateTime.makeUnsafe(now)
  const clockOffset = yield* client.clock.offset
  const value = yield* bearerOf(client.profile, answer, success)
  const certificateBoundAccessTokens = client.certificateBoundAccessTokens && isUsable
  const claims = claimsOf(value)
  if (claims !== undefined && ClientCertificate.isMisbound({ ...client, certificateBoundAccessTokens }, claims)) {
    return yield* new AnswerRejected({ reason: "CertificateMismatch", endpoint: "token", host: answer.host })
  }
  const expiresAt =
    typeof success.expires_in === "number" && value === success.access_token
      ? now + success.expires_in * 1000
      : expiryOf(value, clockOffset)
  const refreshIn = hinted(success.refresh_in)
  const refreshTokenLife = hinted(success.refresh_token_expires_in) ?? hinted(success.refresh_expires_in)
  return {
    issuedAt,
    token: AccessToken.make({
      value: Redacted.make(value),
      // As the schemes are spelled.
      ...(key === undefined ? { type: isUsable ? "Bearer" : notApplicable } : { type: "DPoP", dpopKey: key }),
      scopes: success.scope
        ? success.scope
            .split(" ")
            .map(printable)
            .filter((scope) => scope !== "")
        : options.scopes,
      ...(expiresAt === undefined ? {} : { expiresAt: DateTime.makeUnsafe(expiresAt) }),
      ...(clockOffset === undefined ? {} : { clockOffset })
    }),
    ...(success.refresh_token ? { refreshToken: Redacted.make(success.refresh_token) } : {}),
    ...(success.id_token ? { idToken: Redacted.make(success.id_token) } : {}),
    ...(refreshIn === undefined ? {} : { refreshAt: DateTime.makeUnsafe(now + refreshIn * 1000) }),
    ...(refreshTokenLife === undefined ? {} : { refreshExpiresAt: DateTime.makeUnsafe(now + refreshTokenLife * 1000) })
  }
})

const noteDeviations = Effect.fnUntraced(function* ({ json = {} }: Answer) {
  if (!json["token_type"]) yield* Deviation.note("token_type is missing")
  if (typeof json["expires_in"] !== "number") {
    yield* Deviation.note(`expires_in is ${typeof json["expires_in"] === "string" ? "a string" : "missing"}`)
  }
})

/** What an API is sent; `expires_in` is the access token's own. */
const bearerOf = Effect.fnUntraced(function* (profile: ProviderProfile, answer: Answer, granted: typeof Success.Type) {
  if (profile.bearer === "access_token") return granted.access_token
  if (!granted.id_token) return yield* malformed(answer, "id_token is missing")
  yield* Deviation.note("the ID token is the bearer token")
  return granted.id_token
})

/**
 * Holds the type of what was issued against what was asked for. It has to be there (RFC 8693 section 2.2.1); some servers
 * leave it out, and what they give is taken for an access token where one was asked for, and for nothing else.
 */
const checkIssued = Effect.fnUntraced(function* (answer: Answer, issued: string | null | undefined, asked: string) {
  if (!issued && asked === accessToken) {
    return yield* Deviation.note("issued_token_type is missing")
  }
  if (issued === asked || (asked === accessToken && asAccessToken.includes(issued ?? ""))) return
  return yield* malformed(
    answer,
    issued ? "issued_token_type is not what was asked for" : "issued_token_type is missing"
  )
})
