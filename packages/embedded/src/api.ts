/// <reference path="./oidc-provider.d.ts" />
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Provider } from "oidc-provider"
import type { Claims } from "./Directory.ts"

interface Caller {
  readonly sub: string
  readonly client_id: string
  readonly scope: string
  readonly token: "opaque" | "jwt"
}

/**
 * An API that takes the provider's tokens: `GET /api/me` says who is calling.
 *
 * A person's token is opaque, so the provider's live state decides and a revoked token is refused at once. A machine's
 * token is a JWT for this API's audience, checked by signature as a resource server would (RFC 9068): it cannot be
 * revoked and is good until it expires.
 */
export const make = (options: {
  readonly provider: Provider
  readonly issuer: string
  readonly audience: string
  readonly jwks: JSONWebKeySet
  readonly accounts: Readonly<Record<string, Claims>>
}) => {
  const keys = createLocalJWKSet(options.jwks)

  const fromJwt = (token: string): Promise<Caller | undefined> =>
    jwtVerify<{ client_id: string; scope?: string }>(token, keys, {
      issuer: options.issuer,
      audience: options.audience,
      typ: "at+jwt"
    }).then(
      ({ payload }) => ({
        sub: payload.sub ?? payload.client_id,
        client_id: payload.client_id,
        scope: payload.scope ?? "",
        token: "jwt"
      }),
      () => undefined
    )

  const fromState = async (token: string): Promise<Caller | undefined> => {
    const found =
      (await options.provider.AccessToken.find(token)) ?? (await options.provider.ClientCredentials.find(token))
    if (found === undefined || !found.isValid) return undefined
    // revoking a refresh token takes the whole grant away, and with it what was derived from it
    if (found.grantId !== undefined && (await options.provider.Grant.find(found.grantId)) === undefined)
      return undefined
    return {
      sub: found.accountId ?? found.clientId,
      client_id: found.clientId,
      scope: found.scope ?? "",
      token: "opaque"
    }
  }

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const say = (status: number, body: object, headers: Record<string, string> = {}) => {
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...headers })
      response.end(JSON.stringify(body))
    }
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1]
    // RFC 6750, 3.1: a request without a token is told no error code, only how to authenticate
    if (token === undefined) return say(401, { error: "unauthorized" }, { "www-authenticate": 'Bearer realm="api"' })

    const caller = token.split(".").length === 3 ? await fromJwt(token) : await fromState(token)
    if (caller === undefined) {
      return say(
        401,
        { error: "invalid_token" },
        {
          "www-authenticate":
            'Bearer realm="api", error="invalid_token", error_description="the token is unknown, expired or revoked"'
        }
      )
    }
    const name = options.accounts[caller.sub]?.name
    return say(200, { ...caller, ...(name === undefined ? {} : { name }) })
  }

  return (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch(() => response.destroy())
  }
}
