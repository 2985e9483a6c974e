import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { ConfigurationInvalid } from "../AuthError.ts"
import { CredentialKey } from "../Credential.ts"
import { jwtExpiry } from "../protocol/TokenEndpoint.ts"
import { AccessToken } from "../Token.ts"
import * as AuthProvider from "./AuthProvider.ts"
import * as ProviderCredential from "./ProviderCredential.ts"
import * as ProviderType from "./ProviderType.ts"

export const Settings = Schema.Struct({
  token: Schema.optionalKey(Schema.RedactedFromValue(Schema.String.check(Schema.isPattern(/^[\x21-\x7e]+$/)))),
  /** The header the token goes into as it is: an API key. Default: `Authorization: Bearer`. */
  header: Schema.optionalKey(
    Schema.String.check(Schema.isPattern(/^[\w!#$%&'*+.^`|~-]+$/, { expected: "the name of a header" }))
  )
})

/** What is known of it before it does anything. */
export const definition: ProviderType.Definition<typeof Settings.Type> = {
  name: "static",
  description: "A token or API key that somebody was given",
  settings: Settings,
  identify: ({ header }, account) => ({
    key: CredentialKey.make({
      issuer: "static",
      clientId: header ?? "",
      account,
      subject: "user",
      scopes: [],
      resource: [],
      params: {}
    }),
    attended: false,
    needs: ["token"],
    ...(header === undefined ? {} : { extra: { header } })
  })
}

/** Keeps a token as it is. One that is a JWT names its own end. */
export const type = ProviderType.make({
  ...definition,
  make: ({ header, token: given }, { key }) => {
    const login = Effect.fnUntraced(function* () {
      if (given === undefined) return yield* new ConfigurationInvalid({ reason: "MissingValue", detail: "token" })
      const expiresAt = jwtExpiry(Redacted.value(given))
      const token = AccessToken.make({
        value: given,
        type: "Bearer",
        scopes: [],
        ...(expiresAt === undefined ? {} : { expiresAt: DateTime.makeUnsafe(expiresAt) })
      })
      return { token }
    })
    return AuthProvider.simple(
      header === undefined
        ? { key, login, model: ProviderCredential.staticToken }
        : { key, login, model: ProviderCredential.apiKey(header), headers: ({ value }) => ({ [header]: value }) }
    )
  }
})
