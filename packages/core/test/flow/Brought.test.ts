import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Brought, Credential, CredentialStore, Login, partsOf, TokenSource, type UnattendedFlow } from "keyfob"
import { issuer, json, metadata, provider, refused, scripted } from "../scripted.ts"

class Api extends TokenSource.Service<Api>()("test/Api") {}
const token = Effect.flatMap(Api, (api) => Effect.map(api.token, ({ value }) => Redacted.value(value)))

const parts = partsOf("user", { issuer, clientId: "app" })
const first = Redacted.make("first")
const refreshToken = Redacted.make("refresh-1")
const hour = 3_600_000
const flowOf = (session: Brought.Session): UnattendedFlow => ({
  attended: false,
  ...parts,
  ...Brought.make(parts.key, session)
})
const next = json({ access_token: "second", expires_in: 3600, refresh_token: "refresh-2" })
const at = (...replies: ReadonlyArray<ReturnType<typeof json>>) =>
  scripted({ ...provider, [metadata.token_endpoint]: replies })

describe("a session that was brought along", () => {
  it.effect("is renewed like any other, and begins once: its end is no beginning", () => {
    const http = at(next, refused("invalid_grant"))
    const flow = flowOf({ token: first, end: hour, refreshToken })
    return Effect.gen(function* () {
      assert.strictEqual(yield* token, "first")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* token, "second")
      assert.isFalse(yield* flow.canObtain ?? Effect.succeed(true))
      yield* TestClock.adjust("2 hours")
      assert.deepInclude(yield* Effect.flip(token), { _tag: "LoginRequired", reason: "RefreshRefused" })
      const spent = http.to(metadata.token_endpoint).map(({ form }) => form["refresh_token"])
      assert.deepStrictEqual(spent, ["refresh-1", "refresh-2"])
    }).pipe(Effect.provide(Api.layer(flow)), Effect.provide(http.layer))
  })

  const over: ReadonlyArray<readonly [string, Partial<Brought.Session>]> = [
    ["without a refresh token", {}],
    ["with one that is over too", { refreshToken, refreshEnd: hour }]
  ]
  it.effect.each(over)("that is over, %s, is none, and nobody is asked", ([, session]) => {
    const http = at()
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      assert.deepInclude(yield* Effect.flip(token), { _tag: "LoginRequired", reason: "NotRenewable" })
      assert.lengthOf(http.to(metadata.token_endpoint), 0)
    }).pipe(Effect.provide(Api.layer(flowOf({ token: first, end: hour, ...session }))), Effect.provide(http.layer))
  })

  it.effect("that was refused as somebody else's is begun anew by a login, and by nothing else", () => {
    const flow = flowOf({ token: first, end: hour, refreshToken })
    const stored = Layer.provideMerge(Api.layerStored(flow), Layer.merge(CredentialStore.layerMemory, at(next).layer))
    return Effect.gen(function* () {
      const { key } = yield* Login.login(flow)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* token, "second")
      // As an answer for another account leaves it: with the refresh token, for a logout to revoke.
      const refuse = Option.map((one: Credential) => Credential.make({ ...one, refused: true }))
      const { modify } = yield* CredentialStore
      yield* modify(key, ({ read, write }) =>
        Effect.flatMap(Effect.flatMap(Effect.map(read, refuse), Effect.fromOption), write)
      )
      assert.deepInclude(yield* Effect.flip(token), { _tag: "LoginRequired", reason: "RefreshRefused" })
      const again = yield* Login.login(flowOf({ token: first, end: 3 * hour, refreshToken }))
      assert.strictEqual(Redacted.value(again.token.value), "first")
      assert.strictEqual(yield* token, "first")
    }).pipe(Effect.provide(stored))
  })

  it.effect("and is not over though its token is, where that can be renewed", () => {
    const http = at(next)
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* token, "second")
    }).pipe(
      Effect.provide(Api.layer(flowOf({ token: first, end: hour, refreshToken, refreshEnd: 2 * hour }))),
      Effect.provide(http.layer)
    )
  })

  it.effect("of no known end, or of one beyond all calendars, is kept; without a token there is none", () =>
    Effect.gen(function* () {
      for (const end of [undefined, 1e300]) {
        yield* Effect.gen(function* () {
          assert.strictEqual(yield* token, "first")
          yield* TestClock.adjust("365 days")
          assert.strictEqual(yield* token, "first")
        }).pipe(
          Effect.provide(Api.layer(flowOf({ token: first, end, refreshToken, refreshEnd: end })), { local: true })
        )
      }
      const none = Api.layer(flowOf({ token: undefined, end: undefined }))
      const error = yield* Effect.flip(Effect.provide(token, none))
      assert.deepInclude(error, { _tag: "ConfigurationInvalid", reason: "MissingValue" })
    }).pipe(Effect.provide(at().layer))
  )
})
