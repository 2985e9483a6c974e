import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Base64 from "effect/encoding/Base64"
import { createLocalJWKSet, decodeJwt, type JWTPayload, jwtVerify } from "jose"
import * as ClientCertificate from "./ClientCertificate.ts"
import { complaint, refuse, type Refusal } from "./Refusal.ts"
import { isReplay } from "./Replay.ts"
import type { ClientMetadata } from "./Settings.ts"
import { lookup } from "./State.ts"
import { locate, optional, type Turn } from "./Turn.ts"

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

/** What assertions may be signed with. */
export const assertionAlgorithms = {
  client_secret_jwt: ["HS256"],
  private_key_jwt: ["RS256", "PS256", "ES256", "EdDSA"]
}

/**
 * Who the client is, proven the way it is registered (RFC 6749 section 2.3, OpenID Connect Core section 9). A secret is
 * taken from the header and from the form alike, as the certified providers do.
 */
export const authenticate = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<ClientMetadata, Refusal> {
  const authorization = turn.request.headers["authorization"]
  const assertion = yield* optional(turn, "client_assertion")
  const posted = yield* optional(turn, "client_secret")
  const named = yield* optional(turn, "client_id")
  if ([authorization, assertion, posted].filter((proof) => proof !== undefined).length > 1) {
    return yield* refuse("invalid_request", "client authentication must only be provided using one mechanism")
  }
  if (assertion !== undefined) return yield* byAssertion(turn, assertion, named)
  const basic = authorization === undefined ? undefined : yield* basicOf(authorization)
  const id = basic?.id ?? named
  const secret = basic?.secret ?? posted
  if (id === undefined) return yield* refuse("invalid_request", "no client authentication mechanism provided")
  if (named !== undefined && named !== id) return yield* refuse("invalid_request", "client_id mismatch")
  const client = lookup(turn.state.clients, id)
  if (client === undefined) return yield* rejected(turn, "client not found")
  const method = methodOf(client)
  if (secret === undefined && ClientCertificate.isMethod(method)) return yield* byCertificate(turn, client)
  if (secret === undefined ? method !== "none" : method !== "client_secret_basic" && method !== "client_secret_post") {
    return yield* rejected(turn, "the registered client token_endpoint_auth_method does not match")
  }
  if (secret !== client.client_secret) {
    if (method !== "none") return yield* rejected(turn, "invalid secret provided")
  }
  return client
})

export const methodOf = (client: ClientMetadata) => client.token_endpoint_auth_method ?? "client_secret_basic"

/** Whether a client may use a grant; where nothing is registered, the code alone (RFC 7591 section 2). */
export const mayUse = (client: ClientMetadata, grant: string) =>
  (client.grant_types ?? ["authorization_code"]).includes(grant)

/** RFC 6749 section 5.2: 401, and a challenge where the client used the Authorization header. */
const rejected = (turn: Turn, description: string) =>
  refuse("invalid_client", description, {
    status: 401,
    headers:
      turn.request.headers["authorization"] === undefined
        ? {}
        : { "www-authenticate": `Basic realm="${turn.state.settings.issuer}", error="invalid_client"` }
  })

/** Id and secret are form-encoded before they are put together (RFC 6749 section 2.3.1). */
const basicOf = Effect.fnUntraced(function* (
  authorization: string
): Effect.fn.Return<{ readonly id: string; readonly secret: string }, Refusal> {
  const encoded = /^basic (\S+)$/i.exec(authorization)?.[1]
  const pair = encoded === undefined ? undefined : Result.getOrUndefined(Base64.decodeString(encoded))
  const colon = pair?.indexOf(":") ?? -1
  if (pair === undefined || colon < 0) {
    return yield* refuse("invalid_request", "invalid authorization header value format")
  }
  return yield* Effect.try({
    try: () => ({ id: formDecode(pair.slice(0, colon)), secret: formDecode(pair.slice(colon + 1)) }),
    catch: () =>
      refuse("invalid_request", "client_id and client_secret in the authorization header are not properly encoded")
  })
})

/** The certificate of the connection is one of the client's (RFC 8705 section 2). */
const byCertificate = Effect.fnUntraced(function* (
  turn: Turn,
  client: ClientMetadata
): Effect.fn.Return<ClientMetadata, Refusal> {
  const thumbprint = yield* ClientCertificate.thumbprint(turn)
  if (thumbprint === undefined) return yield* rejected(turn, "client certificate was not provided")
  const registered = yield* ClientCertificate.registered(client)
  if (!registered.includes(thumbprint)) return yield* rejected(turn, "client certificate is not the registered one")
  return client
})

const formDecode = (text: string) => decodeURIComponent(text.replaceAll("+", "%20"))

/** A JWT signed with the client's key or secret (RFC 7523 sections 2.2 and 3). */
const byAssertion = Effect.fnUntraced(function* (
  turn: Turn,
  assertion: string,
  named: string | undefined
): Effect.fn.Return<ClientMetadata, Refusal> {
  if ((yield* optional(turn, "client_assertion_type")) !== assertionType) {
    return yield* refuse("invalid_request", `client_assertion_type must have value ${assertionType}`)
  }
  const { sub } = yield* Effect.try({
    try: (): JWTPayload => decodeJwt(assertion),
    catch: () => rejected(turn, "client assertion is not a JWT")
  })
  if (named !== undefined && named !== sub) return yield* refuse("invalid_request", "client_id mismatch")
  const client = lookup(turn.state.clients, sub)
  if (client === undefined) return yield* rejected(turn, "client not found")
  const method = methodOf(client)
  if (method !== "private_key_jwt" && method !== "client_secret_jwt") {
    return yield* rejected(turn, "the registered client token_endpoint_auth_method does not match")
  }
  const claims = yield* verify(turn, client, assertion, method)
  if (isReplay(turn, `client ${client.client_id}`, claims)) {
    return yield* rejected(turn, "client assertion tokens must only be used once")
  }
  return client
})

const verify = (
  turn: Turn,
  client: ClientMetadata,
  assertion: string,
  method: "private_key_jwt" | "client_secret_jwt"
) => {
  const expected = {
    issuer: client.client_id,
    subject: client.client_id,
    audience: [turn.state.settings.issuer, locate(turn, "/token"), turn.url.origin + turn.url.pathname],
    requiredClaims: ["iss", "sub", "aud", "exp", "jti"],
    algorithms: assertionAlgorithms[method],
    currentDate: new Date(turn.now)
  }
  return Effect.tryPromise({
    try: async () => {
      const { payload } =
        method === "private_key_jwt"
          ? await jwtVerify(assertion, createLocalJWKSet(client.jwks ?? { keys: [] }), expected)
          : await jwtVerify(assertion, new TextEncoder().encode(client.client_secret), expected)
      return payload
    },
    catch: (error) => rejected(turn, complaint("client assertion does not verify", error))
  })
}
