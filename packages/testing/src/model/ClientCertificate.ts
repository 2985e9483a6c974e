/** Client certificates (RFC 8705), as a proxy that ends TLS hands them on (RFC 9440). */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Base64 from "effect/encoding/Base64"
import * as Base64Url from "effect/encoding/Base64Url"
import type { ClientMetadata } from "./Settings.ts"
import type { Turn } from "./Turn.ts"

/** Whether a client proves who it is with a certificate. */
export const isMethod = (method: string) => method === "tls_client_auth" || method === "self_signed_tls_client_auth"

/**
 * The thumbprint of the certificate a request came with: the one Byte Sequence of its `Client-Cert` (RFC 9440 section
 * 2.2). Whatever else stands there counts as nothing (RFC 9651 section 4.2).
 */
export const thumbprint = (turn: Turn): Effect.Effect<string | undefined> =>
  thumbprintOf(/^:([A-Za-z\d+/]+={0,2}):$/.exec(turn.request.headers["client-cert"] ?? "")?.[1])

/** The thumbprints a client may come with. Those of `jwks` are self-signed (RFC 8705 section 2.2.2). */
export const registered = Effect.fnUntraced(function* (client: ClientMetadata) {
  const keys = client.token_endpoint_auth_method === "self_signed_tls_client_auth" ? (client.jwks?.keys ?? []) : []
  const found = [client.certificate_thumbprint]
  for (const key of keys) found.push(key["x5t#S256"], yield* thumbprintOf(key.x5c?.[0]))
  return found.filter((thumbprint) => thumbprint !== undefined)
})

/** SHA-256 over the DER of a certificate (RFC 8705 section 3.1). Of DER, no more is read than that it is a SEQUENCE. */
const thumbprintOf = Effect.fnUntraced(function* (base64: string | undefined): Effect.fn.Return<string | undefined> {
  const der = base64 === undefined ? undefined : Result.getOrUndefined(Base64.decode(base64))
  if (der?.[0] !== 0x30) return undefined
  const hash = yield* Effect.promise(() => crypto.subtle.digest("SHA-256", new Uint8Array(der)))
  return Base64Url.encode(new Uint8Array(hash))
})
