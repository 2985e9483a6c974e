/** The requests of the three services, each with what its answers mean. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as HttpClient from "effect/http/HttpClient"
import {
  AccessToken,
  AnswerRejected,
  ConfigurationInvalid,
  type Granted,
  HttpExchange,
  Jwt,
  OAuthAnswer,
  type ProviderError,
  ServiceEndpoint
} from "keyfob"
import { DomainAccess, isServer } from "./DomainAccess.ts"

const granted = (answer: ServiceEndpoint.Answered) =>
  Effect.filterOrFail(
    ServiceEndpoint.session(answer),
    ({ token }) => token.expiresAt !== undefined,
    // Nobody could tell when to renew it.
    () => HttpExchange.malformed(answer, "the token names no end")
  )

export const login = (http: HttpClient.HttpClient, apiUrl: string, email: string, password: Redacted.Redacted) =>
  ServiceEndpoint.ask(http, `${apiUrl}/user/login`, {
    endpoint: "login",
    body: { email, password: Redacted.value(password) },
    repeat: "spending",
    refusals: { 400: "AccessDenied", 401: "AccessDenied", 403: "AccessDenied" }
  }).pipe(Effect.flatMap(granted), Effect.withSpan("keyfob.auki.login"))

export const refresh = (http: HttpClient.HttpClient, refreshUrl: string, refreshToken: Redacted.Redacted) =>
  ServiceEndpoint.ask(http, refreshUrl, {
    endpoint: "token",
    authorization: AccessToken.bearer(refreshToken).authorization,
    headers: { "content-type": "application/json" },
    repeat: "spending",
    refusals: { 400: "InvalidGrant", 401: "InvalidGrant", 403: "InvalidGrant" }
  }).pipe(
    Effect.flatMap((answer) => ServiceEndpoint.renewal(answer, granted(answer))),
    Effect.withSpan("keyfob.auki.refresh")
  )

/** What statuses say of a token that was brought. */
export const denied: ServiceEndpoint.Request["refusals"] = {
  401: "InvalidToken",
  402: "AccessDenied",
  403: "AccessDenied",
  404: "AccessDenied"
}

export const discovery = (http: HttpClient.HttpClient, apiUrl: string, network: AccessToken) =>
  ServiceEndpoint.ask(http, `${apiUrl}/service/domains-access-token`, {
    endpoint: "token",
    authorization: network.authorization,
    body: {},
    repeat: "idempotent",
    refusals: denied
  }).pipe(
    // Whatever stands beside it: this level is renewed from the one above, and its token says its own end.
    Effect.map(({ json, ...answer }) =>
      json === undefined ? answer : { ...answer, json: { error: json["error"], access_token: json["access_token"] } }
    ),
    Effect.flatMap(granted),
    Effect.withSpan("keyfob.auki.discovery")
  )

/** Access to a domain, held against what was asked: what it grants to somebody else, or elsewhere, is not taken. */
export const domain = Effect.fn("keyfob.auki.domain")(function* (
  http: HttpClient.HttpClient,
  { clientId, ddsUrl, id }: { readonly clientId: string; readonly ddsUrl: string; readonly id: string },
  discovery: AccessToken
): Effect.fn.Return<Granted & { readonly target: string }, ProviderError | ConfigurationInvalid> {
  // In a path these would be another one, or none.
  if (/^\.{0,2}$/.test(id) || /\p{Surrogate}/u.test(id)) {
    return yield* new ConfigurationInvalid({ reason: "InvalidValue", detail: "a domain's id" })
  }
  const answer = yield* ServiceEndpoint.ask(http, `${ddsUrl}/api/v1/domains/${encodeURIComponent(id)}/auth`, {
    endpoint: "token",
    authorization: discovery.authorization,
    headers: { "posemesh-client-id": clientId },
    body: {},
    repeat: "idempotent",
    refusals: denied
  })
  const success = yield* OAuthAnswer.accept(answer, DomainAccess)
  const { access_token, ...details } = success
  const reject = (reason: AnswerRejected["reason"], detail: string) =>
    new AnswerRejected({ reason, endpoint: "token", host: answer.host, detail })
  const { claims } = yield* Effect.mapError(Jwt.decode(access_token), () => reject("Malformed", "access_token"))
  if (claims["iss"] !== "dds") return yield* reject("IssuerMismatch", "the grant's iss")
  if (claims["domain_id"] !== id) return yield* reject("SubjectMismatch", "the grant's domain_id")
  const audience: ReadonlyArray<unknown> = [claims["aud"]].flat()
  if (!isServer(success.domain_server.url)) return yield* reject("InsecureEndpoint", "domain_server.url")
  if (!audience.includes(success.domain_server.url)) return yield* reject("SubjectMismatch", "the grant's aud")
  const exp = Jwt.expiryOf(access_token)
  if (exp === undefined) return yield* reject("Malformed", "the grant's exp")
  const end = Math.min(success.expires_at, exp)
  return {
    target: success.id,
    issuedAt: DateTime.makeUnsafe(answer.began),
    token: AccessToken.bearer(Redacted.make(access_token), end, details)
  }
})
