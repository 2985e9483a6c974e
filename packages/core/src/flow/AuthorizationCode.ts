import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Struct from "effect/Struct"
import { AnswerRejected, LoginFailed, type ProviderRefused } from "../AuthError.ts"
import * as AuthorizationRequest from "../protocol/AuthorizationRequest.ts"
import * as AuthorizationResponse from "../protocol/AuthorizationResponse.ts"
import { hostOf } from "../protocol/HttpExchange.ts"
import type { OAuthClient } from "../protocol/OAuthClient.ts"
import * as Pkce from "../protocol/Pkce.ts"
import { resourcesOf } from "../protocol/ProviderProfile.ts"
import { grant } from "../protocol/TokenEndpoint.ts"
import { type AttendedFlow, type FlowOptions, type GrantError, type Obtained, partsOf, shapeOf } from "./Flow.ts"
import { RedirectReceiver } from "./RedirectReceiver.ts"
import { UserPrompt } from "./UserPrompt.ts"

/** What the flow is made from. */
export interface AuthorizationCodeOptions extends FlowOptions, AuthorizationRequest.AuthorizationOptions {}

/** The whole flow (`obtain`) for a program with a person in front of it; its two halves for one that serves web pages. */
export interface AuthorizationCodeFlow extends AttendedFlow<UserPrompt | RedirectReceiver> {
  /** The request, and what to remember until its answer comes. */
  readonly begin: (
    client: OAuthClient,
    redirectUri: string,
    state?: Redacted.Redacted
  ) => Effect.Effect<AuthorizationRequest.Begun, GrantError>
  /** The answer, as the browser brought it: the address it came to, or the form it posted. Its code is used once. */
  readonly complete: (
    client: OAuthClient,
    pending: AuthorizationRequest.PendingAuthorization,
    answer: string
  ) => Effect.Effect<Obtained, GrantError | LoginFailed>
}

/** A person has this long to sign in; a provider's own page seldom lives longer. */
const patience = "10 minutes"

/**
 * A person signs in at the provider's page in their browser (RFC 6749 section 4.1, RFC 8252, OpenID Connect Core section
 * 3.1), with PKCE (RFC 7636), and the browser comes back with a code. It may also be brought by hand: what is valid first
 * counts.
 */
export const make = (options: AuthorizationCodeOptions): AuthorizationCodeFlow => {
  const { responseMode = "query" } = options
  const asked = ["acrValues", "loginHint", "maxAge", "prompt", "responseMode", "uiLocales"] as const
  const { client, key } = partsOf("user", Struct.omit(options, asked))

  const begin: AuthorizationCodeFlow["begin"] = Effect.fnUntraced(function* (client, redirectUri, state) {
    return yield* AuthorizationRequest.make(client, {
      ...options,
      form: shapeOf(key),
      redirectUri,
      state: state ?? (yield* Pkce.random)
    })
  })

  const exchange = Effect.fnUntraced(function* (
    client: OAuthClient,
    pending: AuthorizationRequest.PendingAuthorization,
    code: Redacted.Redacted
  ): Effect.fn.Return<Obtained, GrantError> {
    const form = {
      grant_type: "authorization_code",
      code: Redacted.value(code),
      redirect_uri: pending.redirectUri,
      code_verifier: Redacted.value(pending.verifier),
      client_id: client.clientId,
      resource: resourcesOf(client.profile, key)
    }
    const granted = yield* grant(client, form, { scopes: key.scopes, repeat: "spending" })
    const { acrValues, maxAge, nonce } = pending
    if (nonce !== undefined && granted.idToken === undefined && granted.token.scopes.includes("openid")) {
      const host = hostOf(pending.issuer)
      return yield* new AnswerRejected({ reason: "Malformed", endpoint: "token", host, detail: "id_token is missing" })
    }
    return {
      ...granted,
      asked: {
        ...(nonce === undefined ? {} : { nonce }),
        ...(maxAge === undefined ? {} : { maxAge }),
        ...(acrValues === undefined ? {} : { acrValues })
      }
    }
  })

  const complete: AuthorizationCodeFlow["complete"] = Effect.fnUntraced(function* (client, pending, answer) {
    const code = yield* AuthorizationResponse.codeOf(answer, pending, yield* client.metadata)
    return yield* exchange(client, pending, code)
  })

  const obtain = Effect.fn("keyfob.AuthorizationCode")(function* (client: OAuthClient) {
    const screen = yield* UserPrompt
    const receiver = yield* RedirectReceiver
    yield* client.endpoint("authorization") // fails before a port is opened
    const state = yield* Pkce.random
    const recognizes = (answer: string) => AuthorizationResponse.isTo(state, answer)
    const reception = yield* receiver.open({ issuer: key.issuer, responseMode, recognizes })
    const { pending, url } = yield* begin(client, reception.redirectUri, state)
    const brought = yield* Queue.unbounded<Brought>()
    yield* reception.answer.pipe(
      Effect.flatMap((answer) => Queue.offer(brought, { answer })),
      Effect.forkScoped
    )
    yield* screen.browser({
      issuer: key.issuer,
      url: Redacted.value(url),
      redirectUri: reception.redirectUri,
      paste: (text) => {
        const pasted = broughtByHand(Redacted.value(text).trim(), recognizes)
        return pasted === undefined ? Effect.succeed(false) : Queue.offer(brought, pasted)
      }
    })
    const use = Effect.gen(function* () {
      for (;;) {
        const one = yield* Queue.take(brought)
        if ("answer" in one) return yield* complete(client, pending, Redacted.value(one.answer))
        const result = yield* Effect.result(exchange(client, pending, one.code))
        // A person may have pasted anything: the login goes on, and the browser can still bring the code.
        if (Result.isFailure(result) && isNoCode(result.failure)) continue
        return yield* Effect.fromResult(result)
      }
    })
    const expired = () => Effect.fail(new LoginFailed({ reason: "Expired", issuer: key.issuer }))
    return yield* Effect.timeoutOrElse(use, { duration: patience, orElse: expired })
  })

  return { attended: true, key, client, begin, complete, obtain }
}

type Brought = { readonly answer: Redacted.Redacted } | { readonly code: Redacted.Redacted }

/** What was pasted: an address or its query, which has our state in it, or a code alone, which only PKCE binds to this login. */
const broughtByHand = (text: string, recognizes: (answer: string) => boolean): Brought | undefined => {
  if (recognizes(text)) return { answer: Redacted.make(text) }
  return /^[\x21-\x7e]{8,}$/.test(text) && !/:\/\/|[?&]|^\w+=./.test(text) ? { code: Redacted.make(text) } : undefined
}

const isNoCode = (error: GrantError) => error._tag === "ProviderRefused" && isInvalidGrant(error)
const isInvalidGrant = ({ reason }: ProviderRefused) => reason === "InvalidGrant"
