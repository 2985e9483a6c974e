/** A private key that a client signs with (RFC 7517, RFC 7518 section 6, RFC 8037): read once, then used for each signature. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { exportJWK, importPKCS8, type JWTPayload, SignJWT } from "jose"
import { ConfigurationInvalid } from "../AuthError.ts"
import type { Algorithm } from "./Algorithm.ts"
import * as Promised from "./Promised.ts"

/** Of each kind of key, in the order they are tried: what most providers know comes first. */
const algorithms = {
  "P-256": ["ES256"],
  "P-384": ["ES384"],
  "P-521": ["ES512"],
  Ed25519: ["EdDSA", "Ed25519"],
  RSA: ["RS256", "PS256", "RS384", "PS384", "RS512", "PS512"]
} as const satisfies Readonly<Record<string, ReadonlyArray<Algorithm>>>

const Base64Url = Schema.String.check(Schema.isPattern(/^[\w-]+$/))

const common = {
  alg: Schema.optionalKey(Schema.Literals(Object.values(algorithms).flat())),
  use: Schema.optionalKey(Schema.Literal("sig")),
  kid: Schema.optionalKey(Schema.String),
  /** SHA-256 of the certificate that goes with it (RFC 7515 section 4.1.8). */
  "x5t#S256": Schema.optionalKey(Base64Url)
}

/** A private key as a JWK. Other members are dropped; a public key, or one for encryption, is none of these. */
const PrivateJwk = Schema.Union([
  Schema.Struct({
    ...common,
    kty: Schema.Literal("EC"),
    crv: Schema.Literals(["P-256", "P-384", "P-521"]),
    x: Base64Url,
    y: Base64Url,
    d: Base64Url
  }),
  Schema.Struct({ ...common, kty: Schema.Literal("OKP"), crv: Schema.Literal("Ed25519"), x: Base64Url, d: Base64Url }),
  Schema.Struct({
    ...common,
    kty: Schema.Literal("RSA"),
    n: Base64Url,
    e: Base64Url,
    d: Base64Url,
    p: Base64Url,
    q: Base64Url,
    dp: Base64Url,
    dq: Base64Url,
    qi: Base64Url
  })
])
type PrivateJwk = typeof PrivateJwk.Type

/** A private key that has signed once, so that it is known to be one. */
export type SigningKey = Redacted.Redacted<PrivateJwk>

/** What a JWK does not say itself, or a PEM never does. */
export interface Hints {
  /** The key's id at the provider: `kid` of what is signed. */
  readonly keyId?: string | undefined
  /** SHA-256 of the key's certificate, base64url: `x5t#S256` of what is signed. */
  readonly certificateThumbprint?: string | undefined
}

/** Reads a key: a JWK as JSON, or a PKCS#8 PEM. Other forms and encrypted ones are `PrivateKey`'s in `@keyfob/node`. */
export const fromText = Effect.fnUntraced(function* (
  text: Redacted.Redacted,
  hints: Hints = {}
): Effect.fn.Return<SigningKey, ConfigurationInvalid> {
  const trimmed = Redacted.value(text).trim()
  if (!trimmed.startsWith("{")) return yield* fromJwk(yield* jwkOf(trimmed), hints)
  return yield* Effect.flatMap(decodeJson(trimmed), (jwk) => fromJwk(jwk, hints)).pipe(
    Effect.catchTag("SchemaError", () => unusable)
  )
})

/** Reads a key from its JWK. */
export const fromJwk = Effect.fnUntraced(function* (
  value: unknown,
  { certificateThumbprint, keyId }: Hints = {}
): Effect.fn.Return<SigningKey, ConfigurationInvalid> {
  const decoded = yield* Effect.mapError(Schema.decodeUnknownEffect(PrivateJwk)(value), () => unusable)
  const jwk: PrivateJwk = {
    ...decoded,
    ...(keyId === undefined ? {} : { kid: keyId }),
    ...(certificateThumbprint === undefined ? {} : { "x5t#S256": certificateThumbprint })
  }
  const key = Redacted.make(jwk)
  const [first] = algorithmsOf(key)
  if (first === undefined) return yield* unusable
  yield* sign(key, first, {})
  return key
})

/** What it can sign with; one alone, where the JWK names it. */
export const algorithmsOf = (key: SigningKey): ReadonlyArray<Algorithm> => {
  const jwk = Redacted.value(key)
  const fit: ReadonlyArray<Algorithm> = algorithms[jwk.kty === "RSA" ? "RSA" : jwk.crv]
  return jwk.alg === undefined ? fit : fit.filter((algorithm) => algorithm === jwk.alg)
}

/** A signed JWT. The JWK is handed over as the same object each time: jose imports it at the first. */
export const sign = (
  key: SigningKey,
  algorithm: Algorithm,
  claims: JWTPayload
): Effect.Effect<string, ConfigurationInvalid> => {
  const jwk = Redacted.value(key)
  const thumbprint = jwk["x5t#S256"]
  const header = {
    alg: algorithm,
    ...(jwk.kid === undefined ? {} : { kid: jwk.kid }),
    ...(thumbprint === undefined ? {} : { "x5t#S256": thumbprint })
  }
  return Effect.tryPromise({
    try: () => new SignJWT(claims).setProtectedHeader(header).sign(jwk),
    catch: () => unusable
  }).pipe(Promised.run)
}

const unusable = new ConfigurationInvalid({
  reason: "InvalidValue",
  detail:
    "the client's key is no private key that can sign (a JWK, or PEM; RSA from 2048 bits, P-256, P-384, P-521 or Ed25519)"
})

const decodeJson = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Unknown))

/** A PEM does not say what it is for: found by trying. */
const jwkOf = Effect.fnUntraced(function* (pem: string): Effect.fn.Return<unknown, ConfigurationInvalid> {
  for (const [algorithm] of Object.values(algorithms)) {
    const jwk = yield* Effect.option(
      Effect.tryPromise(async () => exportJWK(await importPKCS8(pem, algorithm, { extractable: true }))).pipe(
        Promised.run
      )
    )
    if (jwk._tag === "Some") return jwk.value
  }
  return yield* unusable
})
