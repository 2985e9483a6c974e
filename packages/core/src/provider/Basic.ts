import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { LoginFailed } from "../AuthError.ts"
import { refusalOf } from "../protocol/OAuthAnswer.ts"
import { configuredUrl } from "../protocol/SecureUrl.ts"
import { ask, session } from "../protocol/ServiceEndpoint.ts"
import { required } from "../Required.ts"
import { AccessToken } from "../Token.ts"
import * as AuthProvider from "./AuthProvider.ts"
import * as ProviderCredential from "./ProviderCredential.ts"
import { definition } from "./BasicSettings.ts"
import * as ProviderType from "./ProviderType.ts"

/**
 * Signs in by a POST to `login_url` with `Authorization: Basic`. Where the answer brings an `access_token`, that is kept and
 * the password is not; else name and password are, for every request.
 */
export const type = ProviderType.make({
  ...definition,
  make: Effect.fnUntraced(function* ({ login_url, password, username }, { key }) {
    const url = yield* configuredUrl("login_url", login_url)
    const http = yield* HttpClient.HttpClient
    const login = Effect.fn("keyfob.Basic")(function* () {
      const proof = AccessToken.basic(username, yield* required("password", password))
      const asked = ask(http, url, {
        endpoint: "login",
        authorization: proof.authorization,
        repeat: "spending",
        refusals: { 401: "AccessDenied", 403: "AccessDenied" }
      })
      const denied = new LoginFailed({ reason: "Denied", issuer: login_url })
      const answer = yield* Effect.catchTag(asked, "ProviderRefused", () => Effect.fail(denied))
      if (refusalOf(answer) === undefined && answer.json?.["access_token"] === undefined) return { token: proof }
      const { token } = yield* session(answer)
      return { token }
    })
    return yield* AuthProvider.simple({ key, login, model: ProviderCredential.basic(username) })
  })
})
