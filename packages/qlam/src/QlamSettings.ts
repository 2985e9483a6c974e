/** A provider of type `qlam`: the entry of `~/.qsh/config.json` in its own words, and what it means to OAuth. */
import * as Schema from "effect/Schema"
import { OAuthSettings, type ProviderType } from "keyfob"

const Text = Schema.optionalKey(Schema.NonEmptyString)
const Hidden = Schema.optionalKey(Schema.RedactedFromValue(Schema.NonEmptyString))

const Entry = Schema.Struct({
  /** The identity provider, with or without `https://` and slashes at its end; `issuer` says the same. */
  auth_base_url: Text,
  issuer: Text,
  client_id: Schema.NonEmptyString,
  /** Default: the browser where there is one, else a device code. */
  grant_type: Schema.optionalKey(Schema.Literals(["authorization_code", "device_code", "client_credentials"])),
  scope: Schema.optionalKey(Schema.String),
  audience: Text,
  /** Of a machine: its secret, or a private key (PEM or JWK) of which the provider has the public half. */
  client_secret: Hidden,
  private_key: Hidden,
  redirect_port: OAuthSettings.fields.redirectPort,
  /** How many token requests the identity provider grants: each is counted, whatever process makes it. */
  token_budget: OAuthSettings.fields.tokenBudget
})

const isSomewhere = ({ auth_base_url, issuer }: typeof Entry.Type) =>
  auth_base_url !== undefined || issuer !== undefined

export const QlamSettings = Entry.check(
  Schema.makeFilter(
    (entry) => isSomewhere(entry) || { path: ["auth_base_url"], issue: "expected auth_base_url or issuer" }
  )
)
export type QlamSettings = typeof QlamSettings.Type

/** The documented scope: without `offline_access` nothing could be renewed. */
const scope = "openid email profile offline_access"

const flows = {
  authorization_code: "browser",
  device_code: "device",
  client_credentials: "client_credentials"
} as const

/** The issuer that a base URL stands for. Documents write it with a scheme and without, and add a scheme to both. */
export const issuerOf = (url: string): string => {
  const [, rest = ""] = /^(?:https:\/\/)*(.*?)\/*$/i.exec(url.trim()) ?? []
  return /^[a-z]+:\/\//i.test(rest) ? rest : `https://${rest}`
}

/** The entry as settings of an OAuth provider. */
export const toOAuth = (entry: QlamSettings): OAuthSettings.Settings => {
  const isMachine = entry.grant_type === "client_credentials"
  const asked = (entry.scope ?? (isMachine ? "" : scope)).split(" ").filter((one) => one !== "")
  return {
    issuer: issuerOf(entry.issuer ?? entry.auth_base_url ?? ""),
    clientId: entry.client_id,
    flow: entry.grant_type === undefined ? "auto" : flows[entry.grant_type],
    scopes: asked,
    ...(entry.audience === undefined ? {} : { audience: entry.audience }),
    ...(entry.private_key === undefined ? {} : { clientAuth: "private_key_jwt", privateKey: entry.private_key }),
    ...(entry.client_secret === undefined || entry.private_key !== undefined
      ? {}
      : { clientAuth: "client_secret_post", clientSecret: entry.client_secret }),
    ...(entry.redirect_port === undefined ? {} : { redirectPort: entry.redirect_port }),
    ...(entry.token_budget === undefined ? {} : { tokenBudget: entry.token_budget })
  }
}

/** What is known of such a provider before anything is asked of it. */
export const definition: ProviderType.Definition<QlamSettings> = {
  name: "qlam",
  description: "QuEra's QLAM, with the provider entries of ~/.qsh/config.json",
  settings: QlamSettings,
  identify: (entry, account) => {
    const identity = OAuthSettings.identify(toOAuth(entry), account)
    const isMachine = entry.grant_type === "client_credentials"
    return { ...identity, needs: isMachine && entry.private_key === undefined ? ["client_secret"] : [] }
  }
}
