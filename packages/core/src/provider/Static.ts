import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { expiryOf } from "../protocol/Jwt.ts"
import { required } from "../Required.ts"
import { AccessToken } from "../Token.ts"
import * as AuthProvider from "./AuthProvider.ts"
import * as ProviderCredential from "./ProviderCredential.ts"
import { definition } from "./StaticSettings.ts"
import * as ProviderType from "./ProviderType.ts"

/** Keeps a token as it is. One that is a JWT names its own end. */
export const type = ProviderType.make({
  ...definition,
  make: ({ header, token: given }, { key }) => {
    const login = () =>
      Effect.map(required("token", given), (given) => ({
        token: AccessToken.bearer(given, expiryOf(Redacted.value(given)))
      }))
    return AuthProvider.simple(
      header === undefined
        ? { key, brought: given, login, model: ProviderCredential.staticToken }
        : {
            key,
            brought: given,
            login,
            model: ProviderCredential.apiKey(header),
            headers: ({ value }) => ({ [header]: value })
          }
    )
  }
})
