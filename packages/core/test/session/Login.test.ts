import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose"
import { CredentialStore, Login, UserPrompt } from "keyfob"
import { inTime, issuer, json, metadata, provider, refused, type Reply, scripted, status } from "../scripted.ts"
import { credential, gate, kept, observed, person, storeFailed, tokens, write } from "./given.ts"

/** A provider where the person approves at once. */
const scene = (granted: Reply, script: Readonly<Record<string, Reply>> = {}) => {
  const store = observed()
  const http = scripted({
    ...provider,
    [metadata.device_authorization_endpoint]: json({
      device_code: "d",
      user_code: "u",
      verification_uri: `${issuer}/activate`,
      expires_in: 600
    }),
    [metadata.token_endpoint]: granted,
    ...script
  })
  const prompt = Layer.mock(UserPrompt, { deviceCode: () => Effect.void })
  return { store, http, layer: Layer.mergeAll(store.layer, http.layer, prompt) }
}

const login = inTime(Login.login(person))

const signed = (claims: JWTPayload = {}) =>
  Effect.promise(async () => {
    const { privateKey, publicKey } = await generateKeyPair("ES256")
    const idToken = await new SignJWT({ iss: issuer, aud: "app", sub: "alice", iat: 0, exp: 3600, ...claims })
      .setProtectedHeader({ alg: "ES256" })
      .sign(privateKey)
    return { idToken, jwks: { [metadata.jwks_uri]: json({ keys: [await exportJWK(publicKey)] }) } }
  })

