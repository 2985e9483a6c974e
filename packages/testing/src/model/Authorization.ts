import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import { authenticate, mayUse } from "./ClientAuthentication.ts"
import * as Dpop from "./Dpop.ts"
import { escape, html, json, redirect, type Response } from "./Http.ts"
import { signIn } from "./Issue.ts"
import { altered, type Lie } from "./Lie.ts"
import * as Person from "./Person.ts"
import * as Pkce from "./Pkce.ts"
import { refuse, type Refusal } from "./Refusal.ts"
import type { ClientMetadata } from "./Settings.ts"
import { type AuthorizationRequest, type Interaction, lookup, type ResponseMode } from "./State.ts"
import { askedAudience, askedScopes, draw, locate, optional, required, type Turn } from "./Turn.ts"

const requestUriPrefix = "urn:ietf:params:oauth:request_uri:"

/** Milliseconds a pushed request is good for. */
const pushedLifetime = 60_000

/**
 * The authorization endpoint (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2): checks the request, and sends
 * the person's browser to the sign-in page. Where client or redirect URI are wrong, nobody is redirected.
 */
export const authorization = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response> {
  const asked = yield* Effect.result(known(turn))
  if (asked._tag === "Failure")
    return page("Oops", `<p>${escape(`${asked.failure.error}: ${asked.failure.description}`)}</p>`)
  const { client, pushed, redirectUri } = asked.success
  const lie = turn.request.lie?.callback
  const request = yield* Effect.result(
    pushed === undefined ? requestOf(turn, client, redirectUri) : Effect.succeed(pushed)
  )
  if (request._tag === "Failure") {
    const { description, error } = request.failure
    const state = turn.params.get("state") ?? undefined
    const mode = turn.params.get("response_mode")
    const responseMode = mode !== null && isResponseMode(mode) ? mode : undefined
    return back(turn, { redirectUri, state, responseMode, lie }, { error, error_description: description })
  }
  if (request.success.silent === true) {
    // There are no sessions here: somebody always has to sign in.
    const error_description = "End-User authentication is required"
    return back(turn, { ...request.success, lie }, { error: "login_required", error_description })
  }
  const id = draw(turn, 16)
  const interaction: Interaction = { ...request.success, wrongPasswords: 0, ...(lie === undefined ? {} : { lie }) }
  turn.state = { ...turn.state, interactions: HashMap.set(turn.state.interactions, id, interaction) }
  return redirect(locate(turn, `/interaction/${id}`))
})

const page = (title: string, content: string) => html(title, content, 400)

/** Whose request it is and where its answer goes: what must be right before anybody is sent anywhere. */
const known = Effect.fnUntraced(function* (turn: Turn) {
  const id = yield* required(turn, "client_id")
  const client = lookup(turn.state.clients, id)
  if (client === undefined) return yield* refuse("invalid_client", "client is invalid")
  const uri = yield* optional(turn, "request_uri")
  if (uri === undefined) {
    const redirectUri = yield* required(turn, "redirect_uri")
    if (!isRegistered(client, redirectUri)) {
      return yield* refuse(
        "invalid_redirect_uri",
        "redirect_uri did not match any of the client's registered redirect_uris"
      )
    }
    return { client, redirectUri, pushed: undefined }
  }
  const pushed = lookup(turn.state.pushed, uri)
  turn.state = { ...turn.state, pushed: HashMap.remove(turn.state.pushed, uri) }
  if (pushed === undefined || pushed.clientId !== id || turn.now >= pushed.askedAt + pushedLifetime) {
    return yield* refuse("invalid_request_uri", "request_uri is invalid, expired, or was already used")
  }
  return { client, redirectUri: pushed.redirectUri, pushed: { ...pushed, askedAt: turn.now } }
})

/** Character for character; at a native client, a loopback address may have any port (RFC 8252 section 7.3). */
const isRegistered = (client: ClientMetadata, uri: string) => {
  const registered = client.redirect_uris ?? []
  if (registered.includes(uri)) return true
  const url = URL.parse(uri)
  if (client.application_type !== "native" || url === null || !isLoopback(url)) return false
  url.port = ""
  return registered.includes(url.href)
}

/** Whether an address is of the machine it is opened on. */
export const isLoopback = ({ hostname, protocol }: URL) =>
  protocol === "http:" && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname)

