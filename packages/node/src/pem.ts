/** Keys and certificates as PEM. What is said where one is none repeats nothing of it. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ConfigurationInvalid } from "keyfob"
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"

/** A private key: PKCS#8, PKCS#1 or SEC1, encrypted or not. */
export const privateKey = Effect.fnUntraced(function* (
  text: Redacted.Redacted,
  passphrase?: Redacted.Redacted
): Effect.fn.Return<KeyObject, ConfigurationInvalid> {
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

/** SHA-256 over the first certificate of a PEM, base64url (RFC 7515 section 4.1.8). It must be the key's. */
export const thumbprint = Effect.fnUntraced(function* (
  certificate: string,
  key: KeyObject
): Effect.fn.Return<string, ConfigurationInvalid> {
  const x509 = yield* Effect.try({
    try: () => new X509Certificate(certificate),
    catch: () => invalid("there is no certificate in PEM form")
  })
  if (!x509.checkPrivateKey(key)) return yield* invalid("the certificate is another key's")
  return Buffer.from(x509.fingerprint256.replaceAll(":", ""), "hex").toString("base64url")
})

const invalid = (detail: string) => new ConfigurationInvalid({ reason: "InvalidValue", detail })
