/** A client's certificate and its key, from files (RFC 8705): what a client presents in TLS. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type ClientCertificate, ConfigurationInvalid } from "keyfob"
import * as pem from "./pem.ts"
import * as SecretFile from "./SecretFile.ts"

/**
 * Reads a certificate (PEM, with those of the authorities above it behind it, where the server needs them) and its key (PEM
 * in any form). Fails with `ConfigurationInvalid` where one of them is none, or the key is another certificate's.
 */
export const fromText = Effect.fnUntraced(function* (
  certificate: string,
  key: Redacted.Redacted,
  passphrase?: Redacted.Redacted
): Effect.fn.Return<ClientCertificate.ClientCertificate, ConfigurationInvalid> {
  const privateKey = yield* pem.privateKey(key, passphrase)
  return {
    certificate,
    key: Redacted.make(String(privateKey.export({ format: "pem", type: "pkcs8" }))),
    thumbprint: yield* pem.thumbprint(certificate, privateKey)
  }
})

/** As {@link fromText}, from files, when the client is made. Warns where others can read the key. */
export const files = (paths: {
  readonly certificate: string
  readonly key: string
  readonly passphrase?: Redacted.Redacted | undefined
}): Effect.Effect<ClientCertificate.ClientCertificate, ConfigurationInvalid> =>
  Effect.gen(function* () {
    const { text } = yield* SecretFile.read(paths.certificate)
    const key = yield* SecretFile.readOwn(paths.key)
    return yield* fromText(Redacted.value(text), key, paths.passphrase).pipe(
      Effect.mapError(
        ({ detail, reason }) =>
          new ConfigurationInvalid({ reason, detail: `${paths.certificate}, ${paths.key}: ${detail}` })
      )
    )
  })
