import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AnswerRejected, type ProviderRefused } from "../AuthError.ts"
import type { AccessToken } from "../Token.ts"
import { accept } from "./OAuthAnswer.ts"
import type { MetadataError, OAuthClient } from "./OAuthClient.ts"

const Answer = Schema.StructWithRest(Schema.Struct({ sub: Schema.NonEmptyString }), [
  Schema.Record(Schema.String, Schema.Unknown)
])

/** Claims about the person who signed in. */
export type Userinfo = typeof Answer.Type

/**
 * Asks the provider about the person (OpenID Connect Core section 5.3).
 *
 * @param subject the verified ID token's `sub`: an answer about somebody else is refused (section 5.3.2)
 */
export const request = Effect.fn("keyfob.userinfo")(function* (
  client: OAuthClient,
  token: AccessToken,
  subject?: string
): Effect.fn.Return<Userinfo, MetadataError | ProviderRefused> {
  const answer = yield* client.getWithToken("userinfo", token)
  const claims = yield* accept(answer, Answer)
  if (subject !== undefined && claims.sub !== subject) {
    return yield* new AnswerRejected({ reason: "SubjectMismatch", endpoint: "userinfo", host: answer.host })
  }
  return claims
})
