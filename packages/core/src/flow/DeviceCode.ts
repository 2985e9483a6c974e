import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { isTransient, LoginFailed } from "../AuthError.ts"
import type { CredentialKey } from "../Credential.ts"
import { type Moment, moment } from "../Moment.ts"
import * as DeviceAuthorization from "../protocol/DeviceAuthorization.ts"
import type { OAuthClient } from "../protocol/OAuthClient.ts"
import { resourcesOf } from "../protocol/ProviderProfile.ts"
import { grant, type Granted } from "../protocol/TokenEndpoint.ts"
import { type AttendedFlow, type FlowOptions, type GrantError, partsOf, shapeOf } from "./Flow.ts"
import { UserPrompt } from "./UserPrompt.ts"

/**
 * A person approves on another screen (RFC 8628). The code's lifetime is counted from the request; a network failure
 * while waiting is no reason to give up before it is over.
 */
export const make = (options: FlowOptions): AttendedFlow<UserPrompt> => {
  const { client, key } = partsOf("user", options)
  const obtain = Effect.fn("keyfob.DeviceCode")(function* (client: OAuthClient) {
    const prompt = yield* UserPrompt
    const begun = yield* moment
    const device = yield* DeviceAuthorization.request(client, shapeOf(key))
    const { deviceCode: _, ...shown } = device
    yield* prompt.deviceCode({ ...shown, issuer: key.issuer })
    return yield* poll(client, device, begun, key)
  })
  return { attended: true, key, client, obtain }
}

/** Asks until there is an answer (RFC 8628 section 3.5): first after one interval, `slow_down` adds 5 seconds for good. */
const poll = Effect.fnUntraced(function* (
  client: OAuthClient,
  device: DeviceAuthorization.DeviceGrant,
  begun: Moment,
  key: CredentialKey
): Effect.fn.Return<Granted, GrantError | LoginFailed> {
  const { issuer, scopes } = key
  const deadline = DateTime.toEpochMillis(device.expiresAt)
  const form = {
    grant_type: "urn:ietf:params:oauth:grant-type:device_code",
    device_code: Redacted.value(device.deviceCode),
    client_id: client.clientId,
    resource: resourcesOf(client.profile, key)
  }
  let interval = device.interval * 1000
  let pause = interval
  let lostInARow = 0
  for (;;) {
    // Whichever clock says first that it is over: the wall clock can be set back, the other one may stand still in sleep.
    const now = yield* moment
    const left = deadline - Math.max(now.wall, begun.wall + now.steady - begun.steady)
    yield* Effect.sleep(Math.max(0, Math.min(pause, left)))
    if (pause >= left) return yield* new LoginFailed({ reason: "Expired", issuer })
    const result = yield* Effect.result(grant(client, form, { scopes, repeat: "once" }))
    if (Result.isSuccess(result)) return result.success
    const error = result.failure
    if (isTransient(error)) {
      // RFC 8628 section 3.5 asks for an exponential backoff where a poll got no answer.
      const backoff = Math.min(Math.max(interval, 1000) * 2 ** ++lostInARow, 60_000)
      pause = Math.max(interval, backoff, "retryAfter" in error ? Duration.toMillis(error.retryAfter ?? 0) : 0)
      continue
    }
    lostInARow = 0
    if (error._tag !== "ProviderRefused") return yield* error
    switch (error.code) {
      case "authorization_pending":
        break
      case "slow_down":
        interval += 5000
        break
      case "access_denied":
        return yield* new LoginFailed({ reason: "Denied", issuer })
      case "expired_token":
        return yield* new LoginFailed({ reason: "Expired", issuer })
      default:
        return yield* error
    }
    pause = interval
  }
})
