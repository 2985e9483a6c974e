import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import { authenticate, mayUse } from "./ClientAuthentication.ts"
import * as Chance from "./Chance.ts"
import { escape, html, json, type Response } from "./Http.ts"
import type { Script } from "./Person.ts"
import { refuse, type Refusal } from "./Refusal.ts"
import type { DeviceGrant, State } from "./State.ts"
import { askedAudience, askedScopes, draw, locate, optional, type Turn } from "./Turn.ts"

export const grantType = "urn:ietf:params:oauth:grant-type:device_code"

/** A device asks for a code (RFC 8628 sections 3.1 and 3.2). */
export const deviceAuthorization = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  const client = yield* authenticate(turn)
  if (!mayUse(client, grantType)) {
    return yield* refuse("unauthorized_client", `${grantType} is not allowed for this client`)
  }
  const scopes = yield* askedScopes(turn)
  const audience = yield* askedAudience(turn)
  const letters = draw(turn, 8, Chance.userCodeLetters)
  const userCode = `${letters.slice(0, 4)}-${letters.slice(4)}`
  const deviceCode = draw(turn)
  const { deviceCodeLifetime, deviceInterval } = turn.state.settings
  const device = {
    clientId: client.client_id,
    userCode,
    scopes,
    askedAt: turn.now,
    expiresAt: turn.now + deviceCodeLifetime,
    interval: deviceInterval,
    pending: 0,
    ...(audience === undefined ? {} : { audience })
  }
  turn.state = { ...turn.state, devices: HashMap.set(turn.state.devices, deviceCode, device) }
  const page = locate(turn, "/device")
  return json({
    device_code: deviceCode,
    user_code: userCode,
    verification_uri: page,
    verification_uri_complete: `${page}?user_code=${userCode}`,
    expires_in: deviceCodeLifetime / 1000,
    interval: deviceInterval / 1000
  })
})

/** What a person who types a code decides. The state unchanged where no waiting device shows that code. */
export const decide = (state: State, typed: string, script: Script): State => {
  const waits = waiting(typed, script.since)
  return {
    ...state,
    devices: HashMap.map(state.devices, (device) => (waits(device) ? { ...device, decided: script } : device))
  }
}

/** Whether a device shows that code and waits for a decision. */
const waiting = (typed: string, now: number) => {
  const letters = lettersOf(typed)
  return (device: DeviceGrant): boolean =>
    device.decided === undefined &&
    device.usedFor === undefined &&
    lettersOf(device.userCode) === letters &&
    now < device.expiresAt
}

/** RFC 8628 section 6.1: letter case and punctuation do not count. */
export const lettersOf = (code: string) => code.toUpperCase().replace(/[^A-Z]/g, "")

/** The page where a person types the code, and what they answer there (RFC 8628 section 3.3). */
export const verificationPage = Effect.fnUntraced(function* (turn: Turn): Effect.fn.Return<Response, Refusal> {
  const typed = yield* optional(turn, "user_code")
  if (turn.request.method === "POST" && typed !== undefined) {
    const person = (yield* optional(turn, "person")) ?? ""
    const decision = turn.params.get("decision") === "deny" ? "deny" : "approve"
    const after = decide(turn.state, typed, {
      decision,
      person,
      since: turn.now,
      after: 0,
      polls: 0,
      wrongPasswords: 0
    })
    const isWaiting = HashMap.some(turn.state.devices, waiting(typed, turn.now))
    if (!isWaiting || !Object.hasOwn(turn.state.settings.people, person)) {
      return html("Sign in", "<p>There is no such code, or no such person.</p>", 400)
    }
    turn.state = after
    return html("Sign in", `<p>${decision === "deny" ? "Denied" : "Approved"}. Go back to your device.</p>`)
  }
  const people = Object.keys(turn.state.settings.people).map((name) => `<option>${escape(name)}</option>`)
  return html(
    "Sign in",
    `<form method="post"><label>Code <input name="user_code" value="${escape(typed ?? "")}"></label> ` +
      `<label>as <select name="person">${people.join("")}</select></label> ` +
      '<button name="decision" value="approve">Allow</button> <button name="decision" value="deny">Deny</button></form>'
  )
})
