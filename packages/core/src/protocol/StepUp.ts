import * as Duration from "effect/Duration"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { StepUpRequired } from "../AuthError.ts"
import { ofTokens } from "./Challenge.ts"

const reasons = new Map<string | undefined, StepUpRequired["reason"]>([
  ["insufficient_scope", "InsufficientScope"], // RFC 6750 section 3.1
  ["insufficient_user_authentication", "InsufficientAuthentication"] // RFC 9470 section 3
])

/** What an API wants beyond what the token has, if that is why it refused the request. */
export const neededFor = (
  { headers, status }: HttpClientResponse.HttpClientResponse,
  origin: string
): StepUpRequired | undefined => {
  if (status !== 401 && status !== 403) return undefined
  for (const { params } of ofTokens(headers).ours) {
    const reason = reasons.get(params["error"])
    if (reason === undefined) continue
    const maxAge = /^\d{1,9}$/.test(params["max_age"] ?? "") ? Duration.seconds(Number(params["max_age"])) : undefined
    return new StepUpRequired({
      reason,
      origin,
      scopes: words(params["scope"]),
      acrValues: words(params["acr_values"]),
      ...(maxAge === undefined ? {} : { maxAge })
    })
  }
  return undefined
}

/** Whether another token could change the answer. Not if it asks for other schemes alone; without a challenge it may be. */
export const isAboutToken = ({ headers }: HttpClientResponse.HttpClientResponse): boolean => {
  const { any, ours } = ofTokens(headers)
  return !any || ours.some(({ params }) => !notAboutToken.has(params["error"]))
}

const notAboutToken = new Set<string | undefined>(["use_dpop_nonce", "invalid_request"])

// RFC 6749 appendix A.4; acr values are as free. They end up in a request, and before a person's eyes.
const words = (text = "") =>
  text
    .split(" ")
    .filter((word) => /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(word))
    .slice(0, 50)
