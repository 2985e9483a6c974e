import * as Chance from "./Chance.ts"
import { addressOf, type Request } from "./Http.ts"
import { refuse, type Refusal } from "./Refusal.ts"
import type { State } from "./State.ts"
import * as Effect from "effect/Effect"

/** One request at work: what it may read, and the state it will leave behind. */
export interface Turn {
  readonly request: Request
  /** Milliseconds since 1970. */
  readonly now: number
  /** The request's address, in full. */
  readonly url: URL
  /** The parameters of its query, or of its form if it is a POST. */
  readonly params: URLSearchParams
  /** Written as the request goes on; the value at its end is the next state. */
  state: State
}

export const begin = (state: State, request: Request, now: number): Turn => {
  const url = addressOf(state.settings.issuer, request.url)
  return {
    request,
    now,
    url,
    params: request.method === "POST" ? new URLSearchParams(request.body) : url.searchParams,
    state
  }
}

/** The address of something of this provider, by its path behind the issuer. */
export const locate = (turn: Turn, path: string): string => `${turn.state.settings.issuer.replace(/\/$/, "")}${path}`

/** A new random text: 43 letters carry as much as 256 bits would. */
export const draw = (turn: Turn, length = 43, alphabet = Chance.urlSafe): string => {
  const [text, chance] = Chance.text(turn.state.chance, length, alphabet)
  turn.state = { ...turn.state, chance }
  return text
}

/** A parameter that may be given once; an empty one counts as absent (RFC 6749 section 3.1). */
export const optional = (turn: Turn, name: string): Effect.Effect<string | undefined, Refusal> => {
  const values = turn.params.getAll(name).filter((value) => value !== "")
  return values.length > 1
    ? Effect.fail(refuse("invalid_request", `'${name}' parameter must not be provided twice`))
    : Effect.succeed(values[0])
}

/** A parameter that must be there. */
export const required = (turn: Turn, name: string): Effect.Effect<string, Refusal> =>
  Effect.flatMap(optional(turn, name), (value) =>
    value === undefined
      ? Effect.fail(refuse("invalid_request", `missing required parameter(s) '${name}'`))
      : Effect.succeed(value)
  )

/** The known scopes among those asked for; others are left out, as RFC 6749 section 3.3 allows. */
export const askedScopes = (turn: Turn): Effect.Effect<ReadonlyArray<string>, Refusal> =>
  Effect.flatMap(optional(turn, "scope"), (scope) => {
    const asked = new Set((scope ?? "").split(" ").filter((name) => name !== ""))
    return [...asked].every(isScope)
      ? Effect.succeed(turn.state.settings.scopes.filter((known) => asked.has(known)))
      : Effect.fail(refuse("invalid_scope", "scope contains invalid characters"))
  })

/** Whether a text can be the name of a scope (RFC 6749 section 3.3). */
export const isScope = (text: string): boolean => /^[\u0021\u0023-\u005b\u005d-\u007e]+$/.test(text)

/** The API the token shall be for: `resource` (RFC 8707) or `audience` (as several providers call it); one at most. */
export const askedAudience = (turn: Turn): Effect.Effect<string | undefined, Refusal> => {
  const given = (name: string) => turn.params.getAll(name).filter((value) => value !== "")
  const resources = given("resource")
  if (!resources.every((resource) => URL.canParse(resource) && !resource.includes("#"))) {
    return Effect.fail(refuse("invalid_target", "resource indicator must be an absolute URI without a fragment"))
  }
  const [first, ...more] = [...resources, ...given("audience")]
  return more.length > 0
    ? Effect.fail(refuse("invalid_target", "only a single resource indicator value is supported"))
    : Effect.succeed(first)
}

/** The API of a grant, which a token request may name once more; it may name no other (RFC 8707 section 2.2). */
export const sameAudience = (turn: Turn, granted: string | undefined): Effect.Effect<void, Refusal> =>
  Effect.flatMap(askedAudience(turn), (asked) =>
    asked === undefined || asked === granted
      ? Effect.void
      : Effect.fail(refuse("invalid_target", "resource indicator is not the one that was granted"))
  )
