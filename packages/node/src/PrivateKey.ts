/** A client's private key, in any form that keys are kept in: what `ClientAuthentication.privateKeyJwt` signs with. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ConfigurationInvalid, SigningKey } from "keyfob"
import { createPrivateKey, type JsonWebKey, X509Certificate } from "node:crypto"
import * as SecretFile from "./SecretFile.ts"

export interface Options {
  /** Opens an encrypted key. */
  readonly passphrase?: Redacted.Redacted | undefined
  /** The key's id at the provider (`kid`). Default: the one in a JWK, else none. */
  readonly keyId?: string | undefined
  /** The key's certificate (PEM), where the provider knows the key by its thumbprint (`x5t#S256`). */
  readonly certificate?: string | undefined
}

/**
 * Reads a key: a JWK, or PEM as PKCS#8, PKCS#1 (`RSA PRIVATE KEY`) or SEC1 (`EC PRIVATE KEY`), encrypted or not. RSA from
 * 2048 bits, P-256, P-384, P-521, Ed25519. Fails with `ConfigurationInvalid` where it cannot sign, its passphrase is
 * missing or wrong, or the certificate is another key's.
 */
export const fromText = Effect.fnUntraced(function* (
  text: Redacted.Redacted,
  { certificate, keyId, passphrase }: Options = {}
): Effect.fn.Return<SigningKey.SigningKey, ConfigurationInvalid> {
  const isJwk = Redacted.value(text).trimStart().startsWith("{")
  const jwk: JsonWebKey = isJwk
    ? { ...Redacted.value(yield* SigningKey.fromText(text)) }
    : (yield* fromPem(text, passphrase)).export({ format: "jwk" })
  const certificateThumbprint = certificate === undefined ? undefined : yield* thumbprintOf(certificate, jwk)
  return yield* SigningKey.fromJwk(jwk, { keyId, certificateThumbprint })
})

/** As {@link fromText}, from a file, when the client is made. Warns where others can read it. */
export const file = (path: string, options: Options = {}): Effect.Effect<SigningKey.SigningKey, ConfigurationInvalid> =>
  Effect.flatMap(SecretFile.readOwn(path), (text) => fromText(text, options)).pipe(
    Effect.mapError((error) =>
      error.detail.includes(path)
        ? error
        : new ConfigurationInvalid({ reason: error.reason, detail: `${path}: ${error.detail}` })
    )
  )

/** Reads a PEM; the error says which of key and passphrase is at fault, and nothing of either. */
export const fromPem = Effect.fnUntraced(function* (text: Redacted.Redacted, passphrase?: Redacted.Redacted) {
  const key = Redacted.value(text)
  const isEncrypted = /^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(key)
  if (isEncrypted && passphrase === undefined) {
    return yield* new ConfigurationInvalid({ reason: "MissingValue", detail: "the passphrase of the private key" })
  }
  return yield* Effect.try({
    try: () => createPrivateKey({ key, ...(isEncrypted && passphrase && { passphrase: Redacted.value(passphrase) }) }),
    catch: () =>
      invalid(isEncrypted ? "the passphrase does not open the private key" : "this is no private key in PEM form")
  })
})

/** SHA-256 over the certificate (RFC 7515 section 4.1.8), which must be the key's. */
const thumbprintOf = (certificate: string, key: JsonWebKey) =>
  Effect.try({
    try: () => {
      const x509 = new X509Certificate(certificate)
      return x509.checkPrivateKey(createPrivateKey({ key, format: "jwk" })) ? thumbprint(x509) : undefined
    },
    catch: () => invalid("there is no certificate in PEM form")
  }).pipe(
    Effect.flatMap((found) =>
      found === undefined ? invalid("the certificate is another key's") : Effect.succeed(found)
    )
  )

export const thumbprint = ({ fingerprint256 }: X509Certificate) =>
  Buffer.from(fingerprint256.replaceAll(":", ""), "hex").toString("base64url")

const invalid = (detail: string) => new ConfigurationInvalid({ reason: "InvalidValue", detail })
