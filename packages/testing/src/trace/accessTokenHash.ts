import * as Base64Url from "effect/encoding/Base64Url"

/** The left half of an access token's hash, as an ID token's `at_hash` has it (OpenID Connect Core section 3.1.3.6). */
export const accessTokenHash = async (accessToken: string, hash: string): Promise<string> => {
  const bytes = new Uint8Array(await crypto.subtle.digest(hash, new TextEncoder().encode(accessToken)))
  return Base64Url.encode(bytes.subarray(0, bytes.length / 2))
}
