/** The settings of a provider of type `basic`, and what they say before anything is asked of it. */
import * as Schema from "effect/Schema"
import { CredentialKey } from "../Credential.ts"
import type { Definition } from "./ProviderType.ts"

export const Settings = Schema.Struct({
  /** Where name and password are checked: https, or http on a loopback address. */
  login_url: Schema.NonEmptyString,
  // RFC 7617 section 2: a colon would end it.
  username: Schema.String.check(
    Schema.isPattern(/^[^:\p{Cc}]+$/u, { expected: "a name without colons and control characters" })
  ),
  // Nor is a control character in either: whoever reads lines, git say, would take another one for what follows it.
  password: Schema.optionalKey(
    Schema.RedactedFromValue(
      Schema.String.check(Schema.isPattern(/^\P{Cc}+$/u, { expected: "a password without control characters" }))
    )
  )
})

export type Settings = typeof Settings.Type

/** What is known of it before it talks to anybody. */
export const definition: Definition<Settings> = {
  name: "basic",
  description: "A user's name and password (RFC 7617), checked by a login endpoint",
  settings: Settings,
  identify: ({ login_url, username }, account) => ({
    key: CredentialKey.make({
      issuer: login_url,
      clientId: username,
      account,
      subject: "user"
    }),
    attended: false,
    renewable: false,
    needs: ["password"],
    extra: { username }
  })
}
