import * as Base64 from "effect/encoding/Base64"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ConfigurationInvalid, type Endpoint, printable } from "../AuthError.ts"
import type { AssertionSource } from "./Assertion.ts"
import * as ClientAssertion from "./ClientAssertion.ts"
import type { ProviderMetadata } from "./Discovery.ts"
import type { Algorithm } from "./Algorithm.ts"
import { generic, type ProviderProfile } from "./ProviderProfile.ts"
import * as SigningKey from "./SigningKey.ts"

/** A secret, or where to read it from (read once, when the client is made). */
export type SecretSource = Redacted.Redacted | Config.Config<Redacted.Redacted>

/** A private key: as text, or read already, or where to read it from (once, when the client is made). */
export type KeySource =
  | SecretSource
  | SigningKey.SigningKey
  | Effect.Effect<SigningKey.SigningKey, ConfigurationInvalid>

/** The place of a secret or key that the settings lack: that it is missing is found when it is needed, and not to sign out, say. */
export const missing = (setting: string): Config.Config<never> =>
  Config.fail(new ConfigProvider.SourceError({ message: setting }))

/** How a client proves who it is at the token endpoint (RFC 6749 section 2.3, OpenID Connect Core section 9). */
export type ClientAuthentication<Secret = SecretSource, Key = KeySource> =
  | { readonly method: "none" }
  | {
      readonly method: "client_secret_basic" | "client_secret_post" | "client_secret"
      readonly secret: Secret
    }
  | ({ readonly method: "client_secret_jwt"; readonly secret: Secret } & ClientAssertion.AssertionOptions)
  | ({ readonly method: "private_key_jwt"; readonly key: Key } & PrivateKeyOptions)
  | { readonly method: "client_assertion"; readonly assertion: AssertionSource }
  | { readonly method: "tls_client_auth" | "self_signed_tls_client_auth" | "tls" }

export interface PrivateKeyOptions extends ClientAssertion.AssertionOptions {
  /** Default: the first that fits the key and the metadata; where a JWK has `alg`, that one. */
  readonly algorithm?: Algorithm
}

/** A public client: the client id alone. */
export const none: ClientAuthentication = { method: "none" }

/** The secret in an `Authorization: Basic` header, form-encoded first (RFC 6749 section 2.3.1). */
export const secretBasic = (secret: SecretSource): ClientAuthentication => ({ method: "client_secret_basic", secret })

/** The secret in the request body (RFC 6749 section 2.3.1). */
export const secretPost = (secret: SecretSource): ClientAuthentication => ({ method: "client_secret_post", secret })

/** The secret as the provider's metadata prefers: the first it lists of basic and post; basic where it lists nothing. */
export const secret = (secret: SecretSource): ClientAuthentication => ({ method: "client_secret", secret })

/** A JWT signed with the secret, by HMAC: the secret itself is never sent (OpenID Connect Core section 9). */
export const secretJwt = (
  secret: SecretSource,
  options: ClientAssertion.AssertionOptions = {}
): ClientAuthentication => ({ ...options, method: "client_secret_jwt", secret })

/**
 * A JWT signed with a private key of which the provider has the public half (RFC 7523 section 2.2). The key as text is a
 * JWK as JSON, or a PKCS#8 PEM; `PrivateKey` of `@keyfob/node` reads all others, and files.
 */
export const privateKeyJwt = (key: KeySource, options: PrivateKeyOptions = {}): ClientAuthentication => ({
  ...options,
  method: "private_key_jwt",
  key
})

/**
 * A JWT that somebody else has issued, where the provider trusts them to say who the client is (RFC 7523 section 2.2):
 * workload identity. Asked for with each request.
 */
export const clientAssertion = (assertion: AssertionSource): ClientAuthentication => ({
  method: "client_assertion",
  assertion
})

/** The client's certificate, which an authority has issued (RFC 8705 section 2.1): the `certificate` of its options. */
export const tlsClientAuth: ClientAuthentication = { method: "tls_client_auth" }

/** The client's certificate, which the provider knows as it is (RFC 8705 section 2.2). */
export const selfSignedTlsClientAuth: ClientAuthentication = { method: "self_signed_tls_client_auth" }

/** The client's certificate, as whichever of the two the provider's metadata lists. */
export const tls: ClientAuthentication = { method: "tls" }

/** Whether it is proven by the connection alone. */
export const isTls = ({ method }: ClientAuthentication<unknown, unknown>) =>
  method === "tls" || method === "tls_client_auth" || method === "self_signed_tls_client_auth"

/** Whether it is proven by something that we have dated, and so may be refused where clocks differ. */
export const isDated = ({ method }: ClientAuthentication<unknown, unknown>) =>
  method === "client_secret_jwt" || method === "private_key_jwt"

/** An authentication whose secret or key has been read. */
export type Resolved = ClientAuthentication<Redacted.Redacted, SigningKey.SigningKey>

/** Reads what comes from configuration. A key that cannot sign is found out here, before any request. */
export const resolve = Effect.fnUntraced(function* (
  authentication: ClientAuthentication
): Effect.fn.Return<Resolved, ConfigurationInvalid> {
  switch (authentication.method) {
    case "none":
    case "client_assertion":
    case "tls_client_auth":
    case "self_signed_tls_client_auth":
    case "tls":
      return authentication
    case "private_key_jwt":
      return { ...authentication, key: yield* keyFrom(authentication.key) }
    default:
      return { ...authentication, secret: yield* secretFrom(authentication.secret) }
  }
})

