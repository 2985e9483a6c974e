import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Confirmation from "../Confirmation.ts"
import type { Response } from "../Http.ts"
import { issueAll, signIn } from "../Issue.ts"
import * as Person from "../Person.ts"
import { refuse, type Refusal } from "../Refusal.ts"
import type { ClientMetadata } from "../Settings.ts"
import { type DeviceGrant, endFamily, lookup } from "../State.ts"
import { required, sameAudience, type Turn } from "../Turn.ts"

/**
 * A poll (RFC 8628 section 3.5): the person has decided, or the client is told to wait, or to wait longer. A code that
 * comes again after its tokens was stolen, as with any other code.
 */
export const deviceCode = Effect.fnUntraced(function* (
  turn: Turn,
  client: ClientMetadata
): Effect.fn.Return<Response, Refusal> {
  const value = yield* required(turn, "device_code")
  const cnf = yield* Confirmation.required(turn, client)
  const device = lookup(turn.state.devices, value)
  if (device === undefined) return yield* refuse("invalid_grant", "device code not found")
  if (device.clientId !== client.client_id) return yield* refuse("invalid_grant", "client mismatch")
  if (device.usedFor !== undefined) {
    turn.state = endFamily(turn.state, device.usedFor, "code reuse", turn.now)
    return yield* refuse("invalid_grant", "device code already consumed")
  }
  if (turn.now >= device.expiresAt) return yield* refuse("expired_token", "device code is expired")

  yield* sameAudience(turn, device.audience)
  const keep = (changed: Partial<DeviceGrant>) => {
    turn.state = { ...turn.state, devices: HashMap.set(turn.state.devices, value, { ...device, ...changed }) }
  }
  if (device.polledAt !== undefined && turn.now < device.polledAt + device.interval) {
    keep({ polledAt: turn.now, interval: device.interval + 5000 })
    return yield* refuse("slow_down", "polled too quickly, the interval grows by 5 seconds")
  }
  const script = device.decided ?? turn.state.script
  if (!Person.hasActed(script, device.askedAt, device.pending, turn.now)) {
    keep({ polledAt: turn.now, pending: device.pending + 1 })
    return yield* refuse(
      "authorization_pending",
      "authorization request is still pending as the end-user hasn't yet completed the user interaction steps"
    )
  }
  if (script.decision === "deny") {
    keep({ usedFor: "nothing" })
    return yield* refuse("access_denied", "End-User aborted interaction")
  }
  const scopes = Person.consented(script, device.scopes)
  const family = signIn(turn, client.client_id, script.person, scopes)
  keep({ usedFor: family.id })
  return yield* issueAll(turn, { client, subject: script.person, scopes, audience: device.audience, cnf, family })
})
