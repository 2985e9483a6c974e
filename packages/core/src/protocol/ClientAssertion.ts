/** A JWT by which a client says who it is (RFC 7523 sections 2.2 and 3, OpenID Connect Core section 9). */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { importJWK, importPKCS8, SignJWT } from "jose"
import { ConfigurationInvalid, printable } from "../AuthError.ts"
import type { ProviderMetadata } from "./Discovery.ts"
import * as Pkce from "./Pkce.ts"

/** Where the metadata lists nothing, RS256 is what every provider is expected to know for RSA keys. */
const byPreference = ["ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"]

/** In seconds. Each is for one request. */
const lifetime = 60

/** What it is signed with: a secret, or a private key as JWK or PKCS#8 PEM. */
export interface Signing {
  readonly method: "client_secret_jwt" | "private_key_jwt"
  readonly secret: Redacted.Redacted
}

/**
 * A new assertion, addressed to the issuer and for one request alone.
 *
 * @param now milliseconds since 1970, by the provider's clock
 */
export const make = Effect.fnUntraced(function* (
  signing: Signing,
  clientId: string,
  { issuer, token_endpoint_auth_signing_alg_values_supported: listed }: ProviderMetadata,
  now: number
): Effect.fn.Return<string, ConfigurationInvalid> {
  const candidates = signing.method === "client_secret_jwt" ? ["HS256"] : byPreference
  const algorithms = candidates.filter((algorithm) => listed === undefined || listed.includes(algorithm))
  const jti = Redacted.value(yield* Pkce.random) // to tell assertions apart; no secret
  const iat = Math.floor(now / 1000)
  const claims = { iss: clientId, sub: clientId, aud: issuer, jti, iat, exp: iat + lifetime }
  const found = yield* signing.method === "client_secret_jwt"
    ? Effect.succeed({ key: new TextEncoder().encode(Redacted.value(signing.secret)), fits: algorithms, header: {} })
    : keyOf(signing.secret, algorithms)
  const [alg] = found.fits
  if (alg === undefined) {
    const detail = `client assertions with this key; ${issuer} takes ${printable((listed ?? candidates).join(", "))}`
    return yield* new ConfigurationInvalid({ reason: "NotSupported", detail })
  }
  return yield* Effect.tryPromise({
    try: () => new SignJWT(claims).setProtectedHeader({ alg, ...found.header }).sign(found.key),
    catch: () => unusable
  })
})

const unusable = new ConfigurationInvalid({
  reason: "InvalidValue",
  detail: "the client's key is no private key (a JWK, or PEM that begins with BEGIN PRIVATE KEY)"
})

/** The key, and which of the algorithms it is for: found by trying, since a PEM does not say. */
const keyOf = Effect.fnUntraced(function* (
  secret: Redacted.Redacted,
  algorithms: ReadonlyArray<string>
): Effect.fn.Return<
  { readonly key: CryptoKey | Uint8Array; readonly fits: ReadonlyArray<string>; readonly header: { kid?: string } },
  ConfigurationInvalid
> {
  const text = Redacted.value(secret).trim()
  const read = (algorithm: string) =>
    Effect.option(
      Effect.tryPromise(async () =>
        text.startsWith("{") ? importJWK(JSON.parse(text), algorithm) : importPKCS8(text, algorithm)
      )
    )
  const { alg, d, kid } = text.startsWith("{") ? yield* jwkOf(text) : { alg: undefined, d: "", kid: undefined }
  if (d === undefined) return yield* unusable
  for (const algorithm of algorithms.filter((one) => alg === undefined || one === alg)) {
    const key = yield* read(algorithm)
    if (key._tag === "Some") {
      return { key: key.value, fits: [algorithm], header: typeof kid === "string" ? { kid } : {} }
    }
  }
  // Of no algorithm in common, or no key at all?
  for (const algorithm of byPreference) {
    const key = yield* read(algorithm)
    if (key._tag === "Some") return { key: key.value, fits: [], header: {} }
  }
  return yield* unusable
})

const jwkOf = (text: string) =>
  Effect.try({
    try: (): { readonly alg?: unknown; readonly d?: unknown; readonly kid?: unknown } => JSON.parse(text),
    catch: () => unusable
  })
