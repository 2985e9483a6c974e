import { grant } from "../protocol/TokenEndpoint.ts"
import { type FlowOptions, partsOf, shapeOf, type UnattendedFlow } from "./Flow.ts"

/**
 * A machine signs in with its own credentials (RFC 6749 section 4.4). Nobody is asked, so a token source runs it again
 * by itself whenever its token is due.
 */
export const make = (options: FlowOptions): UnattendedFlow => {
  const { client, key } = partsOf("client", options)
  const form = { ...shapeOf(key), grant_type: "client_credentials" }
  return {
    attended: false,
    key,
    client,
    obtain: (client) => grant(client, form, { scopes: key.scopes, repeat: "idempotent" })
  }
}
