import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as HttpClient from "effect/http/HttpClient"
import type { AnswerRejected, ConfigurationInvalid, ProviderUnavailable } from "../AuthError.ts"

/**
 * Where a JWT comes from that somebody else has issued: a platform to the workload that runs on it, say (RFC 7521 section
 * 3). Run for each request that needs one, so it is the source that knows what may be kept and for how long. An HTTP client
 * is at hand, which is not the provider's: what it learns or presents there has no place here.
 */
export type AssertionSource = Effect.Effect<
  Redacted.Redacted,
  ConfigurationInvalid | ProviderUnavailable | AnswerRejected,
  HttpClient.HttpClient
>
