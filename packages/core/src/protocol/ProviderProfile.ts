import * as Schema from "effect/Schema"

/** What truly differs between providers and cannot be found out: data, and never an `if` in a flow. */
export const ProviderProfile = Schema.Struct({
  /** How a token request's parameters are written. RFC 6749 appendix B asks for a form; some servers take JSON. */
  tokenRequest: Schema.Literals(["form", "json"]),
  /** Which token goes on requests to APIs: at some providers the ID token, though it is addressed to the client. */
  bearer: Schema.Literals(["access_token", "id_token"])
})
export type ProviderProfile = typeof ProviderProfile.Type

/** As the RFCs have it. */
export const generic = ProviderProfile.make({ tokenRequest: "form", bearer: "access_token" })
