/** How a provider's client proves who it is: as configured, else by what there is to prove it with. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { expandHome } from "@keyfob/node/Directories"
import * as Certificate from "@keyfob/node/Certificate"
import * as LocalAssertion from "@keyfob/node/LocalAssertion"
import * as PrivateKey from "@keyfob/node/PrivateKey"
import * as SecretFile from "@keyfob/node/SecretFile"
import {
  Assertion,
  type AssertionSource,
  ClientAuthentication,
  type ClientCertificate,
  ConfigurationInvalid,
  type OAuthClient,
  type SigningKey
} from "keyfob"
import type { OAuthSettings } from "@keyfob/node/ProviderSettings"
import * as certificateFiles from "./certificateFiles.ts"

/** What a client proves itself with. Files are read when the client is made. */
export const of = Effect.fnUntraced(function* (
  settings: OAuthSettings
): Effect.fn.Return<Pick<OAuthClient.ClientOptions, "authentication" | "certificate">, ConfigurationInvalid> {
  const authentication = yield* methodOf(settings)
  const certificate = certificateOf(settings)
  if (certificate === undefined && ClientAuthentication.isTls(authentication)) {
    return yield* missing("client certificate (--cert-file and --key-file, or cert_file and key_file in config.toml)")
  }
  return { authentication, ...(certificate === undefined ? {} : { certificate }) }
})

const methodOf = Effect.fnUntraced(function* (
  settings: OAuthSettings
): Effect.fn.Return<ClientAuthentication.ClientAuthentication, ConfigurationInvalid> {
  const { clientSecret: secret } = settings
  const method = settings.clientAuth ?? methodFor(settings)
  if (method === "none") return ClientAuthentication.none
  const assertion = assertionOf(settings)
  if (method === "private_key_jwt" && assertion !== undefined && !hasKey(settings)) {
    return ClientAuthentication.clientAssertion(assertion)
  }
  if (method === "private_key_jwt") return ClientAuthentication.privateKeyJwt(yield* privateKeyOf(settings))
  if (method === "tls" || method === "tls_client_auth" || method === "self_signed_tls_client_auth") return { method }
  if (secret === undefined || Redacted.value(secret) === "") {
    return yield* missing(
      "client secret (KEYFOB_CLIENT_SECRET, --client-secret-file, --client-secret-stdin, or client_secret in config.toml)"
    )
  }
  switch (method) {
    case "client_secret":
      return ClientAuthentication.secret(secret)
    case "client_secret_basic":
      return ClientAuthentication.secretBasic(secret)
    case "client_secret_post":
      return ClientAuthentication.secretPost(secret)
    case "client_secret_jwt":
      return ClientAuthentication.secretJwt(secret)
  }
})

const hasKey = ({ privateKey, privateKeyFile }: OAuthSettings) =>
  privateKey !== undefined || privateKeyFile !== undefined

const methodFor = (settings: OAuthSettings) => {
  const { clientSecret, flow, keyFile } = settings
  if (hasKey(settings) || assertionOf(settings) !== undefined) return "private_key_jwt"
  if (clientSecret === undefined && keyFile !== undefined) return "tls"
  return clientSecret === undefined && flow !== "client_credentials" ? "none" : "client_secret"
}

/** Where the settings take a client assertion from: a JWT by which somebody else says who the client is. */
const assertionOf = (settings: OAuthSettings): AssertionSource | undefined => {
  const { clientAssertionCommand: command, clientAssertionFile: file, clientAssertionUrl: url } = settings
  if (file !== undefined) return Effect.flatMap(expandHome(file), LocalAssertion.file)
  if (command !== undefined) return LocalAssertion.command(command)
  if (url !== undefined) return Assertion.url({ url })
  return settings.clientAssertionPlatform === undefined
    ? undefined
    : Assertion.gitHubActions({ audience: settings.clientAssertionAudience })
}

/** The key itself (of the environment), else the file that is configured, which is read when the client is made and not before. */
const privateKeyOf = Effect.fnUntraced(function* (
  settings: OAuthSettings
): Effect.fn.Return<Effect.Effect<SigningKey.SigningKey, ConfigurationInvalid>, ConfigurationInvalid> {
  const { certFile, keyFile, privateKey, privateKeyFile, privateKeyId: keyId } = settings
  if (privateKey === undefined && privateKeyFile === undefined) {
    return yield* missing("private key (KEYFOB_PRIVATE_KEY, --private-key-file, or private_key_file in config.toml)")
  }
  return Effect.gen(function* () {
    const passphrase = yield* certificateFiles.passphraseOf(settings)
    const certificate =
      certFile === undefined || keyFile !== undefined
        ? undefined
        : Redacted.value((yield* SecretFile.read(yield* expandHome(certFile))).text)
    const options = { certificate, keyId, passphrase }
    if (privateKey !== undefined) return yield* PrivateKey.fromText(privateKey, options)
    return yield* PrivateKey.file(yield* expandHome(privateKeyFile ?? ""), options)
  })
})

const certificateOf = (settings: OAuthSettings): ClientCertificate.CertificateSource | undefined => {
  const files = certificateFiles.of(settings)
  return files && Effect.flatMap(files, Certificate.files)
}

const missing = (detail: string) => new ConfigurationInvalid({ reason: "MissingValue", detail })
