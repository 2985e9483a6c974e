import * as Base64 from "effect/encoding/Base64"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ConfigurationInvalid, printable } from "../AuthError.ts"
import * as ClientAssertion from "./ClientAssertion.ts"
import type { ProviderMetadata } from "./Discovery.ts"

/** A secret, or where to read it from (read once, when the client is made). */
export type SecretSource = Redacted.Redacted | Config.Config<Redacted.Redacted>

/** How a client proves who it is at the token endpoint (RFC 6749 section 2.3, OpenID Connect Core section 9). */
export type ClientAuthentication<Secret = SecretSource> =
  | { readonly method: "none" }
  | {
      readonly method:
        | "client_secret_basic"
        | "client_secret_post"
        | "client_secret"
        | "client_secret_jwt"
        | "private_key_jwt"
      readonly secret: Secret
    }

/** A public client: the client id alone. */
export const none: ClientAuthentication = { method: "none" }

/** The secret in an `Authorization: Basic` header, form-encoded first (RFC 6749 section 2.3.1). */
export const secretBasic = (secret: SecretSource): ClientAuthentication => ({ method: "client_secret_basic", secret })

/** The secret in the request body (RFC 6749 section 2.3.1). */
export const secretPost = (secret: SecretSource): ClientAuthentication => ({ method: "client_secret_post", secret })

/** The secret as the provider's metadata prefers: the first it lists of basic and post; basic where it lists nothing. */
export const secret = (secret: SecretSource): ClientAuthentication => ({ method: "client_secret", secret })

/** A JWT signed with the secret, by HS256: the secret itself is never sent (OpenID Connect Core section 9). */
export const secretJwt = (secret: SecretSource): ClientAuthentication => ({ method: "client_secret_jwt", secret })

/**
 * A JWT signed with a private key of which the provider has the public half (RFC 7523 section 2.2): a JWK as JSON, or a
 * PKCS#8 PEM. The algorithm is the JWK's `alg`, else the first that fits the key and the metadata.
 */
export const privateKeyJwt = (key: SecretSource): ClientAuthentication => ({ method: "private_key_jwt", secret: key })

/** Whether it is proven by something that is dated, and so may be refused where clocks differ. */
export const isDated = ({ method }: ClientAuthentication<unknown>) =>
  method === "client_secret_jwt" || method === "private_key_jwt"

/** Reads a secret that comes from configuration. */
export const resolve = (
  authentication: ClientAuthentication
): Effect.Effect<ClientAuthentication<Redacted.Redacted>, ConfigurationInvalid> => {
  if (authentication.method === "none") return Effect.succeed(authentication)
  const { method, secret } = authentication
  return Redacted.isRedacted(secret)
    ? Effect.succeed({ method, secret })
    : Effect.mapBoth(secret, {
        onSuccess: (secret) => ({ method, secret }),
        onFailure: () =>
          new ConfigurationInvalid({
            reason: "MissingValue",
            detail: method === "private_key_jwt" ? "the client's private key" : "client secret"
          })
      })
}

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
export const prove = (
  authentication: ClientAuthentication<Redacted.Redacted>,
  clientId: string,
  metadata: ProviderMetadata,
  now: number
): Effect.Effect<Proof, ConfigurationInvalid> => {
  const supported = metadata.token_endpoint_auth_methods_supported
  const method =
    authentication.method !== "client_secret"
      ? authentication.method
      : (supported?.find((name) => name === "client_secret_basic" || name === "client_secret_post") ??
        "client_secret_basic")
  // "none" is never refused here: servers often leave it out of the list though they have public clients.
  if (authentication.method === "none") return Effect.succeed({ headers: {}, form: { client_id: clientId } })
  if (supported !== undefined && !supported.includes(method)) {
    return Effect.fail(
      new ConfigurationInvalid({
        reason: "NotSupported",
        detail: `client authentication ${method}; ${metadata.issuer} offers ${printable(supported.join(", "))}`
      })
    )
  }
  if (method === "client_secret_jwt" || method === "private_key_jwt") {
    return Effect.map(
      ClientAssertion.make({ method, secret: authentication.secret }, clientId, metadata, now),
      (client_assertion) => ({
        headers: {},
        form: {
          client_id: clientId,
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion
        }
      })
    )
  }
  const secret = Redacted.value(authentication.secret)
  return Effect.succeed(
    method === "client_secret_post"
      ? { headers: {}, form: { client_id: clientId, client_secret: secret } }
      : {
          headers: { authorization: `Basic ${Base64.encode(`${formEncode(clientId)}:${formEncode(secret)}`)}` },
          form: {}
        }
  )
}

// application/x-www-form-urlencoded, as the platform's own serialiser writes a value (RFC 6749 appendix B).
const formEncode = (text: string) => new URLSearchParams({ v: text }).toString().slice(2)
