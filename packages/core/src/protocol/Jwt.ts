import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Base64Url from "effect/encoding/Base64Url"
import { compactVerify, createLocalJWKSet, decodeJwt, decodeProtectedHeader, errors, type JSONWebKeySet } from "jose"
import { type AnswerRejected, printable, type ProviderUnavailable, TokenRejected } from "../AuthError.ts"
import { lastInstant } from "../Token.ts"
import { type Algorithm, asymmetric } from "./Algorithm.ts"
import type { Jwks } from "./Jwks.ts"
import * as Promised from "./Promised.ts"

export type { Algorithm }

/** How far the provider's clock and ours may differ, beyond what is known of them. Default 30 seconds. */
export const ClockTolerance = Context.Reference<Duration.Duration>("keyfob/ClockTolerance", {
  defaultValue: () => Duration.seconds(30)
})

/** The claims that say who issued a token, for whom. */
const direction = {
  iss: Schema.String,
  aud: Schema.Union([Schema.String, Schema.Array(Schema.String)]),
  azp: Schema.optionalKey(Schema.String)
}
const Direction = Schema.Struct(direction)
type Direction = typeof Direction.Type

/** The claims of a verified token (RFC 7519 section 4.1, OpenID Connect Core section 2); others are kept as they are. */
export const Claims = Schema.StructWithRest(
  Schema.Struct({
    ...direction,
    sub: Schema.optionalKey(Schema.String),
    exp: Schema.Finite,
    iat: Schema.optionalKey(Schema.Finite),
    nbf: Schema.optionalKey(Schema.Finite),
    nonce: Schema.optionalKey(Schema.String),
    at_hash: Schema.optionalKey(Schema.String)
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)
export type Claims = typeof Claims.Type

/** What a token is held against. */
export interface Expected {
  readonly jwks: Jwks
  /** Equal to `iss`, character for character. */
  readonly issuer: string
  /** Among `aud`; of a list any one. */
  readonly audience: string | ReadonlyArray<string>
  readonly algorithms?: ReadonlyArray<Algorithm>
}

/** What an ID token is held against: its audience is the client. */
export interface ExpectedIdToken extends Expected {
  readonly audience: string
  readonly nonce?: string
  /** Seconds since the person last proved who they are, at most: `auth_time`. */
  readonly maxAge?: number
  /** How they may have done so: `acr` is one of these. */
  readonly acrValues?: ReadonlyArray<string>
  /** The access token it came with, for `at_hash`. */
  readonly accessToken?: Redacted.Redacted
}

/** The header and claims of a JWT, read without trust: nothing is verified. */
export const decode = (jwt: string) =>
  Effect.try({
    try: (): {
      readonly header: Readonly<Record<string, unknown>>
      readonly claims: Readonly<Record<string, unknown>>
    } => ({
      header: { ...decodeProtectedHeader(jwt) },
      claims: { ...decodeJwt(jwt) }
    }),
    catch: () => new TokenRejected({ reason: "Malformed", token: "token" })
  })

/** What a token says of itself, where it is a JWT (RFC 7515 section 7.1): an opaque one is no failure. Nothing is verified. */
export const claimsOf = (token: string) => {
  if (token.split(".").length !== 3) return undefined
  try {
    return decodeJwt(token)
  } catch {
    return undefined
  }
}

/**
 * When a token that is a JWT ends, by its own word: a hint, since nothing is verified. In milliseconds since 1970, by this
 * machine's clock; some servers write 0 where there is no end.
 *
 * @param clockOffset milliseconds that the clock of who issued it is ahead
 */
export const expiryOf = (token: string, clockOffset = 0): number | undefined => {
  const exp = claimsOf(token)?.exp
  return typeof exp === "number" && exp > 0 ? Math.min(exp * 1000 - clockOffset, lastInstant) : undefined
}

/** Verifies any JWT: signature, `iss`, `aud`, `exp`, `nbf`, `iat` (RFC 7519 section 7.2, RFC 8725 section 3). */
export const verify = (jwt: Redacted.Redacted, expected: Expected) => verifyAs("token", jwt, expected)

/**
 * Verifies an ID token (OpenID Connect Core section 3.1.3.7): as {@link verify} with the client as audience, and `sub`,
 * `iat`, `azp`, `nonce`, `at_hash`, `acr` and `auth_time`, the last four where there is something to hold them against. It has
 * no span, which would end with the claims: the nonce is one, and who somebody is are the others.
 */
export const verifyIdToken = Effect.fnUntraced(function* (
  idToken: Redacted.Redacted,
  expected: ExpectedIdToken
): Effect.fn.Return<Claims & { readonly sub: string }, TokenRejected | ProviderUnavailable | AnswerRejected> {
  const reject = rejecting("ID token")
  const claims = yield* verifyAs("ID token", idToken, expected)
  const { sub } = claims
  if (sub === undefined || sub === "") return yield* reject("MissingClaim", "sub")
  if (claims.iat === undefined) return yield* reject("MissingClaim", "iat")
  yield* checkParty(claims, expected)
  if (expected.nonce !== undefined && claims.nonce !== expected.nonce) return yield* reject("Nonce")
  if (claims.at_hash !== undefined && expected.accessToken !== undefined) {
    const { header } = yield* decode(Redacted.value(idToken))
    const hash = yield* accessTokenHash(Redacted.value(expected.accessToken), String(header["alg"]))
    if (claims.at_hash !== hash) return yield* reject("AccessTokenHash")
  }
  const { acr, auth_time: authTime } = claims
  if (expected.acrValues !== undefined && !expected.acrValues.includes(String(acr))) {
    return yield* reject("AuthenticationContext", acr === undefined ? "acr is missing" : printable(String(acr)))
  }
  if (expected.maxAge !== undefined) {
    if (typeof authTime !== "number") return yield* reject("MissingClaim", "auth_time")
    const now = (yield* expected.jwks.clock.now) / 1000
    const tolerance = Duration.toSeconds(yield* ClockTolerance)
    if (now > authTime + expected.maxAge + tolerance) return yield* reject("AuthenticationTime", instant(authTime))
  }
  return { ...claims, sub }
})

/**
 * Whether an ID token claims to be from this issuer and for this client. Nothing is verified: so that a token which cannot
 * be verified (keys out of reach, clocks that differ) is refused all the same if it is plainly somebody else's.
 */
export const checkDirection = Effect.fnUntraced(function* (
  idToken: Redacted.Redacted,
  expected: Pick<ExpectedIdToken, "issuer" | "audience">
): Effect.fn.Return<void, TokenRejected> {
  const { claims } = yield* decode(Redacted.value(idToken))
  const told = yield* Effect.mapError(Schema.decodeUnknownEffect(Direction)(claims), (error) =>
    rejecting("ID token")("MissingClaim", claimNamed(error))
  )
  yield* checkIssued("ID token", told, expected)
  yield* checkParty(told, expected)
})

const checkIssued = Effect.fnUntraced(function* (
  token: TokenRejected["token"],
  { aud, iss }: Direction,
  { audience, issuer }: Pick<Expected, "issuer" | "audience">
) {
  const reject = rejecting(token)
  if (iss !== issuer) return yield* reject("Issuer", printable(iss))
  const audiences = [aud].flat()
  const allowed = [audience].flat()
  if (!audiences.some((one) => allowed.includes(one))) return yield* reject("Audience", printable(audiences.join(", ")))
})

const checkParty = Effect.fnUntraced(function* (
  { aud, azp }: Direction,
  { audience }: Pick<ExpectedIdToken, "audience">
) {
  const reject = rejecting("ID token")
  const severalAudiences = typeof aud !== "string" && aud.length > 1
  if (severalAudiences && azp === undefined) return yield* reject("AuthorizedParty", "azp is missing")
  if (azp !== undefined && azp !== audience) return yield* reject("AuthorizedParty")
})

const rejecting = (token: TokenRejected["token"]) => (reason: TokenRejected["reason"], detail?: string) =>
  new TokenRejected({ reason, token, ...(detail === undefined ? {} : { detail }) })

const verifyAs = Effect.fnUntraced(function* (
  token: TokenRejected["token"],
  jwt: Redacted.Redacted,
  expected: Expected
): Effect.fn.Return<Claims, TokenRejected | ProviderUnavailable | AnswerRejected> {
  const reject = rejecting(token)
  const check = (keys: JSONWebKeySet) =>
    verifySignature(token, Redacted.value(jwt), keys, expected.algorithms ?? asymmetric)
  const payload = yield* Effect.flatMap(expected.jwks.keys, check).pipe(
    Effect.catchIf(
      (error) => error._tag === "TokenRejected" && error.reason === "UnknownKey",
      () => Effect.flatMap(expected.jwks.refetched, check)
    )
  )
  const json = yield* Effect.try({
    try: (): unknown => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)),
    catch: () => reject("Malformed")
  })
  const claims = yield* Effect.mapError(Schema.decodeUnknownEffect(Claims)(json), (error) =>
    reject("MissingClaim", claimNamed(error))
  )
  yield* checkIssued(token, claims, expected)
  const now = (yield* expected.jwks.clock.now) / 1000
  const tolerance = Duration.toSeconds(yield* ClockTolerance)
  if (now >= claims.exp + tolerance) return yield* reject("Expired", instant(claims.exp))
  if (claims.nbf !== undefined && now < claims.nbf - tolerance) return yield* reject("NotYetValid", instant(claims.nbf))
  if (claims.iat !== undefined && now < claims.iat - tolerance)
    return yield* reject("IssuedInFuture", instant(claims.iat))
  return claims
})

