import * as Schema from "effect/Schema"
import { Account, type Credential } from "../Credential.ts"
import * as RefreshPolicy from "../session/RefreshPolicy.ts"
import { AccessToken } from "../Token.ts"

/** Whether it serves now, can be made to without a person, or needs one. */
export const CredentialStatus = Schema.Literals(["authenticated", "refreshable", "login_required"])
export type CredentialStatus = typeof CredentialStatus.Type

const common = {
  status: CredentialStatus,
  /** What goes on requests. It may have ended: see `status`. */
  token: AccessToken,
  signedInAt: Schema.optionalKey(Schema.DateTimeUtc)
}

/** Tokens of an authorization server. */
export const OAuthCredential = Schema.TaggedStruct("OAuth", {
  ...common,
  clientId: Schema.String,
  account: Schema.optionalKey(Account),
  /** Whether it is renewed without a person. */
  refreshable: Schema.Boolean
})

/** A user's name and password, or the session they opened. */
export const BasicCredential = Schema.TaggedStruct("Basic", { ...common, username: Schema.String })

/** A key in a header of its own. */
export const ApiKeyCredential = Schema.TaggedStruct("ApiKey", { ...common, header: Schema.String })

/** A token that somebody brought, and nothing renews. */
export const StaticTokenCredential = Schema.TaggedStruct("StaticToken", common)

/** What a provider has of somebody. That it does not serve any more is a normal answer, told by its status. */
export const ProviderCredential = Schema.Union([
  OAuthCredential,
  BasicCredential,
  ApiKeyCredential,
  StaticTokenCredential
])
export type ProviderCredential = typeof ProviderCredential.Type

/** What all models have of a stored credential. */
const commonOf = (stored: Credential, now: number) => ({
  status: RefreshPolicy.statusOf(stored, now),
  token: stored.token,
  ...(stored.signedInAt === undefined ? {} : { signedInAt: stored.signedInAt })
})

/** Says of a stored credential what it is; one function for each kind of provider. */
export type Model = (stored: Credential, now: number) => ProviderCredential

export const oauth: Model = (stored, now) =>
  OAuthCredential.make({
    ...commonOf(stored, now),
    clientId: stored.key.clientId,
    ...(stored.account === undefined ? {} : { account: stored.account }),
    refreshable: stored.refreshToken !== undefined || stored.key.subject === "client"
  })

export const basic =
  (username: string): Model =>
  (stored, now) =>
    BasicCredential.make({ ...commonOf(stored, now), username })

export const apiKey =
  (header: string): Model =>
  (stored, now) =>
    ApiKeyCredential.make({ ...commonOf(stored, now), header })

export const staticToken: Model = (stored, now) => StaticTokenCredential.make(commonOf(stored, now))
