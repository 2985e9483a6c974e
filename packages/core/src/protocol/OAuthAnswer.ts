import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Deviation from "./Deviation.ts"
import { type AnswerRejected, type Endpoint, ProviderRefused, ProviderUnavailable } from "../AuthError.ts"
import { type Answer, malformed, objectOf } from "./HttpExchange.ts"

// RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, RFC 7009 section 2.2.1, RFC 8707 section 2, RFC 9449 section
// 12.2, OpenID Connect Core section 3.1.2.6, OpenID Connect Core Error Code unmet_authentication_requirements.
const reasons = new Map<string, ProviderRefused["reason"]>([
  ["invalid_client", "InvalidClient"],
  ["unauthorized_client", "UnauthorizedClient"],
  ["invalid_grant", "InvalidGrant"],
  ["invalid_scope", "InvalidScope"],
  ["invalid_target", "InvalidTarget"],
  ["invalid_request", "InvalidRequest"],
  ["unsupported_grant_type", "UnsupportedGrantType"],
  ["access_denied", "AccessDenied"],
  ["invalid_token", "InvalidToken"],
  ["insufficient_scope", "InsufficientScope"],
  ["login_required", "LoginRequired"],
  ["interaction_required", "InteractionRequired"],
  ["consent_required", "ConsentRequired"],
  ["account_selection_required", "AccountSelectionRequired"],
  ["unmet_authentication_requirements", "UnmetAuthenticationRequirements"],
  ["unsupported_response_type", "UnsupportedGrantType"],
  ["unsupported_response_mode", "InvalidRequest"],
  ["invalid_dpop_proof", "InvalidProof"],
  ["use_dpop_nonce", "InvalidProof"]
])

// Errors that say "later", whatever status they come with (RFC 6749 section 4.1.2.1).
const passing = new Set(["temporarily_unavailable", "server_error"])

/**
 * The refusal in an answer, if it is one: an error status, or (seen at some servers) an `error` inside a success.
 * Descriptions are dropped: they may repeat what was sent. So is a code that does not look like one.
 */
export const refusalOf = (answer: Answer): ProviderRefused | ProviderUnavailable | undefined => {
  const error = answer.json?.["error"]
  if (answer.status < 400 && typeof error !== "string") return undefined
  const { endpoint, host, status } = answer
  return refusalFor(error, { endpoint, host, status })
}

/** The refusal an `error` member or parameter stands for. */
export const refusalFor = (
  error: unknown,
  at: { readonly endpoint: Endpoint; readonly host: string; readonly status?: number }
): ProviderRefused | ProviderUnavailable => {
  const code = typeof error === "string" && /^[a-z][a-z_]{0,39}$/.test(error) ? error : undefined
  if (code !== undefined && passing.has(code)) {
    return new ProviderUnavailable({ reason: "ServerError", ...at, detail: code })
  }
  const reason = code === undefined ? undefined : reasons.get(code)
  return new ProviderRefused({
    reason: reason ?? (code !== undefined ? "Other" : byStatus(at)),
    ...at,
    ...(code === undefined ? {} : { code })
  })
}

const byStatus = ({
  endpoint,
  status
}: {
  readonly endpoint: Endpoint
  readonly status?: number
}): ProviderRefused["reason"] => {
  if (status === 401) return endpoint === "userinfo" ? "InvalidToken" : "InvalidClient"
  return status === 403 ? "AccessDenied" : "Other"
}

/** The members of a successful answer, or the refusal, or what is wrong with it (naming the member, never its value). */
export const accept = <S extends Schema.ConstraintDecoder<unknown>>(
  answer: Answer,
  schema: S
): Effect.Effect<S["Type"], ProviderRefused | ProviderUnavailable | AnswerRejected> => {
  const refusal = refusalOf(answer)
  if (refusal !== undefined) {
    const isSuccess = answer.status < 400
    if (!isSuccess && answer.json !== undefined) return Effect.fail(refusal)
    const noted = Deviation.note(isSuccess ? "an error inside a success" : "an error without JSON")
    return Effect.andThen(noted, Effect.fail(refusal))
  }
  return Effect.flatMap(objectOf(answer), (json) =>
    Effect.mapError(Schema.decodeUnknownEffect(schema)(json), (error) => malformed(answer, memberOf(error)))
  )
}

const memberOf = (error: Schema.SchemaError) => {
  const member = /\["(\w{1,40})"\]/.exec(error.message)?.[1]
  return member === undefined ? "members are missing or wrong" : `${member} is missing or wrong`
}
