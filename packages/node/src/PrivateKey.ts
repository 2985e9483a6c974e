/** A client's private key, in any form that keys are kept in: what `ClientAuthentication.privateKeyJwt` signs with. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ConfigurationInvalid, SigningKey } from "keyfob"
import { createPrivateKey, type JsonWebKey, type KeyObject } from "node:crypto"
import * as pem from "./pem.ts"
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
    : yield* jwkOf(yield* pem.privateKey(text, passphrase))
  const certificateThumbprint =
    certificate === undefined
      ? undefined
      : yield* pem.thumbprint(certificate, createPrivateKey({ key: jwk, format: "jwk" }))
  return yield* SigningKey.fromJwk(jwk, { keyId, certificateThumbprint })
})

/** There are keys that no JWK can be (DSA, Diffie-Hellman), and RSA keys that say they are for PSS alone. */
const jwkOf = (key: KeyObject) =>
  Effect.try({
    try: () => key.export({ format: "jwk" }),
    catch: () => {
      const detail = `a ${key.asymmetricKeyType} key signs no JWT; RSA, P-256, P-384, P-521 and Ed25519 keys do`
      return new ConfigurationInvalid({ reason: "InvalidValue", detail })
    }
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
