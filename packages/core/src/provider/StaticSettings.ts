/** The settings of a provider of type `static`, and what they say before anything is asked of it. */
import * as Schema from "effect/Schema"
import { CredentialKey } from "../Credential.ts"
import type { Definition } from "./ProviderType.ts"

export const Settings = Schema.Struct({
  token: Schema.optionalKey(Schema.RedactedFromValue(Schema.String.check(Schema.isPattern(/^[\x21-\x7e]+$/)))),
  /** The header the token goes into as it is: an API key. Default: `Authorization: Bearer`. */
  header: Schema.optionalKey(
    Schema.String.check(Schema.isPattern(/^[\w!#$%&'*+.^`|~-]+$/, { expected: "the name of a header" }))
  )
})

export type Settings = typeof Settings.Type

/** What is known of it before it does anything. */
export const definition: Definition<Settings> = {
  name: "static",
  description: "A token or API key that somebody was given",
  settings: Settings,
  identify: ({ header, token }, account) => ({
    key: CredentialKey.make({
      issuer: "static",
      clientId: header ?? "",
      account,
      subject: "user"
    }),
    brought: token,
    attended: false,
    renewable: false,
    needs: ["token"],
    ...(header === undefined ? {} : { extra: { header } })
  })
}