describe("Login", () => {
  it.effect("R1 A-07 A-14 keeps both tokens, counted from the request", () => {
    const { layer } = scene(tokens(1))
    return Effect.gen(function* () {
      const credential = yield* login
      assert.deepInclude(yield* kept(), { generation: 1, access: "access-1", refresh: "refresh-1", refused: false })
      assert.strictEqual(credential.issuedAt.epochMilliseconds, 5000)
      assert.strictEqual(credential.token.expiresAt?.epochMilliseconds, 3_605_000)
    }).pipe(Effect.provide(layer))
  })

  it.effect("knows who signed in, from the verified ID token", () =>
    Effect.gen(function* () {
      const { idToken, jwks } = yield* signed({ name: "Alice", email: "alice@example.com" })
      const { layer } = scene(tokens(1, { id_token: idToken }), jwks)
      yield* Effect.gen(function* () {
        const { account } = yield* login
        assert.deepInclude(account, { sub: "alice", name: "Alice", email: "alice@example.com" })
        assert.deepInclude(yield* kept(), { idToken, sub: "alice" })
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("a name that is no text keeps nobody out", () =>
    Effect.gen(function* () {
      const { idToken, jwks } = yield* signed({ name: null, email: "" })
      const { layer } = scene(tokens(1, { id_token: idToken }), jwks)
      const { account } = yield* Effect.provide(login, layer)
      assert.deepStrictEqual({ ...account }, { sub: "alice" })
    })
  )

  it.effect("R1 a store that cannot be written is found out before anybody is asked", () => {
    const { http, layer } = scene(tokens(1))
    return Effect.gen(function* () {
      const store = yield* CredentialStore
      const readOnly = CredentialStore.make({ ...store, modify: () => storeFailed("ReadOnly") })
      const error = yield* Effect.flip(Effect.provideService(login, CredentialStore, readOnly))
      assert.deepInclude(error, { _tag: "StoreFailed", reason: "ReadOnly" })
      assert.deepStrictEqual(http.to(metadata.device_authorization_endpoint), [])
    }).pipe(Effect.provide(layer))
  })

  it.effect.each([
    ["another issuer", { iss: "https://other.example" }, "Issuer"],
    ["another client", { aud: "other" }, "Audience"],
    ["another time", { exp: -100 }, "Expired"],
    ["nobody", { sub: "" }, "MissingClaim"]
  ] as const)("A-12 A-16 an ID token of %s: typed, and what was there stays as it was", ([, claims, reason]) =>
    Effect.gen(function* () {
      const { idToken, jwks } = yield* signed(claims)
      const { layer } = scene(tokens(9, { id_token: idToken }), jwks)
      yield* Effect.gen(function* () {
        yield* write(credential())
        assert.deepInclude(yield* Effect.flip(login), { _tag: "TokenRejected", reason })
        assert.deepInclude(yield* kept(), { generation: 1, access: "access-1" })
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("an ID token whose keys cannot be had is not believed", () =>
    Effect.gen(function* () {
      const { idToken } = yield* signed()
      const { layer } = scene(tokens(1, { id_token: idToken }), { [metadata.jwks_uri]: status(503) })
      yield* Effect.gen(function* () {
        assert.deepInclude(yield* Effect.flip(login), { _tag: "ProviderUnavailable", endpoint: "jwks" })
        assert.isUndefined(yield* kept())
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("the generation goes on growing; what ended the session before is forgotten", () => {
    const { layer } = scene(tokens(9))
    return Effect.gen(function* () {
      yield* write(credential(3, { refused: true, spending: 3 }))
      assert.strictEqual((yield* login).generation, 4)
      assert.deepInclude(yield* kept(), { generation: 4, refresh: "refresh-9", refused: false, spending: null })
    }).pipe(Effect.provide(layer))
  })

  it.effect("A-08 replaces a damaged credential", () => {
    const { layer, store } = scene(tokens(1))
    return Effect.gen(function* () {
      yield* write(credential())
      store.hooks.before = (operation) => (operation === "read" ? storeFailed("Corrupt") : Effect.void)
      yield* login
      assert.strictEqual((yield* kept())?.access, "access-1")
    }).pipe(Effect.provide(layer))
  })

  it.effect("a store that cannot be read for another reason is not written over", () => {
    const { layer, store } = scene(tokens(9))
    return Effect.gen(function* () {
      yield* write(credential())
      store.hooks.before = (operation) => (operation === "read" ? storeFailed("Unreadable") : Effect.void)
      assert.deepInclude(yield* Effect.flip(login), { _tag: "StoreFailed", reason: "Unreadable" })
      assert.strictEqual((yield* kept())?.access, "access-1")
    }).pipe(Effect.provide(layer))
  })

  it.effect("X-03 a save that fails is tried again with the same data, then told", () => {
    const { http, layer, store } = scene(tokens(1))
    return Effect.gen(function* () {
      let failures = 1
      store.hooks.before = (operation) =>
        operation.startsWith("write") && failures-- > 0 ? storeFailed() : Effect.void
      yield* login
      assert.strictEqual((yield* kept())?.access, "access-1")
      failures = Number.POSITIVE_INFINITY
      assert.deepInclude(yield* Effect.flip(login), { _tag: "StoreFailed", reason: "WriteFailed" })
      assert.lengthOf(http.to(metadata.token_endpoint), 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a login that is refused leaves what was there", () => {
    const { layer } = scene(refused("access_denied"))
    return Effect.gen(function* () {
      yield* write(credential())
      assert.deepInclude(yield* Effect.flip(login), { _tag: "LoginFailed", reason: "Denied" })
      assert.strictEqual((yield* kept())?.access, "access-1")
    }).pipe(Effect.provide(layer))
  })

  it.effect("cancelled while it saves: it is saved", () =>
    Effect.gen(function* () {
      const saving = yield* gate
      const { layer, store } = scene(tokens(1))
      store.hooks.before = (operation) => (operation.startsWith("write") ? saving.pass : Effect.void)
      yield* Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(login)
        yield* saving.arrived
        const cancelling = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        yield* saving.open
        yield* Fiber.join(cancelling)
        assert.strictEqual((yield* kept())?.refresh, "refresh-1")
      }).pipe(Effect.provide(layer))
    })
  )
})
