import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { AnswerRejected, printable, type ProviderRefused } from "../AuthError.ts"
import { isSecure } from "./SecureUrl.ts"
import { accept } from "./OAuthAnswer.ts"
import type { Form, MetadataError, OAuthClient } from "./OAuthClient.ts"
import { Seconds } from "./TokenEndpoint.ts"

/** A device code and what its person needs (RFC 8628 section 3.2). */
export interface DeviceGrant {
  readonly deviceCode: Redacted.Redacted
  readonly userCode: string
  readonly verificationUri: string
  readonly verificationUriComplete?: string
  /** Counted from the request. */
  readonly expiresAt: DateTime.Utc
  /** Seconds between two polls. */
  readonly interval: number
}

const Answer = Schema.Struct({
  device_code: Schema.NonEmptyString,
  user_code: Schema.NonEmptyString,
  verification_uri: Schema.optionalKey(Schema.String),
  // The name before the RFC was finished; some servers kept it.
  verification_url: Schema.optionalKey(Schema.String),
  verification_uri_complete: Schema.optionalKey(Schema.NullOr(Schema.String)),
  expires_in: Seconds,
  interval: Schema.optionalKey(Schema.NullOr(Seconds))
})

/** Asks for a device code (RFC 8628 section 3.1). */
export const request = Effect.fn("keyfob.deviceAuthorization")(function* (
  client: OAuthClient,
  form: Form
): Effect.fn.Return<DeviceGrant, MetadataError | ProviderRefused> {
  yield* client.metadata // so that its time does not count against the code's
  const now = yield* Clock.currentTimeMillis
  const answer = yield* client.post("device_authorization", { client_id: client.clientId, ...form }, "idempotent")
  const granted = yield* accept(answer, Answer)
  const page = Effect.fnUntraced(function* (uri: string) {
    const url = URL.parse(uri)
    if (url !== null && isSecure(url)) return url.href // encoded: a terminal prints it
    // A person is about to open this: no other scheme, no http.
    return yield* new AnswerRejected({
      reason: "InsecureEndpoint",
      endpoint: "device_authorization",
      host: answer.host,
      // Not the rest of it: a query may repeat what was sent.
      detail: `verification_uri ${url === null ? "is no URL" : printable(`${url.protocol}//${url.host}`)}`
    })
  })
  const complete = granted.verification_uri_complete
  return {
    deviceCode: Redacted.make(granted.device_code),
    userCode: printable(granted.user_code),
    verificationUri: yield* page(granted.verification_uri ?? granted.verification_url ?? ""),
    ...(complete ? { verificationUriComplete: yield* page(complete) } : {}),
    expiresAt: DateTime.makeUnsafe(now + granted.expires_in * 1000),
    // RFC 8628 section 3.2: 5 where it says nothing. Without a pause every client of the provider would hammer it.
    interval: Math.max(granted.interval ?? 5, 1)
  }
})
