import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { createLocalJWKSet, jwtVerify } from "jose"
import * as Confirmation from "../Confirmation.ts"
import type { Response } from "../Http.ts"
import { answer } from "../Issue.ts"
import { published } from "../Keys.ts"
import { refuse, type Refusal } from "../Refusal.ts"
import type { ClientMetadata } from "../Settings.ts"
import { isLive, isValid, lookup } from "../State.ts"
import { askedAudience, optional, required, type Turn } from "../Turn.ts"

export const grantType = "urn:ietf:params:oauth:grant-type:token-exchange"

const typePrefix = "urn:ietf:params:oauth:token-type:"

/** One token for another (RFC 8693 section 2). The new one is of the same sign-in, and ends with it. */
export const tokenExchange = Effect.fnUntraced(function* (
  turn: Turn,
  client: ClientMetadata
): Effect.fn.Return<Response, Refusal> {
  const wanted = (yield* optional(turn, "requested_token_type")) ?? `${typePrefix}access_token`
  if (wanted !== `${typePrefix}access_token` && wanted !== `${typePrefix}jwt`) {
    return yield* refuse("invalid_request", "requested_token_type is not supported")
  }
  const cnf = yield* Confirmation.required(turn, client)
  const subject = yield* read(turn, yield* required(turn, "subject_token"), yield* required(turn, "subject_token_type"))
  const actorToken = yield* optional(turn, "actor_token")
  if (actorToken === undefined && (yield* optional(turn, "actor_token_type")) !== undefined) {
    return yield* refuse("invalid_request", "actor_token_type must not be there without an actor_token")
  }
  const actor =
    actorToken === undefined ? undefined : yield* read(turn, actorToken, yield* required(turn, "actor_token_type"))
  const asked = yield* optional(turn, "scope")
  const scopes = asked === undefined ? subject.scopes : asked.split(" ").filter((scope) => scope !== "")
  if (!scopes.every((scope) => subject.scopes.includes(scope))) {
    return yield* refuse("invalid_scope", "the subject token does not have the requested scope")
  }
  const issuing = {
    client,
    subject: subject.subject,
    scopes: scopes.filter((scope) => scope !== "openid" && scope !== "offline_access"),
    audience: yield* askedAudience(turn),
    cnf,
    family: lookup(turn.state.families, subject.family),
    actor: actor?.subject,
    format: wanted === `${typePrefix}jwt` ? ("jwt" as const) : undefined,
    extra: { issued_token_type: wanted }
  }
  return yield* answer(turn, issuing)
})

interface Meant {
  readonly subject: string
  readonly scopes: ReadonlyArray<string>
  readonly family?: string
}

/** Whom a token is about; a bad one is `invalid_request` here (section 2.2.2). */
const read = Effect.fnUntraced(function* (turn: Turn, value: string, type: string): Effect.fn.Return<Meant, Refusal> {
  if (type === `${typePrefix}access_token` || (type === `${typePrefix}jwt` && value.includes("."))) {
    const token = lookup(turn.state.accessTokens, value)
    if (token !== undefined && isValid(turn.state, token, turn.now)) return token
  }
  if (type === `${typePrefix}id_token`) {
    const claims = yield* Effect.tryPromise(() =>
      jwtVerify(value, createLocalJWKSet(published(turn)), {
        issuer: turn.state.settings.issuer,
        currentDate: new Date(turn.now)
      })
    ).pipe(Effect.option)
    const told = Option.isSome(claims) ? lookup(turn.state.idTokens, value) : undefined
    const family = lookup(turn.state.families, told?.family)
    if (family !== undefined && isLive(turn.state, family.id, turn.now)) {
      return { subject: family.person, scopes: family.scopes, family: family.id }
    }
  }
  return yield* refuse("invalid_request", "the token is not valid, or not of its type")
})
