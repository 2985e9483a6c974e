import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type ConfigurationInvalid, OAuthSettings as OAuth, type ProviderType } from "keyfob"
import type { Table } from "./TomlDocument.ts"

/** Where a credential may be kept. `auto` is the best this machine has. */
export const stores = ["file", "keychain", "encrypted_file", "auto", "memory", "redis", "sql"] as const

/** What every provider's table may say: where its credential is kept. */
const place = {
  store: Schema.optionalKey(Schema.Literals(stores)),
  /** Of a store that hosts share: `redis://…`, `rediss://…`, `postgres://…`; behind `Redacted` since a password may be in it. */
  storeUrl: Schema.optionalKey(Schema.RedactedFromValue(Schema.NonEmptyString))
}

export const PlaceSettings = Schema.Struct(place).pipe(Schema.encodeKeys({ storeUrl: "store_url" }))

/** The table of a provider of type `oauth`; what is not said is absent. */
export const OAuthSettings = Schema.Struct({
  type: Schema.Literal("oauth"),
  ...OAuth.fields,
  privateKeyFile: Schema.optionalKey(Schema.NonEmptyString),
  /** The key's id at the provider (`kid`). */
  privateKeyId: Schema.optionalKey(Schema.NonEmptyString),
  /** What opens the private key, where it is encrypted. */
  privateKeyPassphrase: Schema.optionalKey(Schema.RedactedFromValue(Schema.NonEmptyString)),
  privateKeyPassphraseFile: Schema.optionalKey(Schema.NonEmptyString),
  /** The client's certificate (PEM), and the key that goes with it in TLS. */
  certFile: Schema.optionalKey(Schema.NonEmptyString),
  keyFile: Schema.optionalKey(Schema.NonEmptyString),
  /** Where a JWT comes from by which somebody else says who the client is: one of these. */
  clientAssertionFile: Schema.optionalKey(Schema.NonEmptyString),
  clientAssertionUrl: Schema.optionalKey(Schema.NonEmptyString),
  clientAssertionCommand: Schema.optionalKey(Schema.NonEmptyArray(Schema.NonEmptyString)),
  clientAssertionPlatform: Schema.optionalKey(Schema.Literal("github_actions")),
  /** Whom the platform's is for. */
  clientAssertionAudience: Schema.optionalKey(Schema.NonEmptyString),
  ...place
})
  .pipe(
    Schema.encodeKeys({
      ...OAuth.keys,
      privateKeyFile: "private_key_file",
      privateKeyId: "private_key_id",
      privateKeyPassphrase: "private_key_passphrase",
      privateKeyPassphraseFile: "private_key_passphrase_file",
      certFile: "cert_file",
      keyFile: "key_file",
      clientAssertionFile: "client_assertion_file",
      clientAssertionUrl: "client_assertion_url",
      clientAssertionCommand: "client_assertion_command",
      clientAssertionPlatform: "client_assertion_platform",
      clientAssertionAudience: "client_assertion_audience",
      storeUrl: "store_url"
    })
  )
  .check(OAuth.idTokens)
export type OAuthSettings = typeof OAuthSettings.Type

/** What the file says about one provider. */
export type ProviderEntry = typeof PlaceSettings.Type & {
  /** As the file has it: `oauth`, `aqt`, …; empty where it has none. */
  readonly type: string
  /** As it stands, behind `Redacted` since only its type knows which keys are secret. */
  readonly table: Redacted.Redacted<Table>
  /** What its type makes of it; absent where nobody knows the type. */
  readonly known?: ProviderType.Known
  /** What is wrong with its table, of which nothing holds then. */
  readonly invalid?: ConfigurationInvalid
}
