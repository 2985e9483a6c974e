/** The settings of a provider of type `oauth`, and what they say before anything is asked of it. */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { type FlowOptions, grantTypes, partsOf } from "../flow/Flow.ts"
import { ProviderProfile, profiles } from "../protocol/ProviderProfile.ts"
import type { Definition, Identity } from "./ProviderType.ts"

const Names = Schema.Array(Schema.NonEmptyString)
const Strings = Schema.Record(Schema.String, Schema.String)
const Hidden = Schema.RedactedFromValue(Schema.NonEmptyString)

/** What `client_auth` may be. */
export const clientAuths = [
  "none",
  "client_secret_basic",
  "client_secret_post",
  "client_secret_jwt",
  "private_key_jwt",
  "tls_client_auth",
  "self_signed_tls_client_auth"
] as const

/** What `bearer` may be. */
export const bearers = ProviderProfile.fields.bearer.literals

/** What `flow` may be. */
export const flows = ["auto", "browser", "device", "client_credentials", "jwt_bearer"] as const

export const fields = {
  issuer: Schema.NonEmptyString,
  clientId: Schema.NonEmptyString,
  clientAuth: Schema.optionalKey(Schema.Literals(clientAuths)),
  clientSecret: Schema.optionalKey(Hidden),
  /** PEM or JWK. */
  privateKey: Schema.optionalKey(Hidden),
  scopes: Schema.optionalKey(Names),
  audience: Schema.optionalKey(Schema.NonEmptyString),
  resource: Schema.optionalKey(Names),
  /** The file with the assertion of the `jwt_bearer` flow, where the host has files. Read for each request. */
  assertionFile: Schema.optionalKey(Schema.NonEmptyString),
  flow: Schema.optionalKey(Schema.Literals(flows)),
  /** Which of its tokens goes on requests. Default: the access token. */
  bearer: Schema.optionalKey(Schema.Literals(bearers)),
  /** Whether tokens are bound to a key (RFC 9449). */
  dpop: Schema.optionalKey(Schema.Boolean),
  /** Whether tokens have to be bound to the client's certificate (RFC 8705). */
  certificateBoundAccessTokens: Schema.optionalKey(Schema.Boolean),
  /** 0 is any free port. */
  redirectPort: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))),
  /** How many token requests the provider grants the client: `{ limit = 1000, per = "30d" }`. */
  tokenBudget: Schema.optionalKey(
    Schema.Struct({
      limit: Schema.Int.check(Schema.isGreaterThan(0)),
      per: Schema.String.check(Schema.isPattern(/^[1-9]\d{0,8}[smhd]$/, { expected: "a duration like 24h or 30d" }))
    })
  ),
  /** What the provider does otherwise than others; default: by the issuer's address. */
  profile: Schema.optionalKey(Schema.Literals(["generic", "auth0"])),
  /** Extra request parameters. */
  params: Schema.optionalKey(Strings),
  /** Endpoints by their name in the metadata (RFC 8414), for a server without a discovery document. */
  endpoints: Schema.optionalKey(Strings)
}

/** How a table spells them. */
export const keys = {
  clientId: "client_id",
  clientAuth: "client_auth",
  clientSecret: "client_secret",
  privateKey: "private_key",
  assertionFile: "assertion_file",
  certificateBoundAccessTokens: "certificate_bound_access_tokens",
  redirectPort: "redirect_port",
  tokenBudget: "token_budget"
} as const

/** The settings by which access tokens are bound. */
const bindings = ["dpop", "certificateBoundAccessTokens"] as const

/** Whether there will be an ID token (OpenID Connect Core section 3.1.2.1), and no wish that it be bound: access tokens alone are. */
export const idTokens = Schema.makeFilter(
  ({ bearer, scopes = [], ...settings }: Pick<Settings, "bearer" | "scopes" | (typeof bindings)[number]>) => {
    if (bearer !== "id_token") return undefined
    if (!scopes.includes("openid"))
      return { path: ["scopes"], issue: "expected openid in it, where bearer is id_token" }
    const binding = bindings.find((one) => settings[one] === true)
    return binding && { path: [binding], issue: "expected false, where bearer is id_token" }
  }
)

export const Settings = Schema.Struct(fields).pipe(Schema.encodeKeys(keys)).check(idTokens)
export type Settings = Schema.Struct.Type<typeof fields>

/** What a flow is made from, without the client's authentication. */
export const flowOptions = (settings: Settings, account: string): FlowOptions => {
  const { bearer, profile } = settings
  return {
    ...Struct.pick(settings, ["issuer", "clientId", "endpoints", "scopes", "audience", "resource", "params"]),
    ...Struct.pick(settings, ["dpop", "certificateBoundAccessTokens"]),
    account,
    profile: { ...(profile && profiles[profile]), ...(bearer && { bearer }) }
  }
}

/** Whether its flow needs nobody. */
const isMachine = ({ flow }: Settings) => flow === "client_credentials" || flow === "jwt_bearer"

const callsForSecret = ({ clientAuth, flow }: Settings) =>
  clientAuth !== "none" && (flow === "client_credentials" || clientAuth?.startsWith("client_secret_") === true)

/** What its credential is kept under. Its flow says the same: here without loading the code of flows. */
const keyOf = ({ flow }: Settings, options: FlowOptions) => {
  if (flow === "jwt_bearer") return partsOf("client", options, { grant_type: grantTypes.jwtBearer }).key
  return partsOf(flow === "client_credentials" ? "client" : "user", options).key
}

export const identify = (settings: Settings, account: string): Identity => ({
  key: keyOf(settings, flowOptions(settings, account)),
  attended: !isMachine(settings),
  needs: callsForSecret(settings)
    ? ["client_secret"]
    : settings.clientAuth === "private_key_jwt"
      ? ["private_key"]
      : [],
  redirectPort: settings.redirectPort ?? 0,
  budget: budgetOf(settings),
  extra: { issuer: settings.issuer, client_id: settings.clientId }
})

const budgetOf = ({ flow, tokenBudget }: Settings) =>
  flow !== "client_credentials" || tokenBudget === undefined
    ? undefined
    : { limit: tokenBudget.limit, per: durationOf(tokenBudget.per) }

const seconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }
const durationOf = (text: string) => Duration.seconds(Number(text.slice(0, -1)) * (seconds[text.slice(-1)] ?? 1))

export const definition: Definition<Settings> = {
  name: "oauth",
  description: "An OAuth 2 / OpenID Connect provider",
  settings: Settings,
  identify
}
