import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import { refuse, type Refusal } from "./Refusal.ts"
import type { ClientMetadata } from "./Settings.ts"
import { optional, type Turn } from "./Turn.ts"

/** The challenge of an authorization request (RFC 7636 section 4.3): S256 alone, and a public client must bring one. */
export const challenge = Effect.fnUntraced(function* (
  turn: Turn,
  client: ClientMetadata
): Effect.fn.Return<string | undefined, Refusal> {
  const value = yield* optional(turn, "code_challenge")
  const method = yield* optional(turn, "code_challenge_method")
  if (value === undefined) {
    if (method !== undefined)
      return yield* refuse("invalid_request", "code_challenge must be provided with code_challenge_method")
    return client.token_endpoint_auth_method === "none"
      ? yield* refuse("invalid_request", "Authorization Server policy requires PKCE to be used for this request")
      : undefined
  }
  if (method !== "S256") return yield* refuse("invalid_request", "not supported value of code_challenge_method")
  return yield* wellFormed(value, "code_challenge")
})

/** The verifier of a token request, held against the challenge (RFC 7636 section 4.6). */
export const verify = Effect.fnUntraced(function* (
  turn: Turn,
  challenge: string | undefined
): Effect.fn.Return<void, Refusal> {
  const verifier = yield* optional(turn, "code_verifier")
  if (verifier !== undefined) yield* wellFormed(verifier, "code_verifier")
  if (verifier === undefined && challenge === undefined) return
  const hash = yield* hashOf(verifier ?? "")
  if (hash !== challenge) return yield* refuse("invalid_grant", "PKCE verification failed")
})

// RFC 7636 sections 4.1 and 4.2.
const wellFormed = (value: string, name: string) =>
  /^[\w.\-~]{43,128}$/.test(value)
    ? Effect.succeed(value)
    : Effect.fail(refuse("invalid_request", `${name} must be 43 to 128 unreserved characters`))

/** SHA-256 as base64url, of which many a thing here is made. */
export const hashOf = (text: string) =>
  Effect.promise(async () =>
    Base64Url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))))
  )
