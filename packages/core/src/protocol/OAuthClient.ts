import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Semaphore from "effect/Semaphore"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { AccessToken } from "../Token.ts"
import { type AnswerRejected, ConfigurationInvalid, type Endpoint, type ProviderUnavailable } from "../AuthError.ts"
import * as ClientAuthentication from "./ClientAuthentication.ts"
import * as Discovery from "./Discovery.ts"
import { type Answer, type Repeat, send } from "./HttpExchange.ts"
import * as Jwks from "./Jwks.ts"

/** A client as it is registered at a provider. */
export interface ClientOptions {
  /** The provider's issuer URL. */
  readonly issuer: string
  readonly clientId: string
  /** Default: none, a public client. */
  readonly authentication?: ClientAuthentication.ClientAuthentication
}

/** A request's form: a list repeats the parameter, `undefined` leaves it out. */
export type Form = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** What the metadata can fail with, and so everything that needs it. */
export type MetadataError = ConfigurationInvalid | ProviderUnavailable | AnswerRejected

/** A client at work: knows the provider's metadata and keys, and authenticates its requests. */
export interface OAuthClient {
  readonly clientId: string
  readonly http: HttpClient.HttpClient
  /** Read from the provider at the first use, then kept. */
  readonly metadata: Effect.Effect<Discovery.ProviderMetadata, MetadataError>
  /** The provider's signing keys. */
  readonly jwks: Effect.Effect<Jwks.Jwks, MetadataError>
  /** The URL of an endpoint; fails where the provider has none. */
  readonly endpoint: (name: EndpointName) => Effect.Effect<string, MetadataError>
  /** Posts a form to an endpoint as this client. */
  readonly post: (endpoint: EndpointName & Endpoint, form: Form, repeat: Repeat) => Effect.Effect<Answer, MetadataError>
}

export type EndpointName =
  | "authorization"
  | "pushed_authorization_request"
  | "token"
  | "device_authorization"
  | "userinfo"
  | "revocation"
  | "end_session"

/** Makes a client. Talks to nobody yet; fails when the issuer is not usable or a configured secret is missing. */
export const make = Effect.fnUntraced(function* (
  options: ClientOptions
): Effect.fn.Return<OAuthClient, ConfigurationInvalid, HttpClient.HttpClient> {
  const http = yield* HttpClient.HttpClient
  yield* Discovery.parseIssuer(options.issuer)
  const authentication = yield* ClientAuthentication.resolve(options.authentication ?? ClientAuthentication.none)
  const metadata = yield* once(Discovery.discover(http, options.issuer))
  const jwks = yield* once(
    Effect.flatMap(metadata, ({ issuer, jwks_uri }) =>
      jwks_uri === undefined ? Effect.fail(lacks(issuer, "jwks_uri")) : Jwks.make(http, jwks_uri)
    )
  )
  const endpoint: OAuthClient["endpoint"] = (name) =>
    Effect.flatMap(metadata, (document) => {
      const url = document[`${name}_endpoint`]
      return url === undefined ? Effect.fail(lacks(document.issuer, `${name}_endpoint`)) : Effect.succeed(url)
    })
  const post: OAuthClient["post"] = Effect.fnUntraced(function* (name, form, repeat) {
    const url = yield* endpoint(name)
    const proof = yield* ClientAuthentication.prove(authentication, options.clientId, yield* metadata)
    const request = HttpClientRequest.post(url).pipe(
      HttpClientRequest.setHeaders(proof.headers),
      HttpClientRequest.bodyUrlParams(pairs({ ...form, ...proof.form }))
    )
    return yield* send(http, name, request, repeat)
  })
  return { clientId: options.clientId, http, metadata, jwks, endpoint, post }
})

/** A GET with an access token (RFC 6750 section 2.1). */
export const getWithToken = (client: OAuthClient, name: EndpointName & Endpoint, token: AccessToken) =>
  Effect.flatMap(client.endpoint(name), (url) =>
    send(client.http, name, HttpClientRequest.get(url).pipe(HttpClientRequest.bearerToken(token.value)), "idempotent")
  )

const lacks = (issuer: string, member: string) =>
  new ConfigurationInvalid({ reason: "NotSupported", detail: `${issuer} has no ${member}` })

const pairs = (form: Form): ReadonlyArray<readonly [string, string]> =>
  Object.entries(form).flatMap(([name, value]) =>
    value === undefined
      ? []
      : typeof value === "string"
        ? [[name, value] as const]
        : value.map((one) => [name, one] as const)
  )

/** Keeps the first success; a failure is not kept, and callers share one run. */
const once = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<Effect.Effect<A, E>> =>
  Effect.sync(() => {
    const flight = Semaphore.makeUnsafe(1)
    const kept = Ref.makeUnsafe(Option.none<A>())
    return Effect.flatMap(Ref.get(kept), (found) =>
      Option.isSome(found)
        ? Effect.succeed(found.value)
        : flight.withPermit(
            Effect.flatMap(Ref.get(kept), (found) =>
              Option.isSome(found)
                ? Effect.succeed(found.value)
                : Effect.tap(effect, (value) => Ref.set(kept, Option.some(value)))
            )
          )
    )
  })
