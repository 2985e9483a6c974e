import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { CredentialKey, Logout } from "keyfob"
import {
  broken,
  inTime,
  issuer,
  json,
  metadata,
  openIdLocation,
  provider,
  refused,
  type Reply,
  scripted,
  status
} from "../scripted.ts"
import {
  credential,
  gate,
  kept,
  machine,
  observed,
  person,
  source,
  storeFailed,
  tokens,
  withoutRefreshToken,
  write
} from "./given.ts"

const scene = (revocation: Reply | ReadonlyArray<Reply>, script: Readonly<Record<string, Reply>> = {}) => {
  const store = observed()
  const http = scripted({ ...provider, [metadata.revocation_endpoint]: revocation, ...script })
  const revoked = () =>
    http.to(metadata.revocation_endpoint).map(({ form }) => `${form["token_type_hint"]} ${form["token"]}`)
  return { store, http, revoked, layer: Layer.merge(store.layer, http.layer) }
}

describe("Logout", () => {
  it.effect("revokes the refresh token, then the access token, then forgets", () => {
    const { layer, revoked, store } = scene(status(200))
    return Effect.gen(function* () {
      yield* write(credential())
      store.hooks.before = (operation) =>
        Effect.sync(() => {
          if (operation === "remove") assert.lengthOf(revoked(), 2)
        })
      assert.deepStrictEqual(yield* Logout.logout(person), { removed: true, revoked: true })
      assert.deepStrictEqual(revoked(), ["refresh_token refresh-1", "access_token access-1"])
      assert.isUndefined(yield* kept())
    }).pipe(Effect.provide(layer))
  })

  it.effect("a source that looks afterwards asks for a login", () => {
    const { layer } = scene(status(200))
    return Effect.gen(function* () {
      yield* write(credential())
      yield* Logout.logout(person)
      assert.deepInclude(yield* Effect.flip((yield* source()).token), { _tag: "LoginRequired", reason: "NoCredential" })
    }).pipe(Effect.provide(layer))
  })

  it.effect("a machine's token is revoked as well", () => {
    const { layer, revoked } = scene(status(200))
    return Effect.gen(function* () {
      yield* write(withoutRefreshToken(credential(1, { key: machine.key })))
      assert.deepStrictEqual(yield* Logout.logout(machine), { removed: true, revoked: true })
      assert.deepStrictEqual(revoked(), ["access_token access-1"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("an ID token that goes on requests stays good, which is told where nothing else was revoked", () => {
    const { layer, revoked } = scene(status(200))
    const flow = { ...person, key: CredentialKey.make({ ...person.key, bearer: "id_token" }) }
    return Effect.gen(function* () {
      yield* write(credential(1, { key: flow.key }))
      assert.deepStrictEqual(yield* Logout.logout(flow), { removed: true, revoked: true })
      assert.deepStrictEqual(revoked(), ["refresh_token refresh-1"])
      yield* write(withoutRefreshToken(credential(1, { key: flow.key })))
      const { revocationError, ...result } = yield* Logout.logout(flow)
      assert.deepStrictEqual(result, { removed: true, revoked: false })
      assert.deepInclude(revocationError, { _tag: "ConfigurationInvalid", detail: "revocation of an ID token" })
      assert.lengthOf(revoked(), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("told not to revoke: forgets, and nobody is asked", () => {
    const { http, layer } = scene([])
    return Effect.gen(function* () {
      yield* write(credential())
      assert.deepStrictEqual(yield* Logout.logout(person, { revoke: false }), { removed: true, revoked: false })
      assert.isUndefined(yield* kept())
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("nobody signed in: nothing to do, and nobody is asked", () => {
    const { http, layer } = scene([])
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* Logout.logout(person), { removed: false, revoked: false })
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  const { revocation_endpoint: _, ...withoutRevocation } = metadata
  it.effect.each([
    ["a refusal", scene(refused("invalid_client", 401)), "InvalidClient"],
    ["a provider that is down", scene(status(503)), "ServerError"],
    ["no network", scene(broken("ENETUNREACH"), { [openIdLocation]: broken("ENETUNREACH") }), "Unreachable"],
    ["a provider that cannot revoke", scene([], { [openIdLocation]: json(withoutRevocation) }), "NotSupported"]
  ] as const)("%s is reported, and the credential is forgotten all the same", ([, { layer }, reason]) =>
    Effect.gen(function* () {
      yield* write(credential())
      const result = yield* inTime(Logout.logout(person))
      assert.deepInclude(result, { removed: true, revoked: false })
      assert.strictEqual(result.revocationError?.reason, reason)
      assert.isUndefined(yield* kept())
    }).pipe(Effect.provide(layer))
  )

  it.effect.each([
    ["read", "Corrupt"],
    ["remove", "ReadOnly"]
  ] as const)("a store that fails to %s is the caller's to know", ([operation, reason]) => {
    const { layer, store } = scene(status(200))
    return Effect.gen(function* () {
      yield* write(credential())
      store.hooks.before = (next) => (next === operation ? storeFailed(reason) : Effect.void)
      assert.deepInclude(yield* Effect.flip(Logout.logout(person)), { _tag: "StoreFailed", reason })
    }).pipe(Effect.provide(layer))
  })

  it.effect("R15 other accounts stay signed in", () => {
    const { layer, revoked } = scene(status(200))
    const other = CredentialKey.make({ ...person.key, account: "other" })
    return Effect.gen(function* () {
      yield* write(credential())
      yield* write(credential(7, { key: other }))
      yield* Logout.logout(person)
      assert.deepInclude(yield* kept(other), { generation: 7, access: "access-7" })
      assert.lengthOf(revoked(), 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("X-05 during a renewal: waits for it, and revokes what it brought", () =>
    Effect.gen(function* () {
      const answering = yield* gate
      const { layer, revoked } = scene(status(200), {
        [metadata.token_endpoint]: (request) => Effect.andThen(answering.pass, tokens(2)(request))
      })
      yield* Effect.gen(function* () {
        yield* write(credential())
        const { renew } = yield* source()
        const renewal = yield* Effect.forkChild(renew)
        yield* answering.arrived
        const leaving = yield* Effect.forkChild(Logout.logout(person), { startImmediately: true })
        yield* answering.open
        yield* Fiber.join(renewal)
        assert.deepStrictEqual(yield* Fiber.join(leaving), { removed: true, revoked: true })
        assert.deepStrictEqual(revoked(), ["refresh_token refresh-2", "access_token access-2"])
        assert.isUndefined(yield* kept())
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("the access token is revoked although the refresh token could not be", () => {
    const { layer, revoked } = scene([refused("unsupported_token_type"), status(200)])
    return Effect.gen(function* () {
      yield* write(credential())
      const result = yield* Logout.logout(person)
      assert.deepInclude(result, { removed: true, revoked: false })
      assert.deepInclude(result.revocationError, { _tag: "ProviderRefused", code: "unsupported_token_type" })
      assert.deepStrictEqual(revoked(), ["refresh_token refresh-1", "access_token access-1"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a provider that takes refresh tokens alone has taken all there was", () => {
    const { layer, revoked } = scene([status(200), refused("unsupported_token_type")])
    return Effect.gen(function* () {
      yield* write(credential())
      assert.deepStrictEqual(yield* Logout.logout(person), { removed: true, revoked: true })
      assert.deepStrictEqual(revoked(), ["refresh_token refresh-1", "access_token access-1"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a machine's token that cannot be revoked is reported as such", () => {
    const { layer } = scene(refused("unsupported_token_type"))
    return Effect.gen(function* () {
      yield* write(withoutRefreshToken(credential(1, { key: machine.key })))
      assert.deepInclude(yield* Logout.logout(machine), { removed: true, revoked: false })
    }).pipe(Effect.provide(layer))
  })

  it.effect("no token is in the report of a failed revocation", () => {
    const { layer } = scene(refused("invalid_client", 401))
    return Effect.gen(function* () {
      yield* write(credential())
      const report = JSON.stringify(yield* Logout.logout(person))
      for (const secret of ["refresh-1", "access-1"]) assert.notInclude(report, secret)
      assert.include(report, new URL(issuer).host)
    }).pipe(Effect.provide(layer))
  })
})
