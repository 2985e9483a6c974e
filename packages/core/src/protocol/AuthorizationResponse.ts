import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Mac from "effect/crypto/Mac"
import { AnswerRejected, LoginFailed, printable, type ProviderRefused, type ProviderUnavailable } from "../AuthError.ts"
import type { PendingAuthorization } from "./AuthorizationRequest.ts"
import type { ProviderMetadata } from "./Discovery.ts"
import { hostOf } from "./HttpExchange.ts"
import { refusalFor } from "./OAuthAnswer.ts"

/** The parameters of an answer: an address with a query, in full or from its path on, or a form's body. */
const parametersOf = (answer: string) => new URLSearchParams(answer.replace(/^[^?]*\?/s, "").replace(/#.*$/s, ""))

/** Whether an answer is to the request that had this state. Takes as long for a near miss as for a far one. */
export const isTo = (state: Redacted.Redacted, answer: string): boolean => {
  const [given, ...more] = parametersOf(answer).getAll("state")
  return given !== undefined && more.length === 0 && isSame(Redacted.value(state), given)
}

const isSame = (one: string, other: string) => {
  const encoder = new TextEncoder()
  return Mac.timingSafeEqual(encoder.encode(one), encoder.encode(other))
}

/**
 * The code in the answer to an authorization request, once it is clear that it is one (RFC 6749 sections 4.1.2 and 10.12,
 * RFC 9207 section 2.4, RFC 9700 section 4.4): to our state, from the issuer that was asked, with nothing said twice. An
 * error is typed, and believed no sooner than a code.
 */
export const codeOf = Effect.fnUntraced(function* (
  answer: string,
  pending: PendingAuthorization,
  metadata: ProviderMetadata
): Effect.fn.Return<Redacted.Redacted, LoginFailed | AnswerRejected | ProviderRefused | ProviderUnavailable> {
  const { issuer } = metadata
  const at = { endpoint: "authorization", host: hostOf(issuer) } as const
  const reject = (reason: AnswerRejected["reason"], detail?: string) =>
    new AnswerRejected({ reason, ...at, ...(detail === undefined ? {} : { detail }) })
  if (pending.issuer !== issuer) return yield* reject("IssuerMismatch", "another provider was asked")
  if (!isTo(pending.state, answer)) return yield* reject("StateMismatch")
  const parameters = parametersOf(answer)
  for (const name of new Set(parameters.keys())) {
    if (parameters.getAll(name).length > 1) return yield* reject("Malformed", `${printable(name)} is given twice`)
  }
  const iss = parameters.get("iss")
  if (iss === null && metadata.authorization_response_iss_parameter_supported === true) {
    return yield* reject("IssuerMismatch", "iss is missing")
  }
  if (iss !== null && iss !== issuer) return yield* reject("IssuerMismatch", `iss is ${printable(iss)}`)
  const error = parameters.get("error")
  if (error !== null) {
    return yield* error === "access_denied" ? new LoginFailed({ reason: "Denied", issuer }) : refusalFor(error, at)
  }
  // Tokens in front were not asked for: whoever sends them answers another request (RFC 9700 section 2.1.2).
  for (const name of ["access_token", "id_token", "response"]) {
    if (parameters.has(name)) return yield* reject("Malformed", `${name} was not asked for`)
  }
  const code = parameters.get("code")
  if (code === null || code === "") return yield* reject("Malformed", "code is missing")
  return Redacted.make(code)
})
