/**
 * What truly differs between authorization servers, as data: where two want opposite things, and no answer says which.
 * All else that servers do otherwise is taken from everybody, or found out.
 */
import * as Schema from "effect/Schema"
import { asymmetric } from "./Algorithm.ts"
import type { ProviderMetadata } from "./Discovery.ts"

export const ProviderProfile = Schema.Struct({
  /**
   * How a token request is written. Whoever turns a form down as a media type (415, RFC 9110 section 15.5.16) is sent
   * JSON from then on, whatever is said here.
   */
  tokenRequest: Schema.Literals(["form", "json"]),
  /** The parameter that says which API a token is for. */
  audienceParameter: Schema.NonEmptyString,
  /** How id and secret are written in HTTP Basic: as RFC 6749 section 2.3.1 says, or as they are. */
  basicCredentials: Schema.Literals(["form_encoded", "raw"]),
  /** Whom client assertions are addressed to, where the client's authentication does not say. */
  assertionAudience: Schema.Literals(["issuer", "token_endpoint"]),
  /** Where device codes are asked for, at the issuer, should the metadata not say. */
  deviceAuthorizationPath: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^\/[^/\\\s\p{C}][^\\\s\p{C}]*$/u))),
  /** What the APIs behind it take as a bearer token. Its ID tokens are verified all the same. */
  bearer: Schema.Literals(["access_token", "id_token"]),
  /** What it signs ID tokens with, where that is known: nothing else is taken then (RFC 8725 section 3.1). Default: all asymmetric. */
  idTokenAlgorithms: Schema.optionalKey(Schema.Array(Schema.Literals(asymmetric)))
})
export type ProviderProfile = typeof ProviderProfile.Type

/** By the RFCs. */
export const generic: ProviderProfile = {
  tokenRequest: "form",
  audienceParameter: "audience",
  basicCredentials: "form_encoded",
  assertionAudience: "issuer",
  bearer: "access_token"
}

/** Auth0: its device endpoint is older than the metadata's word for it, which tenants' own domains may not have. */
export const auth0: ProviderProfile = { ...generic, deviceAuthorizationPath: "/oauth/device/code" }

/** By the names that configurations have for them. */
export const profiles = { generic, auth0 } as const

/** The profile of a provider that is known by its address. */
export const of = (issuer: string): ProviderProfile =>
  URL.parse(issuer)?.hostname.endsWith(".auth0.com") === true ? auth0 : generic

/** The metadata, and what the profile knows besides. */
export const completed = (profile: ProviderProfile, metadata: ProviderMetadata): ProviderMetadata => {
  const { deviceAuthorizationPath: path } = profile
  if (path === undefined || metadata.device_authorization_endpoint !== undefined) return metadata
  // Set, not resolved: of whatever stands there, nothing can become another host.
  const url = new URL(metadata.issuer)
  url.pathname = path
  return { ...metadata, device_authorization_endpoint: url.href }
}

type Parameters = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** A request's parameters in the provider's own words. */
export const worded = (
  { audienceParameter: name }: ProviderProfile,
  { audience, ...others }: Parameters
): Parameters => {
  if (audience === undefined) return others
  const beside = others[name] ?? []
  return { ...others, [name]: beside.length === 0 ? audience : [audience, beside].flat() }
}

/** The APIs that a token request names (RFC 8707 section 2.2), the audience among them where that is the word for it. */
export const resourcesOf = (
  profile: ProviderProfile,
  { audience, resource }: { readonly audience?: string; readonly resource: ReadonlyArray<string> }
): ReadonlyArray<string> => [worded(profile, { audience, resource })["resource"] ?? []].flat()