/** A key in a secret's place would be sent, or serve as an HMAC secret that everybody can know. */
const secretFrom = Effect.fnUntraced(function* (source: SecretSource) {
  const found = yield* read(source, "client secret")
  if (!/-----BEGIN [A-Z ]*KEY-----|^\s*\{.*"kty"/s.test(Redacted.value(found))) return found
  return yield* new ConfigurationInvalid({ reason: "InvalidValue", detail: "the client secret is a key" })
})

const keyFrom = Effect.fnUntraced(function* (source: KeySource) {
  const found = yield* read<Redacted.Redacted | SigningKey.SigningKey>(source, "the client's private key")
  return isText(found) ? yield* SigningKey.fromText(found) : found
})

const isText = (found: Redacted.Redacted | SigningKey.SigningKey): found is Redacted.Redacted =>
  typeof Redacted.value<unknown>(found) === "string"

const read = <A>(
  source: A | Effect.Effect<A, Config.ConfigError | ConfigurationInvalid>,
  what: string
): Effect.Effect<A, ConfigurationInvalid> =>
  Effect.isEffect(source)
    ? Effect.mapError(source, (error) =>
        error._tag === "ConfigurationInvalid"
          ? error
          : new ConfigurationInvalid({ reason: "MissingValue", detail: what })
      )
    : Effect.succeed(source)

/** What authentication adds to a request. */
export interface Proof {
  readonly headers: Readonly<Record<string, string>>
  readonly form: Readonly<Record<string, string>>
}

/**
 * Makes the proof for one request; fails where the provider says it does not support the method.
 *
 * @param now milliseconds since 1970, by the provider's clock
 */
export const prove = Effect.fnUntraced(function* (
  authentication: Resolved,
  clientId: string,
  metadata: ProviderMetadata,
  now: number,
  { assertionAudience, basicCredentials }: ProviderProfile = generic
): Effect.fn.Return<Proof, Effect.Error<AssertionSource>, Effect.Services<AssertionSource>> {
  // "none" is never refused here: servers often leave it out of the list though they have public clients.
  if (authentication.method === "none") return { headers: {}, form: { client_id: clientId } }
  const supported = metadata.token_endpoint_auth_methods_supported
  const methods = methodsOf(authentication.method)
  const method = supported === undefined ? methods[0] : supported.find((name) => methods.includes(name))
  if (method === undefined) {
    return yield* new ConfigurationInvalid({
      reason: "NotSupported",
      detail: `client authentication ${methods.join(" or ")}; ${metadata.issuer} offers ${printable((supported ?? []).join(", "))}`
    })
  }
  switch (authentication.method) {
    case "tls_client_auth":
    case "self_signed_tls_client_auth":
    case "tls":
      return { headers: {}, form: { client_id: clientId } }
    case "client_assertion":
      return asserted(clientId, yield* Effect.flatMap(authentication.assertion, textOf))
    case "client_secret_jwt":
    case "private_key_jwt":
      return asserted(
        clientId,
        yield* ClientAssertion.make({ audience: assertionAudience, ...authentication }, clientId, metadata, now)
      )
    default: {
      const secret = Redacted.value(authentication.secret)
      const written = basicCredentials === "raw" ? (text: string) => text : formEncode
      return method === "client_secret_post"
        ? { headers: {}, form: { client_id: clientId, client_secret: secret } }
        : {
            headers: { authorization: `Basic ${Base64.encode(`${written(clientId)}:${written(secret)}`)}` },
            form: {}
          }
    }
  }
})

/**
 * The metadata as it holds at one endpoint: introspection and revocation may have lists of their own. Where one has none, the
 * token endpoint's counts for it. RFC 8414 section 2 would have it that revocation takes HTTP Basic then; but servers leave out
 * what they do not treat differently, and a client that signs is not to send them its secret.
 */
export const at = (endpoint: Endpoint, metadata: ProviderMetadata): ProviderMetadata => {
  if (endpoint !== "introspection" && endpoint !== "revocation") return metadata
  const methods = metadata[`${endpoint}_endpoint_auth_methods_supported`]
  const algorithms = metadata[`${endpoint}_endpoint_auth_signing_alg_values_supported`]
  return {
    ...metadata,
    ...(methods && { token_endpoint_auth_methods_supported: methods }),
    ...(algorithms && { token_endpoint_auth_signing_alg_values_supported: algorithms })
  }
}

/** What the metadata may call it; where that lists nothing, the first counts. */
const methodsOf = (method: Resolved["method"]): readonly [string, ...ReadonlyArray<string>] => {
  if (method === "client_secret") return ["client_secret_basic", "client_secret_post"]
  if (method === "tls") return ["tls_client_auth", "self_signed_tls_client_auth"]
  return method === "client_assertion" ? ["private_key_jwt"] : [method]
}

/** What is no JWT may be anything: a page, a password. It is not sent. */
const textOf = (assertion: Redacted.Redacted) => {
  const text = Redacted.value(assertion)
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)
    ? Effect.succeed(text)
    : Effect.fail(new ConfigurationInvalid({ reason: "InvalidValue", detail: "the client assertion is no JWT" }))
}

const asserted = (client_id: string, client_assertion: string): Proof => ({
  headers: {},
  form: { client_id, client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", client_assertion }
})

// application/x-www-form-urlencoded, as the platform's own serialiser writes a value (RFC 6749 appendix B).
const formEncode = (text: string) => new URLSearchParams({ v: text }).toString().slice(2)
