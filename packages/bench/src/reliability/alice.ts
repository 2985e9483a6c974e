/** Alice's session, which must never be lost. */
import { NodeHttpClient } from "@effect/platform-node"
import { Person } from "@keyfob/embedded"
import { DateTime, Effect, Layer } from "effect"
import {
  AccessToken,
  Credential,
  CredentialStore,
  type DeviceCodePrompt,
  Login,
  type StoreFailed,
  UserPrompt
} from "keyfob"
import { flowOf } from "./flow.ts"

/** She signs in. By default she approves on the provider's own pages. */
export const signIn = (
  issuer: string,
  approve: (prompt: DeviceCodePrompt) => Effect.Effect<unknown, unknown> = Person.approve
) =>
  Login.login(flowOf(issuer)).pipe(
    Effect.provide([
      Layer.mock(UserPrompt, {
        deviceCode: (prompt) => Effect.asVoid(Effect.forkScoped(Effect.ignore(approve(prompt))))
      }),
      NodeHttpClient.layerUndici
    ])
  )

/** What is kept for her. */
export const stored = (issuer: string): Effect.Effect<Credential, StoreFailed, CredentialStore> =>
  CredentialStore.use((store) => store.get(flowOf(issuer).key)).pipe(
    Effect.flatMap((found) => Effect.orDie(Effect.fromOption(found)))
  )

/** Her token has ended, as far as anybody can tell from the store. */
export const expire = (issuer: string) =>
  CredentialStore.use((store) =>
    store.modify(flowOf(issuer).key, (slot) =>
      Effect.gen(function* () {
        const credential = yield* Effect.flatMap(slot.read, Effect.fromOption)
        const ago = DateTime.makeUnsafe(0)
        const token = AccessToken.make({ ...credential.token, expiresAt: ago })
        yield* slot.write(Credential.make({ ...credential, token, issuedAt: ago }))
      })
    )
  ).pipe(Effect.orDie)
