import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { JWK } from "jose"
import * as Chance from "./Chance.ts"
import type { Lie } from "./Lie.ts"
import type { Script } from "./Person.ts"
import type { Claims, ClientMetadata, Settings, SigningAlgorithm } from "./Settings.ts"

/** A signing key, from the day it was made. */
export interface SigningKey {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  readonly public: JWK
  readonly private: JWK
  /** Signs nothing any more; published until then. */
  readonly goneAt?: number
}

/** One sign-in and all that came of it: ends as a whole (RFC 9700 section 4.14.2). */
export interface Family {
  readonly id: string
  /** Its place among everything that was issued. */
  readonly nth: number
  readonly clientId: string
  readonly person: string
  readonly scopes: ReadonlyArray<string>
  readonly signedInAt: number
  /** What was asked of the sign-in, and its ID tokens tell. */
  readonly asked: Asked
  readonly ended?: { readonly at: number; readonly because: FamilyEnd }
}

export type FamilyEnd = "reuse" | "revoked" | "signed out" | "code reuse"

/** What a token is bound to, as RFC 7800 writes it: who uses it proves to have that as well. */
export interface Confirmation {
  /** Thumbprint of a key (RFC 9449 section 6). */
  readonly jkt?: string
  /** Thumbprint of a client certificate (RFC 8705 section 3.1). */
  readonly "x5t#S256"?: string
}

export interface AccessToken {
  readonly nth: number
  readonly clientId: string
  /** The person, or whom else it is about: the client itself, or whom a trusted issuer named. */
  readonly subject: string
  /** Absent where no person signed in. */
  readonly family?: string
  readonly scopes: ReadonlyArray<string>
  readonly audience?: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly cnf?: Confirmation
  /** Who acts for the subject (RFC 8693 section 4.1). */
  readonly actor?: string
  readonly revoked?: boolean
}

export interface RefreshToken {
  readonly nth: number
  readonly clientId: string
  readonly family: string
  readonly scopes: ReadonlyArray<string>
  readonly audience?: string
  readonly nonce?: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly spentAt?: number
  readonly cnf?: Confirmation
}

export interface DeviceGrant {
  readonly clientId: string
  readonly userCode: string
  readonly scopes: ReadonlyArray<string>
  readonly audience?: string
  readonly askedAt: number
  readonly expiresAt: number
  /** Milliseconds; grows with each `slow_down`. */
  readonly interval: number
  readonly polledAt?: number
  /** Times the client was told to wait. */
  readonly pending: number
  /** What a person typed at the device page; without it, the standing script decides. */
  readonly decided?: Script
  /** The family that came of it: it is good once. */
  readonly usedFor?: string
}

/** How the answer travels (OAuth 2.0 Multiple Response Types section 2.1, Form Post Response Mode). Default: `query`. */
export type ResponseMode = "query" | "fragment" | "form_post"

export interface Asked {
  /** Seconds. Whoever asks for it is told when the person signed in (OpenID Connect Core section 3.1.2.1). */
  readonly maxAge?: number
  /** How the person signs in: in the way that is preferred of those asked for (`acr_values`). */
  readonly acr?: string
}

/** An authorization request that was accepted (RFC 6749 section 4.1.1, RFC 7636). */
export interface AuthorizationRequest extends Asked {
  readonly clientId: string
  readonly redirectUri: string
  readonly scopes: ReadonlyArray<string>
  readonly audience?: string
  readonly state?: string
  readonly responseMode?: ResponseMode
  readonly nonce?: string
  readonly codeChallenge?: string
  /** RFC 9449 section 10. */
  readonly dpopJkt?: string
  /** Nobody may be shown anything (`prompt=none`). */
  readonly silent?: boolean
  readonly askedAt: number
}

export interface AuthorizationCode extends AuthorizationRequest {
  readonly person: string
  readonly family: string
  readonly expiresAt: number
  readonly used?: boolean
}

/** A person's visit to the sign-in page. */
export interface Interaction extends AuthorizationRequest {
  /** What its answer shall say wrongly. */
  readonly lie?: NonNullable<Lie["callback"]>
  readonly wrongPasswords: number
}

