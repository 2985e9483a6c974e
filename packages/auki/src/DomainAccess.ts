import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type AccessToken, isSecure, plainUrl } from "keyfob"

const Nullable = Schema.NullOr(Schema.String)

/** The server that keeps a domain's data. */
export const DomainServer = Schema.Struct({
  id: Schema.String,
  organization_id: Nullable,
  name: Schema.String,
  url: Schema.String,
  version: Schema.String,
  status: Schema.String,
  mode: Schema.String,
  variants: Schema.Array(Schema.String),
  ip: Schema.String,
  latitude: Schema.Finite,
  longitude: Schema.Finite,
  cloud_region: Schema.String
})

/** A domain and who serves it, as the discovery service tells. */
const facts = {
  id: Schema.NonEmptyString,
  name: Schema.String,
  organization_id: Nullable,
  domain_server_id: Schema.String,
  /** In milliseconds since 1970. The token's own end counts where it is earlier. */
  expires_at: Schema.Int,
  owner_wallet_address: Schema.String,
  domain_server: DomainServer
}

/** The answer that grants access. */
export const DomainAccess = Schema.Struct({ ...facts, access_token: Schema.String })

const Facts = Schema.Struct(facts)
type Facts = typeof Facts.Type
const decode = Schema.decodeUnknownOption(Facts)

/** Access to a domain: its token, and where to use it. */
export interface Domain extends Facts {
  readonly token: AccessToken
}

/** Whether a domain's data may be sent there with its token: https, or http on this machine; one host to everybody who reads it. */
export const isServer = (text: string): boolean => {
  const url = plainUrl(text)
  return url !== null && isSecure(url)
}

/** What a domain's token says of its domain. */
export const domainOf = (token: AccessToken): Option.Option<Domain> =>
  Option.filter(decode(token.details), (facts) => isServer(facts.domain_server.url)).pipe(
    Option.map((facts) => ({ ...facts, token }))
  )
