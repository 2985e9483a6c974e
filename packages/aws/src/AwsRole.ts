/**
 * A role at AWS, as the last link of a chain: STS gives temporary credentials of it for a JWT of a provider that the
 * account trusts (`AssumeRoleWithWebIdentity`).
 *
 *     const role = yield* AwsRole.make(yield* Api, { arn: "arn:aws:iam::123456789012:role/deploy" })
 *     const { AccessKeyId, SecretAccessKey, SessionToken } = yield* AwsRole.credentials(yield* role.token)
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import {
  AccessToken,
  AnswerRejected,
  ConfigurationInvalid,
  configuredUrl,
  type CredentialStore,
  type Granted,
  HttpExchange,
  Jwt,
  lastInstant,
  OAuthAnswer,
  ProviderRefused,
  ProviderUnavailable,
  type ProviderError,
  TokenChain,
  type TokenSource
} from "keyfob"

/** Which role is assumed, as whom, and where. */
export interface Role {
  readonly arn: string
  /** How the role's user is called in AWS's logs. Default: `keyfob`. */
  readonly sessionName?: string
  /** Default: `https://sts.amazonaws.com`; a region's own is `https://sts.REGION.amazonaws.com`. */
  readonly endpoint?: string
}

const text = Schema.NonEmptyString

/** What requests to AWS are signed with, in the words of its tools. */
export const Credentials = Schema.Struct({
  AccessKeyId: text,
  SecretAccessKey: Schema.RedactedFromValue(text),
  SessionToken: Schema.RedactedFromValue(text),
  /** ISO 8601 in what AWS's tools read and write. */
  Expiration: Schema.DateTimeUtcFromString
})
export type Credentials = typeof Credentials.Type

const Kept = Schema.fromJsonString(Credentials)

// Seconds since 1970 from AWS itself, text from some that speak its protocol.
const Instant = Schema.Union([
  Schema.DateTimeUtcFromString,
  Schema.Number.check(Schema.isBetween({ minimum: 0, maximum: lastInstant / 1000 }))
])

const Answer = Schema.Struct({
  AssumeRoleWithWebIdentityResponse: Schema.Struct({
    AssumeRoleWithWebIdentityResult: Schema.Struct({
      Credentials: Schema.Struct({ AccessKeyId: text, SecretAccessKey: text, SessionToken: text, Expiration: Instant })
    })
  })
})

/** The tools of AWS want others when less is left. */
const margin = Duration.minutes(15)

/**
 * The role's credentials as the tokens of a source, had for those of another: JWTs, whose issuer and audience the account
 * knows as an identity provider. They are kept in the store of the context.
 */
export const make = Effect.fnUntraced(function* (
  parent: TokenSource.TokenSource,
  { arn, endpoint = "https://sts.amazonaws.com", sessionName = "keyfob" }: Role
): Effect.fn.Return<
  TokenSource.TokenSource,
  ConfigurationInvalid,
  HttpClient.HttpClient | CredentialStore | Scope.Scope
> {
  const http = yield* HttpClient.HttpClient
  const url = yield* configuredUrl("endpoint", endpoint)
  return yield* TokenChain.make(parent, {
    name: "aws",
    target: [arn, sessionName, url.href].join(" "),
    margin,
    exchange: ({ value }) => assumeRole(http, url, { arn, sessionName, token: value })
  })
})

const assumeRole = Effect.fn("keyfob.aws.assumeRole")(function* (
  http: HttpClient.HttpClient,
  url: URL,
  { arn, sessionName, token }: { readonly arn: string; readonly sessionName: string; readonly token: Redacted.Redacted }
): Effect.fn.Return<Granted, ProviderError | ConfigurationInvalid> {
  // A name and its password, say, are nothing that AWS should see.
  yield* Effect.mapError(
    Jwt.decode(Redacted.value(token)),
    () => new ConfigurationInvalid({ reason: "NotSupported", detail: "a role at AWS for a token that is no JWT" })
  )
  const request = HttpClientRequest.bodyUrlParams(HttpClientRequest.post(url), {
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: arn,
    RoleSessionName: sessionName,
    WebIdentityToken: Redacted.value(token)
  })
  const began = yield* Clock.currentTimeMillis
  const answer = yield* HttpExchange.send(http, "token", request, "idempotent")
  if (answer.status >= 400) return yield* refusalOf(answer)
  const { AssumeRoleWithWebIdentityResponse: response } = yield* OAuthAnswer.accept(answer, Answer)
  const { Expiration, ...secrets } = response.AssumeRoleWithWebIdentityResult.Credentials
  const expiresAt = typeof Expiration === "number" ? DateTime.makeUnsafe(Expiration * 1000) : Expiration
  return {
    issuedAt: DateTime.makeUnsafe(began),
    token: AccessToken.make({
      value: Redacted.make(JSON.stringify({ ...secrets, Expiration: DateTime.formatIso(expiresAt) })),
      type: "N_A",
      expiresAt
    })
  }
})

/** What a token of such a source stands for. */
export const credentials = ({ value }: AccessToken): Effect.Effect<Credentials, AnswerRejected> =>
  Effect.mapError(
    Schema.decodeEffect(Kept)(Redacted.value(value)),
    // Only a store that somebody else has written to.
    () => new AnswerRejected({ reason: "Malformed", endpoint: "token", host: "sts", detail: "no role's credentials" })
  )

const isCode = Schema.is(Schema.String.check(Schema.isPattern(/^[A-Za-z.]{1,60}$/)))

/** The words of STS. A token that is not taken though it has not ended is one for others: its issuer or its audience is not known there. */
const reasons = new Map<unknown, ProviderRefused["reason"]>([
  ["AccessDenied", "AccessDenied"],
  ["IDPRejectedClaim", "AccessDenied"],
  ["RegionDisabledException", "AccessDenied"],
  ["ExpiredToken", "InvalidToken"],
  ["ExpiredTokenException", "InvalidToken"],
  ["InvalidIdentityToken", "InvalidTarget"],
  ["ValidationError", "InvalidRequest"]
])

/** They come with a 400 as well: AWS asks less often, or could not ask the issuer for its keys. */
const passing = new Map<unknown, ProviderUnavailable["reason"]>([
  ["Throttling", "RateLimited"],
  ["ThrottlingException", "RateLimited"],
  ["IDPCommunicationError", "ServerError"]
])

const refusalOf = ({ endpoint, host, json, status }: HttpExchange.Answer) => {
  const error = json?.["Error"]
  const said = Predicate.hasProperty(error, "Code") ? error.Code : undefined
  const later = passing.get(said)
  if (later !== undefined) return new ProviderUnavailable({ reason: later, endpoint, host, status })
  const code = isCode(said) ? { code: said } : {}
  return new ProviderRefused({ reason: reasons.get(said) ?? "Other", endpoint, host, status, ...code })
}
