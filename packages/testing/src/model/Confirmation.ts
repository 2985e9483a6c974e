import * as Effect from "effect/Effect"
import * as ClientCertificate from "./ClientCertificate.ts"
import * as Dpop from "./Dpop.ts"
import { refuse, type Refusal } from "./Refusal.ts"
import type { ClientMetadata } from "./Settings.ts"
import type { Confirmation } from "./State.ts"
import type { Turn } from "./Turn.ts"

/**
 * What the tokens of a request will be bound to: the key of its DPoP proof, and the certificate it came with where the
 * client registered for that (RFC 8705 section 3.4).
 */
export const required = Effect.fnUntraced(function* (
  turn: Turn,
  client: ClientMetadata
): Effect.fn.Return<Confirmation | undefined, Refusal> {
  const jkt = yield* Dpop.required(turn, client)
  const wantsCertificate = client.tls_client_certificate_bound_access_tokens === true
  const thumbprint = wantsCertificate ? yield* ClientCertificate.thumbprint(turn) : undefined
  if (wantsCertificate && thumbprint === undefined) {
    return yield* refuse("invalid_grant", "client certificate was not provided")
  }
  if (jkt === undefined && thumbprint === undefined) return undefined
  return {
    ...(jkt === undefined ? {} : { jkt }),
    ...(thumbprint === undefined ? {} : { "x5t#S256": thumbprint })
  }
})
