/** A JWT by which a client says who it is (RFC 7523 sections 2.2 and 3, OpenID Connect Core section 9). */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type JWTPayload, SignJWT } from "jose"
import { ConfigurationInvalid, printable } from "../AuthError.ts"
import type { ProviderMetadata } from "./Discovery.ts"
import type { Algorithm } from "./Algorithm.ts"
import * as Pkce from "./Pkce.ts"
import * as Promised from "./Promised.ts"
import * as SigningKey from "./SigningKey.ts"

/** In seconds. Each is for one request. */
const lifetime = 60

export interface AssertionOptions {
  /**
   * Whom it is addressed to. Default: the issuer, and nobody else, so that no other server can use it
   * (draft-ietf-oauth-rfc7523bis). Some servers know their token endpoint alone, as RFC 7523 section 3 had it.
   */
  readonly audience?: "issuer" | "token_endpoint"
}

/** What it is signed with. */
export type Signing = AssertionOptions &
  (
    | { readonly method: "client_secret_jwt"; readonly secret: Redacted.Redacted }
    | {
        readonly method: "private_key_jwt"
        readonly key: SigningKey.SigningKey
        readonly algorithm?: Algorithm
      }
  )

/**
 * A new assertion, for one request alone. It has no `typ`: there are servers that take none but `JWT`. Nor has it a `nbf`
 * (RFC 7523 section 3): a server whose clock is a second behind would have to refuse it.
 *
 * @param now milliseconds since 1970, by the provider's clock
 */
export const make = Effect.fnUntraced(function* (
  signing: Signing,
  clientId: string,
  metadata: ProviderMetadata,
  now: number
): Effect.fn.Return<string, ConfigurationInvalid> {
  const { issuer, token_endpoint, token_endpoint_auth_signing_alg_values_supported: listed } = metadata
  const jti = Redacted.value(yield* Pkce.random) // to tell assertions apart; no secret
  const iat = Math.floor(now / 1000)
  const aud = signing.audience === "token_endpoint" ? (token_endpoint ?? issuer) : issuer
  const claims = { iss: clientId, sub: clientId, aud, jti, iat, exp: iat + lifetime }
  const common = <A extends string>(fit: ReadonlyArray<A>) =>
    Effect.fromNullishOr(fit.find((algorithm) => listed === undefined || listed.includes(algorithm))).pipe(
      Effect.mapError(() => noneOf(signing.method, fit, issuer, listed ?? []))
    )
  if (signing.method === "client_secret_jwt") {
    return yield* signed(signing.secret, yield* common(["HS256", "HS384", "HS512"]), claims)
  }
  const { algorithm: wanted, key } = signing
  const fit = SigningKey.algorithmsOf(key).filter((algorithm) => wanted === undefined || algorithm === wanted)
  return yield* SigningKey.sign(key, yield* common(fit), claims)
})

const noneOf = (
  method: Signing["method"],
  fit: ReadonlyArray<string>,
  issuer: string,
  listed: ReadonlyArray<string>
) => {
  const ours = fit.length === 0 ? "with the algorithm that is asked for" : `with ${fit.join(", ")}`
  const detail = `${method} ${ours}, which is what this key can do; ${issuer} takes ${printable(listed.join(", "))}`
  return new ConfigurationInvalid({ reason: "NotSupported", detail })
}

const signed = (secret: Redacted.Redacted, alg: string, claims: JWTPayload) =>
  Effect.tryPromise({
    try: () => new SignJWT(claims).setProtectedHeader({ alg }).sign(new TextEncoder().encode(Redacted.value(secret))),
    catch: () => new ConfigurationInvalid({ reason: "InvalidValue", detail: "the client secret cannot sign" })
  }).pipe(Promised.run)
