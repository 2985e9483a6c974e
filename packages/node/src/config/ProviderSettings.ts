import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Table } from "./TomlDocument.ts"

const Names = Schema.Array(Schema.NonEmptyString)
const Strings = Schema.Record(Schema.String, Schema.String)

const keys = {
  clientId: "client_id",
  clientAuth: "client_auth",
  clientSecret: "client_secret",
  privateKey: "private_key",
  privateKeyFile: "private_key_file",
  privateKeyId: "private_key_id",
  privateKeyPassphraseFile: "private_key_passphrase_file",
  assertionFile: "assertion_file",
  certFile: "cert_file",
  keyFile: "key_file",
  clientAssertionFile: "client_assertion_file",
  clientAssertionUrl: "client_assertion_url",
  clientAssertionCommand: "client_assertion_command",
  clientAssertionPlatform: "client_assertion_platform",
  clientAssertionAudience: "client_assertion_audience",
  storeUrl: "store_url",
  redirectPort: "redirect_port",
  tokenBudget: "token_budget"
} as const

/** Where a credential may be kept. `auto` is the best this machine has. */
export const stores = ["file", "keychain", "encrypted_file", "auto", "memory", "redis", "sql"] as const

/** The table of a provider of type `oauth`; what is not said is absent. */
export const OAuthSettings = Schema.Struct({
  type: Schema.Literal("oauth"),
  issuer: Schema.NonEmptyString,
  clientId: Schema.NonEmptyString,
  clientAuth: Schema.optionalKey(
    Schema.Literals([
      "none",
      "client_secret_basic",
      "client_secret_post",
      "client_secret_jwt",
      "private_key_jwt",
      "tls_client_auth",
      "self_signed_tls_client_auth"
    ])
  ),
  clientSecret: Schema.optionalKey(Schema.RedactedFromValue(Schema.NonEmptyString)),
  /** What the client signs with: PEM or JWK. */
  privateKey: Schema.optionalKey(Schema.RedactedFromValue(Schema.NonEmptyString)),
  privateKeyFile: Schema.optionalKey(Schema.NonEmptyString),
  /** The key's id at the provider (`kid`). */
  privateKeyId: Schema.optionalKey(Schema.NonEmptyString),
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
  scopes: Schema.optionalKey(Names),
  audience: Schema.optionalKey(Schema.NonEmptyString),
  resource: Schema.optionalKey(Names),
  /** The file with the assertion of the `jwt_bearer` flow. Read for each request. */
  assertionFile: Schema.optionalKey(Schema.NonEmptyString),
  flow: Schema.optionalKey(Schema.Literals(["auto", "browser", "device", "client_credentials", "jwt_bearer"])),
  store: Schema.optionalKey(Schema.Literals(stores)),
  /** Whether tokens are bound to a key (RFC 9449). */
  dpop: Schema.optionalKey(Schema.Boolean),
  /** Of a store that hosts share: `redis://…`, `rediss://…`, `postgres://…`; behind `Redacted` since a password may be in it. */
  storeUrl: Schema.optionalKey(Schema.RedactedFromValue(Schema.NonEmptyString)),
  /** 0 is any free port. */
  redirectPort: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))),
  /** How many token requests the provider grants the client: `{ limit = 1000, per = "30d" }`. */
  tokenBudget: Schema.optionalKey(
    Schema.Struct({
      limit: Schema.Int.check(Schema.isGreaterThan(0)),
      per: Schema.String.check(Schema.isPattern(/^[1-9]\d{0,8}[smhd]$/, { expected: "a duration like 24h or 30d" }))
    })
  ),
  /** Extra request parameters. */
  params: Schema.optionalKey(Strings),
  /** Endpoints by their name in the metadata (RFC 8414), for a server without a discovery document. */
  endpoints: Schema.optionalKey(Strings)
}).pipe(Schema.encodeKeys(keys))
export type OAuthSettings = typeof OAuthSettings.Type

/** A provider of another type: its table as it stands, behind `Redacted` since only its type knows which keys are secret. */
export interface OtherSettings {
  readonly type: "other"
  /** The type as the file has it: `aqt`, `qlam`, … */
  readonly typeName: string
  readonly table: Redacted.Redacted<Table>
}

/** What the file says about one provider. */
export type ProviderSettings = OAuthSettings | OtherSettings

/** The first thing that is wrong with a table, without its value. */
export const complaintOf = (error: Schema.SchemaError) => {
  const issue = SchemaIssue.makeFormatterStandardSchemaV1()(error.issue).issues[0]
  const message = issue?.message ?? "Expected something else"
  const spelled: Readonly<Record<string, string>> = keys
  return {
    /** Where, from the table down, as the file spells it. */
    keys: (issue?.path ?? []).map(String).map((key, depth) => (depth === 0 ? (spelled[key] ?? key) : key)),
    isMissing: message === "Missing key",
    expected: `${message.charAt(0).toLowerCase()}${message.slice(1)}`
  }
}
