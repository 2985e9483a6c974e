/** Alice's session, which must never be lost: how she signs in, and how an hour of hers passes at once. */
import { NodeHttpClient } from "@effect/platform-node"
import { Person } from "@keyfob/embedded"
import { DateTime, Effect, Layer } from "effect"
import { AccessToken, Credential, CredentialStore, Login, UserPrompt } from "keyfob"
import { flowOf } from "./flow.ts"

/** She approves on the provider's own pages. */
const approving = Layer.mock(UserPrompt, {
  deviceCode: (shown) => Effect.asVoid(Effect.forkScoped(Effect.orDie(Person.approve(shown))))
})

export const signIn = (issuer: string) =>
  Login.login(flowOf(issuer)).pipe(Effect.provide([approving, NodeHttpClient.layerUndici]))

export const stored = (issuer: string) =>
  Effect.flatMap(CredentialStore, (store) => store.get(flowOf(issuer).key)).pipe(
    Effect.flatMap(Effect.fromOption),
    Effect.orDie
  )

/** Her token has ended, as far as the store's readers can tell. */
export const expire = (issuer: string) =>
  Effect.flatMap(CredentialStore, (store) =>
    store.modify(flowOf(issuer).key, (slot) =>
      Effect.gen(function* () {
        const credential = yield* Effect.flatMap(slot.read, Effect.fromOption)
        const { expiresAt: _, ...token } = credential.token
        const ended = AccessToken.make({ ...token, expiresAt: DateTime.makeUnsafe(0) })
        yield* slot.write(Credential.make({ ...credential, token: ended, issuedAt: DateTime.makeUnsafe(0) }))
      })
    )
  ).pipe(Effect.orDie)
