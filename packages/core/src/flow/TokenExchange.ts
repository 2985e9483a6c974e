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

/** What kind of token it is (RFC 8693 section 3): one of the RFC's, or another's URI. */
export type TokenType = "access_token" | "refresh_token" | "id_token" | "saml1" | "saml2" | "jwt" | (string & {})

/** A token to be exchanged. */
export interface Exchanged {
  /** Run for each exchange: `Effect.map(source.token, ({ value }) => value)` is always a valid one. */
  readonly token: SomebodysToken
  /** Default: `access_token`. */
  readonly type?: TokenType
}

export interface TokenExchangeOptions extends FlowOptions {
  /** On whose behalf the new token is. */
  readonly subject: Exchanged
  /** Who acts on their behalf, if it is not the client alone (RFC 8693 section 1.1). */
  readonly actor?: Exchanged
  /** The kind of token that is wanted; an answer with another is refused. Default: an access token. */
  readonly requestedTokenType?: TokenType
}

/**
 * One token for another (RFC 8693): narrower, for another API, or on somebody's behalf. Nobody is asked, so a token source
 * runs it again by itself. Whose the tokens are shows in no setting: exchanges for two people need two `account`s.
 *
 * What comes of `requestedTokenType` may be no access token: its type is `N_A` then, and it goes on no request.
 */
export const make = ({ actor, requestedTokenType, subject, ...options }: TokenExchangeOptions): UnattendedFlow => {
  const types = {
    grant_type: grantTypes.tokenExchange,
    subject_token_type: uriOf(subject.type),
    ...(actor === undefined ? {} : { actor_token_type: uriOf(actor.type) }),
    ...(requestedTokenType === undefined ? {} : { requested_token_type: uriOf(requestedTokenType) })
  }
  // What was issued is called `access_token`, of whatever kind it is (section 2.2.1).
  const profile = { ...options.profile, bearer: "access_token" } as const
  const { client, key } = partsOf("client", { ...options, profile }, types)
  return {
    attended: false,
    key,
    client,
    obtain: Effect.fnUntraced(function* (client) {
      const form = {
        ...shapeOf(key),
        ...types,
        subject_token: Redacted.value(yield* tokenFrom(subject.token, client)),
        actor_token: actor && Redacted.value(yield* tokenFrom(actor.token, client)),
        client_id: client.clientId
      }
      const issues = uriOf(requestedTokenType)
      return yield* grant(client, form, { scopes: key.scopes, repeat: "idempotent", issues })
    })
  }
}

const uriOf = (type: TokenType = "access_token") =>
  type.includes(":") ? type : `urn:ietf:params:oauth:token-type:${type}`
