import { grant } from "../protocol/TokenEndpoint.ts"
import { type FlowOptions, partsOf, shapeOf, type TokenBudget, type UnattendedFlow } from "./Flow.ts"

export interface ClientCredentialsOptions extends FlowOptions {
  /**
   * How many token requests the provider grants this client, for example `{ limit: 1000, per: "30 days" }`. They are
   * counted in the store, over all its processes; from four fifths on each is logged with a warning. It stops nobody.
   */
  readonly budget?: TokenBudget | undefined
}

/**
 * A machine signs in with its own credentials (RFC 6749 section 4.4). Nobody is asked, so a token source runs it again
 * by itself whenever its token is due.
 */
export const make = ({ budget, ...options }: ClientCredentialsOptions): UnattendedFlow => {
  const { client, key } = partsOf("client", options)
  const form = { ...shapeOf(key), grant_type: "client_credentials" }
  return {
    attended: false,
    key,
    client,
    ...(budget === undefined ? {} : { budget }),
    obtain: (client) => grant(client, form, { scopes: key.scopes, repeat: "idempotent" })
  }
}
