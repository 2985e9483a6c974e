/** Where a client's certificate and its key are (RFC 8705), and what opens the key. */
import * as Effect from "effect/Effect"
import { expandHome } from "@keyfob/node/Directories"
import type { OAuthSettings } from "@keyfob/node/ProviderSettings"
import * as SecretFile from "@keyfob/node/SecretFile"

/** The files of a certificate to present. One without `key_file` only identifies the private key (`x5t#S256`), and is not presented. */
export const of = (settings: OAuthSettings) => {
  const { certFile, keyFile } = settings
  return certFile === undefined || keyFile === undefined
    ? undefined
    : Effect.all({ certificate: expandHome(certFile), key: expandHome(keyFile), passphrase: passphraseOf(settings) })
}

/** What opens the client's keys, where they are encrypted. */
export const passphraseOf = Effect.fnUntraced(function* ({
  privateKeyPassphrase,
  privateKeyPassphraseFile: file
}: OAuthSettings) {
  return privateKeyPassphrase ?? (file === undefined ? undefined : yield* SecretFile.readOwn(yield* expandHome(file)))
})
