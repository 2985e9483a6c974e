/**
 * The chain for a host that sends the requests itself, as the earlier library's `NativeClient` was: operations begin at
 * any time, their requests have ids, and `now` is the host's.
 *
 *     const { actions, begin, feed, service } = yield* NativeClient.make(settings, { now, state })
 *     const hall = yield* begin(service.domain("hall"), now)
 *     for (const { id, url } of actions()) …
 *     yield* feed({ now, id, status, headers, body })
 *     const kept = yield* begin(service.save, now) // before what has come meanwhile is sent
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type ConfigurationInvalid, CredentialStore, SansIo, type StoreFailed } from "keyfob"
import * as Auki from "./Auki.ts"
import type { Settings } from "./Settings.ts"

export type NativeClient = SansIo.Served<Auki.Shape>

/** @param options.state what `save` gave, of this library or its predecessor */
export const make = (
  settings: Settings,
  options: { readonly now: number; readonly account?: string; readonly state?: string }
): Effect.Effect<NativeClient, ConfigurationInvalid | StoreFailed, Scope.Scope> => {
  const { account, now, state } = options
  const restored = ({ restore }: Auki.Shape) => (state === undefined ? Effect.void : restore(state))
  const made = Effect.tap(Auki.make(settings, account), restored)
  return SansIo.serve(Effect.provide(made, Layer.fresh(CredentialStore.layerMemory)), { now })
}
