import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { grant } from "../protocol/TokenEndpoint.ts"
import {
  type FlowOptions,
  grantTypes,
  partsOf,
  shapeOf,
  type SomebodysToken,
  tokenFrom,
  type UnattendedFlow
} from "./Flow.ts"

export interface JwtBearerOptions extends FlowOptions {
  /** A JWT that somebody the provider trusts has issued (RFC 7523 section 3). Run for each request: it may have rotated. */
  readonly assertion: SomebodysToken
}

/**
 * A machine signs in on the word of somebody else (RFC 7523 section 2.1), as whom their JWT names: a workload with what its
 * platform gives it, say. Nobody is asked, so a token source runs it again by itself. Whose word it is shows in no
 * setting: flows with the assertions of two need two `account`s.
 */
export const make = ({ assertion, ...options }: JwtBearerOptions): UnattendedFlow => {
  const { client, key } = partsOf("client", options, { grant_type: grantTypes.jwtBearer })
  return {
    attended: false,
    key,
    client,
    obtain: Effect.fnUntraced(function* (client) {
      const form = {
        ...shapeOf(key),
        grant_type: grantTypes.jwtBearer,
        assertion: Redacted.value(yield* tokenFrom(assertion, client)),
        client_id: client.clientId
      }
      // An assertion may be good for one use (RFC 7523 section 3, jti).
      return yield* grant(client, form, { scopes: key.scopes, repeat: "spending" })
    })
  }
}
