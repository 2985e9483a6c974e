import * as Effect from "effect/Effect"
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from "jose"
import * as Chance from "./Chance.ts"
import { hashOf } from "./Pkce.ts"
import { complaint, refuse, type Refusal } from "./Refusal.ts"
import { isReplay } from "./Replay.ts"
import type { ClientMetadata } from "./Settings.ts"
import type { State } from "./State.ts"
import type { Turn } from "./Turn.ts"

/** What proofs may be signed with. */
export const algorithms = ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"]

/** Milliseconds a proof is good for, before and after its `iat` (RFC 9449 section 11.1). */
const window = 60_000

/**
 * The thumbprint of the key a request is proven with (RFC 9449 section 4.3), or nothing where it has no proof.
 *
 * @param accessToken the token the proof must be about, at a protected resource
 */
export const proof = Effect.fnUntraced(function* (
  turn: Turn,
  accessToken?: string
): Effect.fn.Return<string | undefined, Refusal> {
  const jwt = turn.request.headers["dpop"]
  if (jwt === undefined) return undefined
  const reject = (description: string) =>
    refuse("invalid_dpop_proof", description, { status: accessToken === undefined ? 400 : 401 })
  const { header, payload } = yield* Effect.tryPromise({
    try: async () => {
      const { payload, protectedHeader } = await jwtVerify(jwt, EmbeddedJWK, {
        typ: "dpop+jwt",
        requiredClaims: ["jti", "iat", "htm", "htu"],
        algorithms,
        currentDate: new Date(turn.now)
      })
      return { header: protectedHeader, payload }
    },
    catch: (error) => reject(complaint("DPoP proof does not verify", error))
  })
  const { ath, htm, htu, iat, jti, nonce } = payload
  if (typeof jti !== "string") return yield* reject("DPoP proof jti must be a string")
  if (htm !== turn.request.method) return yield* reject("DPoP proof htm mismatch")
  const about = typeof htu === "string" ? URL.parse(htu) : null
  if (about === null || about.origin + about.pathname !== turn.url.origin + turn.url.pathname) {
    return yield* reject("DPoP proof htu mismatch")
  }
  const { dpopNonceLifetime, dpopNonces } = turn.state.settings
  if (dpopNonces && !nonces(turn.state, turn.now).includes(String(nonce))) {
    return yield* refuse("use_dpop_nonce", "nonce is required in the DPoP proof", {
      status: accessToken === undefined ? 400 : 401
    })
  }
  if (!dpopNonces && Math.abs(turn.now - (iat ?? 0) * 1000) > window) {
    return yield* reject("DPoP proof iat is not recent enough")
  }
  if (accessToken !== undefined && ath !== (yield* hashOf(accessToken))) return yield* reject("DPoP proof ath mismatch")
  const jwk = header.jwk
  if (jwk === undefined || "d" in jwk) return yield* reject("DPoP proof must hold a public key")
  const thumbprint = yield* Effect.promise(() => calculateJwkThumbprint(jwk))
  // Its age is that of its nonce, where it has one, whatever its iat says.
  const until = turn.now + 2 * (dpopNonces ? dpopNonceLifetime : window)
  if (isReplay(turn, `dpop ${thumbprint}`, payload, until)) return yield* reject("DPoP proof was used before")
  return thumbprint
})

/** As {@link proof}, and a client that registered for it must bring one (RFC 9449 section 5.2). */
export const required = Effect.fnUntraced(function* (
  turn: Turn,
  client: ClientMetadata
): Effect.fn.Return<string | undefined, Refusal> {
  const thumbprint = yield* proof(turn)
  if (thumbprint === undefined && client.dpop_bound_access_tokens === true) {
    return yield* refuse("invalid_grant", "DPoP proof JWT not provided")
  }
  return thumbprint
})

/** The nonce to use from now on (RFC 9449 section 8.2): goes with every answer where nonces are wanted. */
export const nonceHeader = (state: State, now: number): Readonly<Record<string, string>> => {
  const [nonce] = state.settings.dpopNonces ? nonces(state, now) : []
  return nonce === undefined ? {} : { "dpop-nonce": nonce }
}

/** The nonces that are taken, newest first: the one of this interval and the one before it. */
const nonces = ({ settings }: State, now: number) => {
  const interval = Math.floor(now / settings.dpopNonceLifetime)
  return [interval, interval - 1].map(
    (interval) => Chance.text(Chance.seeded(`${settings.seed} nonce ${interval}`), 22, Chance.urlSafe)[0]
  )
}
