/** Proof that whoever uses a token holds the key it is bound to (RFC 9449). */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Headers from "effect/http/Headers"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { exportJWK, generateKeyPair, importJWK, SignJWT } from "jose"
import { ConfigurationInvalid } from "../AuthError.ts"
import { DpopKey } from "../Token.ts"
import { ofTokens } from "./Challenge.ts"
import * as Chance from "./Chance.ts"
import * as Pkce from "./Pkce.ts"
import * as Promised from "./Promised.ts"
import { sha256 } from "./Sha256.ts"

/** The one algorithm that is used: every server with DPoP is expected to know it. */
export const algorithm = "ES256"

const keyOf = Schema.decodeSync(Schema.fromJsonString(Schema.toCodecJson(DpopKey)))

/** A new key pair. */
export const makeKey: Effect.Effect<DpopKey> = Effect.promise(async () => {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true })
  const { crv, d, kty, x, y } = await exportJWK(privateKey) // what ES256 keys have
  return JSON.stringify({ kty, crv, x, y, d })
}).pipe(Chance.draw, Promised.run, Effect.map(keyOf))

/** What a proof is made with, besides the request. */
export interface Proving {
  readonly key: DpopKey
  /** The token that goes with the request, where one does. */
  readonly accessToken?: Redacted.Redacted
  /** Milliseconds the server's clock is ahead. */
  readonly clockOffset?: number | undefined
}

/** Puts proofs on requests, and knows the nonce each server wants to see next (RFC 9449 sections 8 and 9). */
export interface Prover {
  /** The request with a proof of its own (section 4.2): each is good for one request. */
  readonly prove: (
    request: HttpClientRequest.HttpClientRequest,
    proving: Proving
  ) => Effect.Effect<HttpClientRequest.HttpClientRequest, ConfigurationInvalid>
  /** Learns from an answer. */
  readonly heed: (url: string, headers: Headers.Headers) => void
}

export const makeProver = (): Prover => {
  const nonces = new Map<string, string>()
  return {
    prove: Effect.fnUntraced(function* (request, { accessToken, clockOffset = 0, key }) {
      const url = new URL(request.url)
      const { d: _, ...jwk } = Redacted.value(key)
      const nonce = nonces.get(url.origin)
      const claims = {
        jti: Redacted.value(yield* Pkce.random), // to tell proofs apart; no secret
        htm: request.method,
        htu: url.origin + url.pathname,
        iat: Math.floor(((yield* Clock.currentTimeMillis) + clockOffset) / 1000),
        ...(accessToken === undefined ? {} : { ath: yield* sha256(Redacted.value(accessToken)) }),
        ...(nonce === undefined ? {} : { nonce })
      }
      const proof = yield* Effect.tryPromise({
        try: async () =>
          new SignJWT(claims)
            .setProtectedHeader({ typ: "dpop+jwt", alg: algorithm, jwk })
            .sign(await importJWK(Redacted.value(key), algorithm)),
        // Three numbers that are no key: somebody has changed the credential.
        catch: () => new ConfigurationInvalid({ reason: "InvalidValue", detail: "the token's DPoP key is damaged" })
      }).pipe(Promised.run)
      return HttpClientRequest.setHeader(request, "dpop", proof)
    }),
    heed: (url, headers) => {
      const nonce = headers["dpop-nonce"]
      // Section 8.1: what else there is in it would not go into a JWT unharmed, or into a log.
      if (nonce !== undefined && /^[\x21\x23-\x5b\x5d-\x7e]{1,1000}$/.test(nonce))
        nonces.set(new URL(url).origin, nonce)
    }
  }
}

/** Whether an answer asks for the same request with the nonce it brings (RFC 9449 sections 8 and 9). */
export const wantsNonce = (headers: Headers.Headers, error?: unknown): boolean =>
  headers["dpop-nonce"] !== undefined &&
  (error === "use_dpop_nonce" || ofTokens(headers).ours.some(({ params }) => params["error"] === "use_dpop_nonce"))
