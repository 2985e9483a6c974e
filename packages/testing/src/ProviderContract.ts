/**
 * What an authorization server must do for Keyfob to work with it, real or simulated, as a test suite for vitest. What it
 * does not advertise in its metadata is not asked of it.
 *
 * ```ts
 * import { ProviderContract } from "@keyfob/testing"
 *
 * ProviderContract.suite("staging", Layer.provideMerge(MyProvider.layer, NodeHttpClient.layerUndici))
 * ```
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as HttpClient from "effect/http/HttpClient"
import {
  AccessToken,
  ClientAuthentication,
  ClientCredentials,
  Credential,
  CredentialStore,
  DeviceCode,
  type DeviceCodePrompt,
  type FlowOptions,
  Login,
  Logout,
  OAuthClient,
  TokenSource,
  Userinfo,
  UserPrompt
} from "keyfob"
import { refused } from "./refused.ts"

/** A server, and who can sign in there. */
export class ProviderUnderTest extends Context.Service<
  ProviderUnderTest,
  {
    readonly issuer: string
    /** A client that may use the device flow and gets refresh tokens. The provider's interval should be short. */
    readonly person?: Omit<FlowOptions, "issuer"> & {
      /** A person approves. */
      readonly approve: (prompt: DeviceCodePrompt) => Effect.Effect<void>
    }
    /** A client that may use client credentials. */
    readonly machine?: Omit<FlowOptions, "issuer">
    /** Whether a spent refresh token is refused. Default: true. */
    readonly rotates?: boolean
  }
>()("@keyfob/testing/ProviderUnderTest") {}

/** Registers the suite under `name`. Time is the real one: `layer` is built anew for each case. */
export const suite = <E>(name: string, layer: Layer.Layer<ProviderUnderTest | HttpClient.HttpClient, E>): void => {
  const live = <E2>(
    what: string,
    test: Effect.Effect<void, E2, ProviderUnderTest | HttpClient.HttpClient | CredentialStore>
  ) => it.live(what, () => test.pipe(Effect.provide([layer, CredentialStore.layerMemory])), 30_000)

  describe(`Provider contract: ${name}`, () => {
    live(
      "describes itself by exactly its issuer, with endpoints Keyfob may use",
      Effect.gen(function* () {
        const { issuer } = yield* ProviderUnderTest
        const metadata = yield* (yield* clientOf({ clientId: "anybody" })).metadata
        assert.strictEqual(metadata.issuer, issuer)
        assert.isDefined(metadata.token_endpoint)
      })
    )

    live(
      "publishes the public half of its keys, if it names a place for them",
      Effect.gen(function* () {
        const client = yield* clientOf({ clientId: "anybody" })
        if ((yield* client.metadata).jwks_uri === undefined) return
        const { keys } = yield* (yield* client.jwks).keys
        assert.isNotEmpty(keys)
        for (const key of keys) assert.doesNotHaveAnyKeys(key, ["d", "p", "q", "k"])
      })
    )

    live(
      "gives a machine a token, and none for a wrong secret",
      Effect.gen(function* () {
        const { issuer, machine } = yield* ProviderUnderTest
        if (machine === undefined) return
        const { token } = yield* Login.login(ClientCredentials.make({ issuer, ...machine }))
        assert.isFalse(yield* token.isExpired())
        const { authentication = ClientAuthentication.none } = machine
        if (!("secret" in authentication)) return
        const wrong = { ...authentication, secret: Redacted.make("certainly-wrong") }
        const intruder = Login.login(ClientCredentials.make({ issuer, ...machine, authentication: wrong }))
        const error = yield* refused(intruder, "a wrong secret is taken")
        assert.deepStrictEqual([error._tag, error.reason], ["ProviderRefused", "InvalidClient"])
      })
    )

    live(
      "signs a person in, and says the same of them in ID token and userinfo",
      Effect.gen(function* () {
        const { credential, flow } = (yield* signedIn) ?? {}
        if (credential === undefined || flow === undefined) return
        assert.isDefined(credential.account?.sub, "there is no ID token: are the scopes without openid?")
        const client = yield* OAuthClient.make(flow.client)
        if ((yield* client.metadata).userinfo_endpoint === undefined) return
        yield* Userinfo.request(client, credential.token, credential.account?.sub)
        const stranger = AccessToken.make({ value: Redacted.make("nobodys"), type: "Bearer", scopes: [] })
        const error = yield* refused(Userinfo.request(client, stranger), "userinfo is told to a token nobody issued")
        assert.deepStrictEqual([error._tag, error.reason], ["ProviderRefused", "InvalidToken"])
      })
    )

    live(
      "renews again and again; a spent refresh token ends the session, if it rotates",
      Effect.gen(function* () {
        const { credential, flow } = (yield* signedIn) ?? {}
        if (credential === undefined || flow === undefined) return
        const store = yield* CredentialStore
        const source = yield* Effect.scoped(
          Effect.gen(function* () {
            const source = yield* TokenSource.make(flow)
            for (const generation of [2, 3]) {
              const renewed = yield* source.renew
              assert.deepInclude(renewed, { outcome: "renewed" })
              assert.strictEqual(renewed.credential.generation, generation)
              assert.notStrictEqual(
                Redacted.value(renewed.credential.token.value),
                Redacted.value(credential.token.value)
              )
            }
            return yield* ProviderUnderTest
          })
        )
        if (source.rotates === false) return
        yield* store.modify(flow.key, (slot) => slot.write(Credential.make({ ...credential, generation: 4 })))
        const end = yield* endOf(flow, "a spent refresh token is taken; or is `rotates` false here?")
        assert.deepStrictEqual(end, ["LoginRequired", "RefreshRefused"])
      })
    )

    live(
      "ends a session for good when it is told to, if it revokes",
      Effect.gen(function* () {
        const { credential, flow } = (yield* signedIn) ?? {}
        if (credential === undefined || flow === undefined) return
        const client = yield* OAuthClient.make(flow.client)
        if ((yield* client.metadata).revocation_endpoint === undefined) return
        assert.deepStrictEqual(yield* Logout.logout(flow), { removed: true, revoked: true })
        yield* CredentialStore.use((store) => store.modify(flow.key, (slot) => slot.write(credential)))
        const end = yield* endOf(flow, "a revoked refresh token is taken")
        assert.deepStrictEqual(end, ["LoginRequired", "RefreshRefused"])
      })
    )
  })
}

const clientOf = Effect.fnUntraced(function* (options: Omit<FlowOptions, "issuer">) {
  const { issuer } = yield* ProviderUnderTest
  return yield* OAuthClient.make({ issuer, ...options })
})

/** A person has signed in, where there is one. */
const signedIn = Effect.gen(function* () {
  const { issuer, person } = yield* ProviderUnderTest
  if (person === undefined) return undefined
  const { approve, ...options } = person
  const flow = DeviceCode.make({ issuer, ...options })
  const prompt = Layer.mock(UserPrompt, { deviceCode: (shown) => Effect.asVoid(Effect.forkScoped(approve(shown))) })
  const credential = yield* Effect.provide(Login.login(flow), prompt)
  assert.isDefined(credential.refreshToken, "there is no refresh token: are the scopes without offline_access?")
  return { credential, flow }
})

/** What a renewal fails with. */
const endOf = (flow: ReturnType<typeof DeviceCode.make>, otherwise: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const error = yield* refused((yield* TokenSource.make(flow)).renew, otherwise)
      return [error._tag, error.reason]
    })
  )
