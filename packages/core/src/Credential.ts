import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AccessToken, Secret } from "./Token.ts"

const Strings = Schema.Array(Schema.String).pipe(Schema.withConstructorDefault(Effect.succeed([])))

/**
 * Everything that shapes a token, and so decides whether two callers may share it. `account` is the caller's own name
 * for whose credential it is (the command uses `context/provider`): equal settings under two names never share.
 */
export class CredentialKey extends Schema.Class<CredentialKey>("keyfob/CredentialKey")({
  issuer: Schema.String,
  clientId: Schema.String,
  account: Schema.String,
  /** Whom the token stands for: a person who signed in, or the client itself. */
  subject: Schema.Literals(["user", "client"]),
  scopes: Strings,
  audience: Schema.optionalKey(Schema.String),
  resource: Strings,
  params: Schema.Record(Schema.String, Schema.String).pipe(Schema.withConstructorDefault(Effect.succeed({}))),
  /** For a note of the library's own that is kept in the form of a credential (`StoreNote`). Stores need not know of it. */
  use: Schema.optionalKey(Schema.Literals(["logins", "token_requests"])),
  /** Where the ID token goes on requests. */
  bearer: Schema.optionalKey(Schema.Literal("id_token")),
  /** Whether its tokens are bound to a key of the client's (RFC 9449). */
  dpop: Schema.optionalKey(Schema.Boolean),
  /** Whether its tokens have to be bound to the client's certificate (RFC 8705). */
  certificateBoundAccessTokens: Schema.optionalKey(Schema.Boolean),
  /** The exchanges that lead here from the key's own credential, names and targets: `["discovery"]`, `["discovery", "domain", "d1"]`. */
  links: Schema.optionalKey(Schema.Array(Schema.String))
}) {
  /** The key as one string: equal for equal keys, whatever the order of scopes, resources and parameters. */
  get canonical(): string {
    return this.canonicalWith(this.links)
  }

  /** Whether exchanges lead here from what the other key has. */
  isBelow(other: CredentialKey): boolean {
    const { links = [] } = this
    const { links: above = [] } = other
    return (
      links.length > above.length &&
      above.every((name, depth) => name === links[depth]) &&
      this.canonicalWith(other.links) === other.canonical
    )
  }

  private canonicalWith(links: CredentialKey["links"]) {
    return JSON.stringify([
      this.issuer,
      this.clientId,
      this.account,
      this.subject,
      [...new Set(this.scopes)].sort(),
      this.audience ?? null,
      [...new Set(this.resource)].sort(),
      Object.entries(this.params).sort(([a], [b]) => (a < b ? -1 : 1)),
      ...(this.use === undefined ? [] : [this.use]),
      ...(this.bearer === undefined ? [] : [this.bearer]),
      ...(this.dpop === true ? ["dpop"] : []),
      ...(this.certificateBoundAccessTokens === true ? ["certificate"] : []),
      ...(links === undefined ? [] : [{ links }])
    ])
  }
}

/** Who the provider says signed in, from the verified ID token (OpenID Connect Core section 5.1). */
export class Account extends Schema.Class<Account>("keyfob/Account")({
  sub: Schema.String,
  name: Schema.optionalKey(Schema.String),
  email: Schema.optionalKey(Schema.String)
}) {}

/** What is kept between two uses. */
export class Credential extends Schema.Class<Credential>("keyfob/Credential")({
  key: CredentialKey,
  /** Grows by one with each exchange; a writer that is behind must not write. */
  generation: Schema.Int,
  token: AccessToken,
  /** When the request that brought the token was sent. Lifetimes are counted from there. */
  issuedAt: Schema.DateTimeUtc,
  /** When the provider wants the token renewed, where it says so (`refresh_in`). */
  refreshAt: Schema.optionalKey(Schema.DateTimeUtc),
  refreshToken: Schema.optionalKey(Secret),
  /** When the refresh token ends unless it is used before, where the provider says so. */
  refreshExpiresAt: Schema.optionalKey(Schema.DateTimeUtc),
  /** When that end was first told, if a renewal since has not moved it: then it is absolute, and only a login helps. */
  refreshExpiryFixedSince: Schema.optionalKey(Schema.DateTimeUtc),
  idToken: Schema.optionalKey(Secret),
  account: Schema.optionalKey(Account),
  /** When the person signed in: renewals do not change it. */
  signedInAt: Schema.optionalKey(Schema.DateTimeUtc),
  /** SHA-256 of the token it began with, base64url, where settings brought one: renewals do not change it either. */
  begunWith: Schema.optionalKey(Schema.String),
  /** How long before its end the token is renewed at the latest, where settings say so: those of whoever reads it. */
  margin: Schema.optionalKey(Schema.Duration),
  /** The mark of law 1: the generation whose refresh token is being spent. One that is found under a lease is of an exchange that did not finish. */
  spending: Schema.optionalKey(Schema.Int),
  /** The provider ended the session: only a login helps. */
  refused: Schema.optionalKey(Schema.Boolean)
}) {}