const requestOf = Effect.fnUntraced(function* (
  turn: Turn,
  client: ClientMetadata,
  redirectUri: string
): Effect.fn.Return<AuthorizationRequest, Refusal> {
  if (client.require_pushed_authorization_requests === true && turn.url.pathname.endsWith("/authorize")) {
    return yield* refuse("invalid_request", "Pushed Authorization Request must be used")
  }
  const responseType = yield* required(turn, "response_type")
  if (responseType !== "code") return yield* refuse("unsupported_response_type", "unsupported response_type requested")
  if (!mayUse(client, "authorization_code")) {
    return yield* refuse("unauthorized_client", "authorization_code is not allowed for this client")
  }
  const prompt = ((yield* optional(turn, "prompt")) ?? "").split(" ").filter((value) => value !== "")
  if ((yield* optional(turn, "request")) !== undefined) {
    return yield* refuse("request_not_supported", "request parameter provided but not supported")
  }
  if (!prompt.every((value) => prompts.includes(value))) {
    return yield* refuse("invalid_request", "unsupported prompt value requested")
  }
  if (prompt.includes("none") && prompt.length > 1) {
    return yield* refuse("invalid_request", "prompt none must only be used alone")
  }
  const codeChallenge = yield* Pkce.challenge(turn, client)
  const asked = yield* askedScopes(turn)
  // OpenID Connect Core section 11.
  const scopes = asked.filter((scope) => scope !== "offline_access" || prompt.includes("consent"))
  const audience = yield* askedAudience(turn)
  const state = yield* optional(turn, "state")
  const responseMode = yield* optional(turn, "response_mode")
  if (responseMode !== undefined && !isResponseMode(responseMode)) {
    return yield* refuse("unsupported_response_mode", "unsupported response_mode requested")
  }
  const nonce = yield* optional(turn, "nonce")
  const maxAge = yield* optional(turn, "max_age")
  if (maxAge !== undefined && !/^\d{1,9}$/.test(maxAge)) {
    return yield* refuse("invalid_request", "max_age must be a number of seconds")
  }
  const [acr = ""] = ((yield* optional(turn, "acr_values")) ?? "").split(" ")
  const dpopJkt = yield* optional(turn, "dpop_jkt")
  return {
    clientId: client.client_id,
    redirectUri,
    scopes,
    askedAt: turn.now,
    ...(codeChallenge === undefined ? {} : { codeChallenge }),
    ...(audience === undefined ? {} : { audience }),
    ...(state === undefined ? {} : { state }),
    ...(responseMode === undefined ? {} : { responseMode }),
    ...(nonce === undefined ? {} : { nonce }),
    ...(maxAge === undefined ? {} : { maxAge: Number(maxAge) }),
    ...(acr === "" ? {} : { acr }),
    ...(dpopJkt === undefined ? {} : { dpopJkt }),
    ...(prompt.includes("none") ? { silent: true } : {})
  }
})

/** What `prompt` may say (OpenID Connect Core section 3.1.2.1, Initiating User Registration section 4). */
export const prompts: ReadonlyArray<string> = ["none", "login", "consent", "select_account", "create"]

const responseModes: ReadonlySet<string> = new Set<ResponseMode>(["query", "fragment", "form_post"])
const isResponseMode = (text: string): text is ResponseMode => responseModes.has(text)

/** To the client, with our name on it (RFC 9207). */
const back = (
  turn: Turn,
  to: {
    readonly redirectUri: string
    readonly state?: string | undefined
    readonly responseMode?: ResponseMode | undefined
    readonly lie?: Lie["callback"] | undefined
  },
  answer: Readonly<Record<string, string>>
): Response => {
  const { issuer } = turn.state.settings
  const state = to.state === undefined ? {} : { state: to.state }
  const params = altered({ ...answer, ...state, iss: issuer }, to.lie)
  const url = new URL(to.redirectUri)
  // Who asks for tokens in front gets its refusal where they would have been (OAuth 2.0 Multiple Response Types section 5).
  const isFront = /token/.test(turn.params.get("response_type") ?? "")
  const mode = to.responseMode ?? (isFront ? "fragment" : "query")
  if (mode === "form_post") return formPost(to.redirectUri, params)
  const carrier = mode === "fragment" ? new URLSearchParams() : url.searchParams
  for (const [name, value] of Object.entries(params)) carrier.set(name, value)
  if (mode === "fragment") url.hash = carrier.toString()
  return redirect(url.href)
}