const claimNamed = (error: Schema.SchemaError) => /\["(\w{1,20})"\]/.exec(error.message)?.[1] ?? "claims"

const instant = (seconds: number) =>
  Math.abs(seconds) < 8.64e12 ? new Date(seconds * 1000).toISOString() : "out of range"

/** Signature only, and with it the header: jose never looks at `jwk`, `jku` or `x5u` and refuses all of `crit` but `b64`. */
const verifySignature = (
  token: TokenRejected["token"],
  jwt: string,
  keys: JSONWebKeySet,
  algorithms: ReadonlyArray<string>
): Effect.Effect<Uint8Array, TokenRejected> => {
  // Whatever a caller without types asks for, a public key never serves as an HMAC secret.
  const options = { algorithms: asymmetric.filter((algorithm) => algorithms.includes(algorithm)) }
  const payloadWith = async (key: Parameters<typeof compactVerify>[1]) => {
    const { payload, protectedHeader } = await compactVerify(jwt, key, options)
    // RFC 7797 section 7
    if (protectedHeader.b64 === false) throw new errors.JWSInvalid("the payload of a JWT must be encoded")
    return payload
  }
  const verified = Effect.tryPromise({
    try: async () => {
      try {
        return await payloadWith(keyFinder(keys))
      } catch (error) {
        if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
        // A token without `kid` may fit several keys (RFC 7517 section 4.5 leaves it optional): any one of them counts.
        for await (const key of error) {
          try {
            return await payloadWith(key)
          } catch {
            // Not this key: its signature differs, or the key itself is unusable.
          }
        }
        throw new errors.JWSSignatureVerificationFailed()
      }
    },
    catch: (error) => rejecting(token)(refusal(error))
  })
  return Promised.run(verified)
}

