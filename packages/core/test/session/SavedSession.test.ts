import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Option, Redacted } from "effect"
import { Account, Credential, CredentialKey, CredentialStore, SavedSession } from "keyfob"
import { credential, kept, person, withoutRefreshToken, write } from "./given.ts"

const account = Account.make({ sub: "alice", email: "alice@example.com" })
const root = credential(3, { account, signedInAt: DateTime.makeUnsafe(0), spending: 3 })
const derived = Credential.make({ ...root, key: CredentialKey.make({ ...root.key, links: ["discovery"] }) })
const other = Credential.make({ ...root, key: CredentialKey.make({ ...root.key, account: "other" }) })

const scene = Effect.provide(CredentialStore.layerMemory)
const elsewhere = <A, E>(effect: Effect.Effect<A, E, CredentialStore>) =>
  Effect.provide(effect, Layer.fresh(CredentialStore.layerMemory))

describe("SavedSession", () => {
  it.effect("goes on elsewhere as it was: every level, who signed in, and a refresh that was not finished", () =>
    Effect.gen(function* () {
      yield* Effect.forEach([derived, root, other], write)
      const text = yield* SavedSession.save(person)
      const found = yield* elsewhere(
        Effect.andThen(
          SavedSession.restore(text, person),
          CredentialStore.use(({ list }) => list)
        )
      )
      assert.deepStrictEqual(
        found.map(({ account, generation, key, refreshToken, spending }) => [
          key.links,
          account?.sub,
          refreshToken && Redacted.value(refreshToken),
          spending === generation
        ]),
        [
          [undefined, "alice", "refresh-3", true],
          [["discovery"], "alice", "refresh-3", true]
        ]
      )
    }).pipe(scene)
  )

  it.effect("R11 R15 is nobody else's, of no other version, and said to be neither without a word of it", () =>
    Effect.gen(function* () {
      yield* write(root)
      const text = yield* SavedSession.save(person)
      const foreign = [
        [text, other],
        [text, { key: CredentialKey.make({ ...person.key, clientId: "another" }) }],
        [text.replace('"version":1', '"version":2'), person],
        ["canary", person]
      ] as const
      for (const [given, owner] of foreign) {
        const failure = yield* elsewhere(Effect.flip(SavedSession.restore(given, owner)))
        assert.deepInclude(failure, { _tag: "ConfigurationInvalid", reason: "InvalidValue" })
        assert.notMatch(failure.message, /canary|access-3|refresh-3/)
      }
    }).pipe(scene)
  )

  it.effect("B-43 says nothing of an owner who is known by other means, and gives that back", () =>
    Effect.gen(function* () {
      yield* write(root)
      const owner = { ...person, account }
      const text = yield* SavedSession.save(owner)
      for (const word of ["alice", person.key.issuer, person.key.clientId]) assert.notInclude(text, `"${word}`)
      const found = yield* elsewhere(
        Effect.andThen(
          SavedSession.restore(text, owner),
          CredentialStore.use(({ get }) => get(person.key))
        )
      )
      assert.deepStrictEqual(Option.getOrThrow(found).account, account)
    }).pipe(scene)
  )

  it.effect("comes after what is there, where it is the later one: whoever holds that is behind", () =>
    Effect.gen(function* () {
      yield* write(Credential.make({ ...root, issuedAt: DateTime.makeUnsafe(1) }))
      const text = yield* SavedSession.save(person)
      yield* write(credential(7))
      yield* SavedSession.restore(text, person)
      assert.deepInclude(yield* kept(), { generation: 8, refresh: "refresh-3", spending: 8 })
    }).pipe(scene)
  )

  const since: ReadonlyArray<readonly [string, Credential]> = [
    ["renewed", credential(4, { issuedAt: DateTime.makeUnsafe(1) })],
    ["renewed, with a token of no use", credential(4)],
    ["ended by the provider", withoutRefreshToken(credential(3, { refused: true }))],
    ["begun anew", credential(1, { issuedAt: DateTime.makeUnsafe(1) })]
  ]
  it.effect.each(since)("R1 a session that was %s since is not overwritten with the one that was saved", ([, later]) =>
    Effect.gen(function* () {
      yield* Effect.forEach([root, derived], write)
      const text = yield* SavedSession.save(person)
      yield* CredentialStore.use(({ modify }) => modify(derived.key, ({ remove }) => remove))
      yield* write(later)
      const before = yield* kept()
      yield* SavedSession.restore(text, person)
      assert.deepStrictEqual(yield* kept(), before)
      assert.isUndefined(yield* kept(derived.key))
    }).pipe(scene)
  )

  it.effect("counts on where it goes on, and so does not come back over what became of it there", () =>
    Effect.gen(function* () {
      yield* write(root)
      const text = yield* SavedSession.save(person)
      yield* elsewhere(
        Effect.gen(function* () {
          yield* SavedSession.restore(text, person)
          assert.strictEqual((yield* kept())?.generation, 3)
          yield* write(credential(4))
          yield* SavedSession.restore(text, person)
          assert.strictEqual((yield* kept())?.refresh, "refresh-4")
        })
      )
    }).pipe(scene)
  )
})
