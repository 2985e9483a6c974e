import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { AnswerRejected, ConfigurationInvalid, printable, type ProviderRefused } from "../AuthError.ts"
import { Secret } from "../Token.ts"
import type { ProviderMetadata } from "./Discovery.ts"
import * as Deviation from "./Deviation.ts"
import { accept } from "./OAuthAnswer.ts"
import type { Form, MetadataError, OAuthClient } from "./OAuthClient.ts"
import * as Pkce from "./Pkce.ts"
import { worded } from "./ProviderProfile.ts"
import { Seconds } from "./TokenEndpoint.ts"

/** What can be asked of how a person signs in (OpenID Connect Core section 3.1.2.1). */
export interface AuthorizationOptions {
  /** `none`: fail rather than ask the person anything. A request for `offline_access` asks for consent besides. */
  readonly prompt?: ReadonlyArray<"none" | "login" | "consent" | "select_account" | "create">
  /** Who is probably about to sign in: an address, a telephone number. */
  readonly loginHint?: string
  /** How long ago they may have proved who they are. What the ID token says of it is checked. */
  readonly maxAge?: Duration.Input
  /** How they must prove it, best first. The ID token must name one of these. */
  readonly acrValues?: ReadonlyArray<string>
  /** The languages they read, best first (BCP 47). */
  readonly uiLocales?: ReadonlyArray<string>
  /** How the answer comes back. Default: `query`. */
  readonly responseMode?: "query" | "form_post"
}

/**
 * What must be remembered from the request until its answer comes: one answer alone, which only who remembers this can
 * use. A web app keeps it in the person's session, as `Schema.toCodecJson(PendingAuthorization)` writes it, and forgets
 * it with the first answer.
 */
export class PendingAuthorization extends Schema.Class<PendingAuthorization>("keyfob/PendingAuthorization")({
  /** Who was asked (RFC 9207): an answer of anybody else is refused. */
  issuer: Schema.String,
  clientId: Schema.String,
  redirectUri: Schema.String,
  /** Ties the answer to the browser that was sent out (RFC 6749 section 10.12). */
  state: Secret,
  /** Ties the code to this request (RFC 7636). */
  verifier: Secret,
  /** Ties the ID token to this request (OpenID Connect Core section 3.1.2.1), where one was asked for. */
  nonce: Schema.optionalKey(Secret),
  /** Seconds. */
  maxAge: Schema.optionalKey(Schema.Finite),
  acrValues: Schema.optionalKey(Schema.Array(Schema.String))
}) {}

/** A request that is ready: the address a browser must open, which has the state in it, and what to remember meanwhile. */
export interface Begun {
  readonly url: Redacted.Redacted
  readonly pending: PendingAuthorization
}

const Pushed = Schema.Struct({ request_uri: Schema.NonEmptyString, expires_in: Schema.optionalKey(Seconds) })

/**
 * Makes an authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1), pushed to the provider
 * first where it wants that (RFC 9126).
 *
 * @param form the parameters that shape the token
 */
