/** Tokens that are bound to a key, at a certified provider that wants nonces, over real sockets and files. */
import { NodeHttpClient, NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { FileCredentialStore } from "@keyfob/node"
import { Deferred, Effect, Equal, FileSystem, Layer, Redacted } from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import {
  AccessToken,
  AuthorizedHttpClient,
  Credential,
  CredentialStore,
  DeviceCode,
  type DeviceCodePrompt,
  Login,
  OAuthClient,
  TokenSource,
  Userinfo,
  UserPrompt
} from "keyfob"
import { EmbeddedProvider } from "../src/EmbeddedProvider.ts"
import { clients } from "../src/Directory.ts"
import * as Person from "../src/Person.ts"

const scopes = ["openid", "profile", "offline_access"]
const flowOf = (issuer: string, account: string) =>
  DeviceCode.make({ issuer, clientId: clients.cli.id, scopes, account, dpop: true })

/** The person approves; then five seconds pass at once, and the login polls. */
const signIn = Effect.fnUntraced(function* (flow: ReturnType<typeof flowOf>) {
  yield* TestClock.setTime(Date.now())
  const shown = yield* Deferred.make<DeviceCodePrompt>()
  const prompt = Layer.succeed(UserPrompt, {
    deviceCode: (prompt) => Effect.asVoid(Deferred.succeed(shown, prompt)),
    browser: () => Effect.die(new Error("a device needs no browser"))
  })
  const person = Effect.andThen(
    Effect.flatMap(Deferred.await(shown), (prompt) => Person.approve(prompt, { account: "alice" })),
    TestClock.adjust("5 seconds")
  )
  const [credential] = yield* Effect.all([Effect.provide(Login.login(flow), prompt), person], { concurrency: 2 })
  return credential
}, Effect.provide(TestClock.layer()))

layer(Layer.mergeAll(EmbeddedProvider.layer({ dpopNonces: true }), NodeHttpClient.layerUndici, NodeServices.layer), {
  excludeTestServices: true
})("tokens bound to a key", (it) => {
  it.effect("a credential in a file serves the next process with the same key: userinfo, API, renewal", () =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      const flow = flowOf(issuer, "restart")
      const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      const process = <A, E, R>(use: Effect.Effect<A, E, R>) =>
        Effect.provide(use, Layer.fresh(FileCredentialStore.layer({ directory })))
      const { token } = yield* process(signIn(flow))
      assert.strictEqual(token.type, "DPoP")
      yield* process(
        Effect.gen(function* () {
          const source = yield* TokenSource.make(flow)
          const { credential, outcome } = yield* source.renew
          assert.strictEqual(outcome, "renewed")
          assert.strictEqual(credential.token.type, "DPoP")
          assert.isTrue(Equal.equals(credential.token.dpopKey, token.dpopKey))
          const client = yield* OAuthClient.make(flow.client)
          assert.strictEqual((yield* Userinfo.request(client, credential.token)).sub, "alice")
          const url = yield* client.endpoint("userinfo")
          const api = yield* AuthorizedHttpClient.make(Effect.succeed(source), { origins: [issuer] })
          assert.deepInclude(yield* Effect.flatMap(api.get(url), ({ json }) => json), { sub: "alice" })
          const stolen = yield* HttpClient.get(url, { headers: { authorization: `Bearer ${secretOf(credential)}` } })
          assert.strictEqual(stolen.status, 401)
        }).pipe(Effect.scoped)
      )
    }).pipe(Effect.scoped)
  )

  it.effect("a refresh token that is stolen without its key buys nothing", () =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      const flow = flowOf(issuer, "thief")
      const credential = yield* signIn(flow)
      const { dpopKey: _, ...token } = credential.token
      const loot = Credential.make({ ...credential, token: AccessToken.make(token) })
      yield* CredentialStore.use((store) => store.modify(flow.key, (slot) => slot.write(loot)))
      const { renew } = yield* TokenSource.make(flow)
      assert.deepInclude(yield* Effect.flip(renew), { _tag: "LoginRequired", reason: "RefreshRefused" })
    }).pipe(Effect.scoped, Effect.provide(CredentialStore.layerMemory))
  )
})

const secretOf = ({ token }: Credential) => Redacted.value(token.value)
