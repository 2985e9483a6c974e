import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Base64Url from "effect/encoding/Base64Url"
import { mayUse } from "./ClientAuthentication.ts"
import { sign } from "./Keys.ts"
import { json, type Response } from "./Http.ts"
import { altered } from "./Lie.ts"
import type { ClientMetadata, SigningAlgorithm } from "./Settings.ts"
import type { AccessToken, Asked, Confirmation, Family, RefreshToken } from "./State.ts"
import { draw, locate, type Turn } from "./Turn.ts"

/** What a token endpoint answer is made of. */
export interface Issuing {
  readonly client: ClientMetadata
  /** The person, or the client itself. */
  readonly subject: string
  readonly scopes: ReadonlyArray<string>
  readonly audience?: string | undefined
  readonly cnf?: Confirmation | undefined
  readonly actor?: string | undefined
  /** Default: as the settings say. */
  readonly format?: "jwt" | undefined
  /** The sign-in the tokens belong to; none where no person signed in. */
  readonly family?: Pick<Family, "id" | "signedInAt" | "asked"> | undefined
  readonly nonce?: string | undefined
  /** Members the grant adds. */
  readonly extra?: Readonly<Record<string, string>>
}

/** Starts a family: a person has signed in at a client. */
export const signIn = (
  turn: Turn,
  client: string,
  person: string,
  scopes: ReadonlyArray<string>,
  { acr, maxAge }: Asked = {}
): Family => {
  const asked = { ...(maxAge === undefined ? {} : { maxAge }), ...(acr === undefined ? {} : { acr }) }
  const family = { id: draw(turn, 12), nth: next(turn), clientId: client, person, scopes, signedInAt: turn.now, asked }
  turn.state = { ...turn.state, families: HashMap.set(turn.state.families, family.id, family) }
  return family
}

const next = (turn: Turn) => {
  const issued = turn.state.issued + 1
  turn.state = { ...turn.state, issued }
  return issued
}

/** The tokens of a sign-in: access token, ID token for `openid`, refresh token for who may have one. */
export const issueAll = Effect.fnUntraced(function* (turn: Turn, issuing: Issuing) {
  const { client, scopes } = issuing
  const wants = turn.state.settings.refreshTokens === "always" || scopes.includes("offline_access")
  const refreshToken = wants && mayUse(client, "refresh_token") ? newRefreshToken(turn, issuing) : undefined
  return yield* answer(turn, issuing, refreshToken)
})

/** A token endpoint answer (RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3). */
export const answer = Effect.fnUntraced(function* (
  turn: Turn,
  issuing: Issuing,
  refreshToken?: string
): Effect.fn.Return<Response> {
  const { cnf, extra, family, scopes } = issuing
  const accessToken = yield* newAccessToken(turn, issuing)
  const idToken =
    family !== undefined && scopes.includes("openid") ? yield* newIdToken(turn, issuing, accessToken) : undefined
  return json({
    access_token: accessToken,
    expires_in: turn.state.settings.accessTokenLifetime / 1000,
    ...(idToken === undefined ? {} : { id_token: idToken }),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
    token_type: cnf?.jkt === undefined ? "Bearer" : "DPoP",
    ...extra
  })
})

const newAccessToken = Effect.fnUntraced(function* (turn: Turn, issuing: Issuing): Effect.fn.Return<string> {
  const { actor, audience, client, cnf, family, scopes, subject } = issuing
  const { accessTokenClaims, accessTokenLifetime, accessTokens, issuer } = turn.state.settings
  const token: AccessToken = {
    nth: next(turn),
    clientId: client.client_id,
    subject,
    scopes,
    issuedAt: turn.now,
    expiresAt: turn.now + accessTokenLifetime,
    ...(family === undefined ? {} : { family: family.id }),
    ...(audience === undefined ? {} : { audience }),
    ...(cnf === undefined ? {} : { cnf }),
    ...(actor === undefined ? {} : { actor })
  }
  const id = draw(turn)
  const value =
    (issuing.format ?? accessTokens) === "opaque"
      ? id
      : yield* sign(
          turn,
          {
            ...(Object.hasOwn(accessTokenClaims, subject) ? accessTokenClaims[subject] : {}),
            iss: issuer,
            sub: subject,
            aud: audience ?? locate(turn, "/api"),
            client_id: client.client_id,
            jti: id,
            iat: seconds(turn.now),
            exp: seconds(token.expiresAt),
            ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
            ...(cnf === undefined ? {} : { cnf }),
            ...(actor === undefined ? {} : { act: { sub: actor } })
          },
          { type: "at+jwt" }
        )
  turn.state = { ...turn.state, accessTokens: HashMap.set(turn.state.accessTokens, value, token) }
  return value
})