export const make = Effect.fn("keyfob.authorizationRequest")(function* (
  client: OAuthClient,
  options: AuthorizationOptions & {
    readonly form: Form
    readonly redirectUri: string
    readonly state: Redacted.Redacted
  }
): Effect.fn.Return<Begun, MetadataError | ProviderRefused> {
  const metadata = yield* client.metadata
  const endpoint = new URL(yield* client.endpoint("authorization"))
  yield* demandS256(metadata)
  if (URL.parse(options.redirectUri) === null || options.redirectUri.includes("#")) {
    const detail = `redirect URI ${printable(options.redirectUri)}`
    return yield* new ConfigurationInvalid({ reason: "InvalidValue", detail })
  }
  const { challenge, verifier } = yield* Pkce.make
  const scopes = String(options.form["scope"] ?? "").split(" ")
  const nonce = scopes.includes("openid") ? yield* Pkce.random : undefined
  const maxAge = options.maxAge === undefined ? secondsOf(options.form["max_age"]) : Duration.toSeconds(options.maxAge)
  const acrValues = options.acrValues ?? wordsOf(options.form["acr_values"])
  const parameters: Form = {
    ...worded(client.profile, options.form),
    response_type: "code",
    response_mode: options.responseMode === "form_post" ? "form_post" : undefined,
    client_id: client.clientId,
    redirect_uri: options.redirectUri,
    state: Redacted.value(options.state),
    nonce: nonce === undefined ? undefined : Redacted.value(nonce),
    code_challenge: challenge,
    code_challenge_method: "S256",
    ...given("prompt", promptFor(scopes, options.prompt)),
    ...given("login_hint", options.loginHint),
    ...given("max_age", maxAge?.toString()),
    ...given("acr_values", acrValues?.join(" ")),
    ...given("ui_locales", options.uiLocales?.join(" "))
  }
  const shown = metadata.require_pushed_authorization_requests === true ? yield* pushed(client, parameters) : parameters
  for (const [name, value] of Object.entries(shown)) {
    endpoint.searchParams.delete(name)
    for (const one of typeof value === "string" ? [value] : (value ?? [])) endpoint.searchParams.append(name, one)
  }
  return {
    url: Redacted.make(endpoint.href),
    pending: PendingAuthorization.make({
      issuer: metadata.issuer,
      clientId: client.clientId,
      redirectUri: options.redirectUri,
      state: options.state,
      verifier,
      ...(nonce === undefined ? {} : { nonce }),
      ...(maxAge === undefined ? {} : { maxAge }),
      ...(acrValues === undefined ? {} : { acrValues })
    })
  }
})

// What is asked for by an extra parameter is checked as what an option asks for.
const secondsOf = (parameter: Form[string]) =>
  typeof parameter === "string" && /^\d{1,9}$/.test(parameter) ? Number(parameter) : undefined
const wordsOf = (parameter: Form[string]) =>
  typeof parameter === "string" ? (parameter.match(/[^ ]+/g) ?? undefined) : undefined

/** An option wins over an extra parameter of the same name, and leaves it where it says nothing. */
const given = (name: string, value: string | undefined): Form => (value === undefined ? {} : { [name]: value })

/**
 * A provider that lists methods without S256 is one where the proof could be taken away (RFC 9700 section 2.1.1). Many
 * that do it list nothing: the challenge goes out all the same, and there is no request without one.
 */
const demandS256 = Effect.fnUntraced(function* ({
  code_challenge_methods_supported: methods,
  issuer
}: ProviderMetadata) {
  if (methods === undefined) {
    return yield* Deviation.note("code_challenge_methods_supported is missing")
  }
  if (methods.includes("S256")) return
  const detail = `PKCE with S256; ${issuer} offers ${printable(methods.join(", ")) || "no method"}`
  return yield* new ConfigurationInvalid({ reason: "NotSupported", detail })
})

/** Offline access is given where the person agrees to it in this very request (OpenID Connect Core section 11). */
const promptFor = (scopes: ReadonlyArray<string>, prompt: AuthorizationOptions["prompt"] = []) => {
  const consents = scopes.includes("offline_access") && !prompt.includes("none") && !prompt.includes("consent")
  const all = consents ? [...prompt, "consent"] : prompt
  return all.length === 0 ? undefined : all.join(" ")
}

const pushed = Effect.fnUntraced(function* (
  client: OAuthClient,
  parameters: Form
): Effect.fn.Return<Form, MetadataError | ProviderRefused> {
  const answer = yield* client.post("pushed_authorization_request", parameters, "idempotent")
  const { request_uri } = yield* accept(answer, Pushed)
  // It is part of an address a person sees: a URI, and no more of it than they can bear (RFC 9126 section 2.2).
  if (!/^[\x21-\x7e]{1,2048}$/.test(request_uri)) {
    const { endpoint, host } = answer
    return yield* new AnswerRejected({ reason: "Malformed", endpoint, host, detail: "request_uri is no URI" })
  }
  return { client_id: client.clientId, request_uri }
})
