import * as Effect from "effect/Effect"
import { authenticate, mayUse } from "./ClientAuthentication.ts"
import * as Device from "./Device.ts"
import { authorizationCode } from "./grant/AuthorizationCode.ts"
import { clientCredentials } from "./grant/ClientCredentials.ts"
import { deviceCode } from "./grant/DeviceCode.ts"
import * as JwtBearer from "./grant/JwtBearer.ts"
import { refreshToken } from "./grant/RefreshToken.ts"
import * as TokenExchange from "./grant/TokenExchange.ts"
import type { Response } from "./Http.ts"
import { refuse, type Refusal } from "./Refusal.ts"
import type { ClientMetadata } from "./Settings.ts"
import { required, type Turn } from "./Turn.ts"

/** What the token endpoint grants for. */
export const grants: Readonly<
  Record<string, (turn: Turn, client: ClientMetadata) => Effect.Effect<Response, Refusal>>
> = {
  authorization_code: authorizationCode,
  client_credentials: clientCredentials,
  refresh_token: refreshToken,
  [Device.grantType]: deviceCode,
  [JwtBearer.grantType]: JwtBearer.jwtBearer,
  [TokenExchange.grantType]: TokenExchange.tokenExchange
}

/** The token endpoint (RFC 6749 section 3.2): who asks, whether they may, and then the grant has the word. */
export const token = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  const client = yield* authenticate(turn)
  const type = yield* required(turn, "grant_type")
  const grant = Object.hasOwn(grants, type) ? grants[type] : undefined
  if (grant === undefined) return yield* refuse("unsupported_grant_type", "unsupported grant_type requested")
  if (!mayUse(client, type)) {
    return yield* refuse("unauthorized_client", "requested grant type is not allowed for this client")
  }
  return yield* grant(turn, client)
})