/** One finder for each key set: jose imports a key once for each finder. */
const keyFinder = (keys: JSONWebKeySet) => {
  const known = keyFinders.get(keys)
  if (known !== undefined) return known
  const made = createLocalJWKSet(keys)
  keyFinders.set(keys, made)
  return made
}
const keyFinders = new WeakMap<JSONWebKeySet, ReturnType<typeof createLocalJWKSet>>()

const refusal = (error: unknown): TokenRejected["reason"] => {
  if (error instanceof errors.JOSEAlgNotAllowed) return "Algorithm"
  if (error instanceof errors.JWKSNoMatchingKey) return "UnknownKey"
  if (error instanceof errors.JWSSignatureVerificationFailed) return "Signature"
  // What remains is a broken JWS, an unknown `crit`, or a key that does not fit its algorithm (a plain TypeError).
  return error instanceof errors.JWSInvalid || error instanceof errors.JOSENotSupported ? "Malformed" : "Signature"
}

/** The left half of the access token's hash (OpenID Connect Core section 3.1.3.6). */
const accessTokenHash = (accessToken: string, algorithm: string) =>
  Promised.run(
    Effect.promise(async () => {
      const size = /(256|384|512)$/.exec(algorithm)?.[1] ?? "512" // EdDSA with Ed25519 hashes with SHA-512
      const name = algorithm === "Ed25519" ? "SHA-512" : `SHA-${size}`
      const hash = new Uint8Array(await crypto.subtle.digest(name, new TextEncoder().encode(accessToken)))
      return Base64Url.encode(hash.subarray(0, hash.length / 2))
    })
  )
