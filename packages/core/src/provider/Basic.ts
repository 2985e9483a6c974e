import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { ConfigurationInvalid, LoginFailed } from "../AuthError.ts"
import { send } from "../protocol/HttpExchange.ts"
import { accept } from "../protocol/OAuthAnswer.ts"
import { configuredUrl } from "../protocol/SecureUrl.ts"
import { Seconds } from "../protocol/TokenEndpoint.ts"
import { AccessToken } from "../Token.ts"
import * as AuthProvider from "./AuthProvider.ts"
import * as ProviderCredential from "./ProviderCredential.ts"
import { definition } from "./BasicSettings.ts"
import * as ProviderType from "./ProviderType.ts"

/** The session that a login endpoint may open, in the words of RFC 6749 section 5.1. */
const Session = Schema.Struct({
  access_token: Schema.String.check(Schema.isPattern(/^[\x20-\x7e]+$/)),
  expires_in: Schema.optionalKey(Seconds)
})

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
      if (password === undefined) return yield* new ConfigurationInvalid({ reason: "MissingValue", detail: "password" })
      const proof = AccessToken.basic(username, password)
      const began = yield* Clock.currentTimeMillis
      const request = HttpClientRequest.setHeader("authorization", Redacted.value(proof.authorization))
      const answer = yield* send(http, "login", request(HttpClientRequest.post(url)), "spending")
      if (answer.status === 401 || answer.status === 403) {
        return yield* new LoginFailed({ reason: "Denied", issuer: login_url })
      }
      if (answer.status < 400 && answer.json?.["access_token"] === undefined) return { token: proof }
      const { access_token, expires_in } = yield* accept(answer, Session)
      const end = expires_in === undefined ? undefined : began + expires_in * 1000
      return { token: AccessToken.bearer(Redacted.make(access_token), end) }
    })
    return yield* AuthProvider.simple({ key, login, model: ProviderCredential.basic(username) })
  })
})
