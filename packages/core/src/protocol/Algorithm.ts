/** The signature algorithms that are accepted where none are named: all asymmetric (RFC 7518 section 3.1, RFC 8037, RFC 9864). */
export const asymmetric = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519"
] as const
export type Algorithm = (typeof asymmetric)[number]