/** When a refresh token ends that is used now: it lives as long as it is used, and never longer than the sign-in. */
export const refreshTokenEnd = (turn: Turn, { signedInAt }: Pick<Family, "signedInAt">): number => {
  const { refreshTokenIdle, refreshTokenLifetime } = turn.state.settings
  return Math.min(turn.now + refreshTokenIdle, signedInAt + refreshTokenLifetime)
}

/** A refresh token for a family. */
export const newRefreshToken = (turn: Turn, issuing: Issuing, nonce = issuing.nonce): string => {
  const { audience, client, cnf, family, scopes } = issuing
  if (family === undefined) throw new Error("a refresh token belongs to a sign-in")
  const token: RefreshToken = {
    nth: next(turn),
    clientId: client.client_id,
    family: family.id,
    scopes,
    issuedAt: turn.now,
    expiresAt: refreshTokenEnd(turn, family),
    ...(audience === undefined ? {} : { audience }),
    ...(nonce === undefined ? {} : { nonce }),
    // A confidential client's is bound to the client, not to a key or certificate (RFC 9449 section 5, RFC 8705 section 7.1).
    ...(cnf === undefined || client.token_endpoint_auth_method !== "none" ? {} : { cnf })
  }
  const value = draw(turn)
  turn.state = { ...turn.state, refreshTokens: HashMap.set(turn.state.refreshTokens, value, token) }
  return value
}

/** OpenID Connect Core sections 2 and 3.1.3.6. Who the person is beyond `sub` is for userinfo to tell (section 5.4). */
const newIdToken = Effect.fnUntraced(function* (
  turn: Turn,
  issuing: Issuing,
  accessToken: string
): Effect.fn.Return<string> {
  const { family } = issuing
  const { accessTokenLifetime, algorithms, issuer } = turn.state.settings
  const algorithm = issuing.client.id_token_signed_response_alg ?? algorithms[0]
  const claims: Readonly<Record<string, unknown>> = {
    sub: issuing.subject,
    at_hash: yield* halfHash(accessToken, algorithm),
    aud: issuing.client.client_id,
    exp: seconds(turn.now + accessTokenLifetime),
    iat: seconds(turn.now),
    iss: issuer,
    ...(issuing.nonce === undefined ? {} : { nonce: issuing.nonce }),
    ...(family?.asked.maxAge === undefined ? {} : { auth_time: seconds(family.signedInAt) }),
    ...(family?.asked.acr === undefined ? {} : { acr: family.asked.acr })
  }
  const { lie } = turn.request
  const value = yield* sign(turn, altered(claims, lie?.idToken?.claims), { algorithm, lie: lie?.idToken })
  if (family !== undefined) {
    const told = { family: family.id, expiresAt: turn.now + accessTokenLifetime }
    turn.state = { ...turn.state, idTokens: HashMap.set(turn.state.idTokens, value, told) }
  }
  return value
})

/** The left half of the access token's hash; Ed25519 hashes with SHA-512. */
const halfHash = (text: string, algorithm: SigningAlgorithm) =>
  Effect.promise(async () => {
    const name = algorithm === "EdDSA" ? "SHA-512" : `SHA-${algorithm.slice(2)}`
    const hash = new Uint8Array(await crypto.subtle.digest(name, new TextEncoder().encode(text)))
    return Base64Url.encode(hash.subarray(0, hash.length / 2))
  })

export const seconds = (millis: number) => Math.floor(millis / 1000)