/** Everything a provider is, at one instant. */
export interface State {
  readonly settings: Settings
  readonly chance: Chance.Chance
  /** Newest first among those of one algorithm. */
  readonly keys: ReadonlyArray<SigningKey>
  /** When the keys will be rotated next, earliest first; by the `Clock`, whatever the provider takes for now. */
  readonly rotations: ReadonlyArray<number>
  readonly script: Script
  readonly clients: HashMap.HashMap<string, ClientMetadata>
  /** How many sign-ins and tokens there were: an instant may see several, and a clock that is set has no order. */
  readonly issued: number
  readonly families: HashMap.HashMap<string, Family>
  readonly accessTokens: HashMap.HashMap<string, AccessToken>
  readonly refreshTokens: HashMap.HashMap<string, RefreshToken>
  /** The sign-ins that ID tokens tell of. */
  readonly idTokens: HashMap.HashMap<string, { readonly family: string; readonly expiresAt: number }>
  readonly devices: HashMap.HashMap<string, DeviceGrant>
  readonly codes: HashMap.HashMap<string, AuthorizationCode>
  readonly pushed: HashMap.HashMap<string, AuthorizationRequest>
  readonly interactions: HashMap.HashMap<string, Interaction>
  /** Ids of JWTs that were taken once, with their end: a second use is a replay (RFC 7523 section 3, RFC 9449 section 11.1). */
  readonly seen: HashMap.HashMap<string, number>
  /** How many tokens there may be before those that are long over are forgotten. */
  readonly sweepAt: number
}

/** A provider nobody has talked to yet. Its keys are made at the first request. */
export const initial = (settings: Settings): State => ({
  settings,
  chance: Chance.seeded(settings.seed),
  keys: [],
  rotations: [],
  script: { decision: "ignore", person: "nobody", since: 0, after: 0, polls: 0, wrongPasswords: 0 },
  clients: HashMap.fromIterable(settings.clients.map((client) => [client.client_id, client])),
  issued: 0,
  families: HashMap.empty(),
  accessTokens: HashMap.empty(),
  refreshTokens: HashMap.empty(),
  idTokens: HashMap.empty(),
  devices: HashMap.empty(),
  codes: HashMap.empty(),
  pushed: HashMap.empty(),
  interactions: HashMap.empty(),
  seen: HashMap.empty(),
  sweepAt: 1000
})

export const lookup = <V>(map: HashMap.HashMap<string, V>, key: string | undefined): V | undefined =>
  key === undefined ? undefined : Option.getOrUndefined(HashMap.get(map, key))

/** What is known of a subject, where it is a person of the provider's. */
export const personOf = ({ settings }: State, subject: string): Claims | undefined =>
  Object.hasOwn(settings.people, subject) ? settings.people[subject] : undefined

/** Whether a family still stands: neither ended nor past the absolute end of its sign-in. */
export const isLive = (state: State, family: string | undefined, now: number): boolean => {
  const found = lookup(state.families, family)
  return (
    found !== undefined && found.ended === undefined && now < found.signedInAt + state.settings.refreshTokenLifetime
  )
}

/** Whether an access token is good now, as its provider sees it. */
export const isValid = (state: State, token: AccessToken, now: number): boolean => {
  if (token.revoked === true || now >= token.expiresAt) return false
  if (token.family === undefined) return true
  return lookup(state.families, token.family)?.ended === undefined
}

/** Whether a refresh token would be taken now, and without suspicion. */
export const isRefreshable = (state: State, token: RefreshToken, now: number): boolean =>
  token.spentAt === undefined && now < token.expiresAt && isLive(state, token.family, now)

/** Ends a family: nothing of it is good any more. The first reason stays. */
export const endFamily = (state: State, id: string, because: FamilyEnd, at: number): State => ({
  ...state,
  families: HashMap.modify(state.families, id, (family) =>
    family.ended === undefined ? { ...family, ended: { at, because } } : family
  )
})
