/**
 * The clients every embedded provider knows.
 *
 * The secret of `billing` holds what must be form-encoded before HTTP Basic (RFC 6749, 2.3.1): a client that skips that
 * step, or encodes a space differently than the server decodes it, is refused. It stays within printable ASCII because
 * a secret is made of VSCHAR (RFC 6749, A.2) and the provider refuses to start with any other.
 */
export const clients = {
  cli: { id: "keyfob-cli" },
  billing: { id: "billing", secret: 's3cret:+/= %&~"\\' },
  billingPost: { id: "billing-post", secret: "post s3cret&+%=/" }
} as const

export interface Claims {
  readonly name?: string
  readonly preferred_username?: string
  readonly email?: string
  readonly email_verified?: boolean
}

/** Who can sign in; there are no passwords. */
export const accounts: Readonly<Record<string, Claims>> = {
  alice: { name: "Alice Example", preferred_username: "alice", email: "alice@example.com", email_verified: true },
  bob: { name: "Bob Example", preferred_username: "bob", email: "bob@example.com", email_verified: false }
}