/** A page that posts itself (OAuth 2.0 Form Post Response Mode); a button for who runs no scripts. */
const formPost = (action: string, params: Readonly<Record<string, string>>): Response => {
  const fields = Object.entries(params).map(
    ([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`
  )
  return html(
    "Back to the client",
    `<form method="post" action="${escape(action)}">${fields.join("")}<button>Continue</button></form>` +
      "<script>document.forms[0].submit()</script>"
  )
}

/**
 * A client leaves its request here first, so that the browser carries but a reference (RFC 9126 section 2). With a proof,
 * the code will be good for that key alone (RFC 9449 section 10.1).
 */
export const pushedAuthorization = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  const client = yield* authenticate(turn)
  yield* required(turn, "client_id") // however the client proves who it is (RFC 9126 section 2.1)
  if (turn.params.has("request_uri")) return yield* refuse("invalid_request", "request_uri must not be provided")
  const redirectUri = yield* required(turn, "redirect_uri")
  if (!isRegistered(client, redirectUri)) {
    return yield* refuse("invalid_request", "redirect_uri did not match any of the client's registered redirect_uris")
  }
  const request = yield* requestOf(turn, client, redirectUri)
  const jkt = yield* Dpop.proof(turn)
  const { dpopJkt = jkt } = request
  if (jkt !== undefined && jkt !== dpopJkt) {
    return yield* refuse("invalid_request", "DPoP proof key thumbprint does not match dpop_jkt")
  }
  const bound = dpopJkt === undefined ? request : { ...request, dpopJkt }
  const uri = `${requestUriPrefix}${draw(turn)}`
  turn.state = { ...turn.state, pushed: HashMap.set(turn.state.pushed, uri, bound) }
  return json({ expires_in: pushedLifetime / 1000, request_uri: uri }, 201)
})

/**
 * The sign-in page. Where a script says what the person does, they do it in their time: each wrong password shows the
 * page once more. Where nobody is scripted, it is a form that waits for somebody real.
 */
export const signInPage = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  const id = turn.url.pathname.replace(/^.*\//, "")
  const interaction = lookup(turn.state.interactions, id)
  if (interaction === undefined) return page("Oops", "<p>There is nobody to sign in here.</p>")
  if (turn.request.method === "POST") {
    const person = yield* required(turn, "person")
    const decision = turn.params.get("decision") === "deny" ? "deny" : "approve"
    if (Object.hasOwn(turn.state.settings.people, person)) {
      return finish(turn, id, interaction, { ...turn.state.script, decision, person, scopes: interaction.scopes })
    }
    return form(turn, "<p>There is nobody of that name.</p>")
  }
  const { script } = turn.state
  if (script.decision === "ignore") return form(turn, "")
  const wrong = interaction.wrongPasswords
  const actsAt = Person.beginsAt(script, interaction.askedAt, turn.now) + script.after * (1 + wrong)
  if (turn.now < actsAt) return { ...html("Sign in", ""), again: actsAt - turn.now }
  if (wrong < script.wrongPasswords) {
    const tried = { ...interaction, wrongPasswords: wrong + 1 }
    turn.state = { ...turn.state, interactions: HashMap.set(turn.state.interactions, id, tried) }
    return redirect(`${locate(turn, `/interaction/${id}`)}?wrong_password=${wrong + 1}`)
  }
  return finish(turn, id, interaction, script)
})

const form = (turn: Turn, notice: string) => {
  const people = Object.keys(turn.state.settings.people).map((name) => `<option>${escape(name)}</option>`)
  return html(
    "Sign in",
    `${notice}<form method="post"><label>as <select name="person">${people.join("")}</select></label> ` +
      '<button name="decision" value="approve">Allow</button> <button name="decision" value="deny">Deny</button></form>'
  )
}

const finish = (turn: Turn, id: string, interaction: Interaction, script: Person.Script): Response => {
  const { lie: _, wrongPasswords: __, ...request } = interaction
  turn.state = { ...turn.state, interactions: HashMap.remove(turn.state.interactions, id) }
  if (script.decision === "deny") {
    return back(turn, interaction, { error: "access_denied", error_description: "End-User aborted interaction" })
  }
  const scopes = Person.consented(script, request.scopes)
  const family = signIn(turn, request.clientId, script.person, scopes, request)
  const code = draw(turn)
  const granted = {
    ...request,
    scopes,
    person: script.person,
    family: family.id,
    expiresAt: turn.now + turn.state.settings.authorizationCodeLifetime
  }
  turn.state = { ...turn.state, codes: HashMap.set(turn.state.codes, code, granted) }
  return back(turn, interaction, { code })
}
