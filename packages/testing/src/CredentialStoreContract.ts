/**
 * What every `CredentialStore` must do, as a test suite for vitest: run it over a store of your own.
 *
 * ```ts
 * import { CredentialStoreContract } from "@keyfob/testing"
 *
 * CredentialStoreContract.suite("my store", MyStore.layer, { durable: true })
 * ```
 *
 * Every case works on keys that no other case uses. The suite leaves its credentials in the store: give it an empty
 * place of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { AccessToken, Account, Credential, CredentialKey, CredentialStore } from "keyfob"

/** The secret in every credential of the suite: nothing that is printed may contain it. */
const canary = "canary-4f1d9c"

/** Whoever adds a member is told that it is missing here. */
type Every<Fields, Except extends keyof Fields = never> = Record<Exclude<keyof Fields, Except>, unknown>

const keyOf = (account: string, different: Partial<typeof CredentialKey.Type> = {}): CredentialKey =>
  CredentialKey.make({
    issuer: "https://login.example.com",
    clientId: "app",
    account,
    subject: "user" as const,
    scopes: ["openid", "profile"],
    audience: "https://api.example.com",
    resource: ["https://files.example.com"],
    params: { prompt: "none" },
    bearer: "id_token" as const,
    dpop: true,
    certificateBoundAccessTokens: true,
    links: ["discovery"],
    ...different
  } satisfies Every<typeof CredentialKey.fields, "use">)

const credentialOf = (key: CredentialKey, generation = 1): Credential =>
  Credential.make({
    key,
    generation,
    token: AccessToken.make({
      value: Redacted.make(`${canary}-access-${generation}`),
      type: "Bearer",
      dpopKey: Redacted.make({
        kty: "EC" as const,
        crv: "P-256" as const,
        x: coordinate,
        y: coordinate,
        d: coordinate
      }),
      expiresAt: DateTime.makeUnsafe("2031-02-03T04:05:06.789Z"),
      clockOffset: -1234.5,
      scopes: ["openid"],
      details: { server: "https://files.example.com", regions: ["Ærø", null, { main: true }] }
    } satisfies Every<typeof AccessToken.fields>),
    issuedAt: DateTime.makeUnsafe("2031-02-03T03:05:06.007Z"),
    refreshAt: DateTime.makeUnsafe("2031-02-03T03:35:06.001Z"),
    refreshToken: Redacted.make(`${canary}-refresh-${generation}`),
    refreshExpiresAt: DateTime.makeUnsafe("2031-03-03T03:05:06.002Z"),
    refreshExpiryFixedSince: DateTime.makeUnsafe("2031-02-03T03:05:06.003Z"),
    idToken: Redacted.make(`${canary}-id`),
    account: Account.make({ sub: "42", name: "Ærø 🗝", email: "a@example.com" } satisfies Every<typeof Account.fields>),
    signedInAt: DateTime.makeUnsafe("2031-02-01T03:05:06.004Z"),
    begunWith: "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg",
    margin: Duration.millis(90_500),
    spending: generation,
    refused: true
  } satisfies Every<typeof Credential.fields>)

const coordinate = canary.padEnd(43, "A")

/** In clear, so that two credentials with equal texts are equal in every member, secrets too. */
const encode = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(Credential)))
const clear = (credential: Credential) => encode(credential)

const write = (credential: Credential) =>
  CredentialStore.use((store) => store.modify(credential.key, (slot) => slot.write(credential)))

const get = (key: CredentialKey) => CredentialStore.use((store) => store.get(key))

const assertHolds = (found: Option.Option<Credential>, expected: Credential) =>
  assert.deepStrictEqual(
    JSON.parse(Option.match(found, { onNone: () => '"nothing is there"', onSome: clear })),
    JSON.parse(clear(expected))
  )

/** What hangs is told by what it should have done; whoever is stuck is left behind, detached, for the rest of the suite. */
const inTime = (so: string) =>
  Effect.timeoutOrElse({
    duration: "30 seconds",
    orElse: () => Effect.die(new Error(`waited for 30 seconds: ${so}`))
  })

export interface Options {
  /** What one build of the layer writes, others find: it is held against them, as against other processes. Default: false. */
  readonly durable?: boolean
  /**
   * Ends the lease that somebody holds on a key, as its time or a broken connection does, for a store whose leases can end
   * under their holder. Default: they cannot.
   */
  readonly endLease?: (key: CredentialKey) => Effect.Effect<unknown, unknown>
}

/** Registers the suite under `name`. `layer` is built anew for each case. */
export const suite = <E>(name: string, layer: Layer.Layer<CredentialStore, E>, options: Options = {}): void => {
  /** The store as two processes have it; where it is not durable, there is but one. */
  const two = Effect.gen(function* () {
    const build = Effect.map(Layer.build(Layer.fresh(layer)), Context.get(CredentialStore))
    const one = yield* build
    return [one, options.durable === true ? yield* build : one] as const
  })

  describe(`CredentialStore contract: ${name}`, () => {
    it.live("has nothing at first", () =>
      Effect.gen(function* () {
        const key = keyOf("absent")
        const store = yield* CredentialStore
        assert.deepStrictEqual(yield* store.get(key), Option.none())
        assert.deepStrictEqual(yield* store.modify(key, (slot) => slot.read), Option.none())
        assert.deepStrictEqual(
          (yield* store.list).filter((credential) => credential.key.account === "absent"),
          []
        )
      }).pipe(Effect.provide(layer))
    )

    it.live("gives back every member of what was written, by key and in the list", () =>
      Effect.gen(function* () {
        const full = credentialOf(keyOf("written"))
        const bare = Credential.make({
          key: CredentialKey.make({
            issuer: "https://login.example.com",
            clientId: "app",
            account: "written",
            subject: "client",
            scopes: [],
            resource: [],
            params: {}
          }),
          generation: 0,
          token: AccessToken.make({ value: Redacted.make("t"), type: "Bearer", scopes: [] }),
          issuedAt: DateTime.makeUnsafe(0)
        })
        yield* write(full)
        yield* write(bare)
        assertHolds(yield* get(full.key), full)
        assertHolds(yield* get(bare.key), bare)
        const listed = (yield* (yield* CredentialStore).list).filter(({ key }) => key.account === "written")
        assert.deepStrictEqual(listed.map(clear).sort(), [full, bare].map(clear).sort())
      }).pipe(Effect.provide(layer))
    )

    it.live("replaces what was there", () =>
      Effect.gen(function* () {
        const key = keyOf("replaced")
        yield* write(credentialOf(key, 1))
        yield* write(credentialOf(key, 2))
        assertHolds(yield* get(key), credentialOf(key, 2))
        assert.lengthOf(
          (yield* (yield* CredentialStore).list).filter((found) => found.key.account === "replaced"),
          1
        )
      }).pipe(Effect.provide(layer))
    )

    it.live("keeps long tokens whole, and what is shorter after them", () =>
      Effect.gen(function* () {
        const key = keyOf("long")
        const short = credentialOf(key, 2)
        // As long as the access tokens of some providers get, with every character that a token may have.
        const value = Redacted.make("aZ09-._~+/=".repeat(2000))
        const long = (generation: number) =>
          Credential.make({ ...short, generation, token: AccessToken.make({ ...short.token, value }) })
        for (const credential of [long(1), short, long(3)]) {
          yield* write(credential)
          assertHolds(yield* get(key), credential)
        }
      }).pipe(Effect.provide(layer))
    )

    if (options.durable === true) {
      it.live("keeps credentials when the layer is built anew", () =>
        Effect.gen(function* () {
          const credential = credentialOf(keyOf("durable"))
          yield* Effect.provide(write(credential), layer)
          assertHolds(yield* Effect.provide(get(credential.key), layer), credential)
        })
      )
    }

    it.live("never shares between keys that differ in one member", () =>
      Effect.gen(function* () {
        const account = "members"
        const whole = keyOf(account)
        const { audience: _, ...withoutAudience } = whole
        const { bearer: __, ...withoutBearer } = whole
        const keys = [
          whole,
          keyOf(account, { issuer: "https://login.example.com/" }),
          keyOf(account, { clientId: "App" }),
          keyOf(`${account}/`),
          keyOf("Members"),
          keyOf(account, { subject: "client" }),
          keyOf(account, { scopes: ["openid"] }),
          keyOf(account, { scopes: ["openid profile"] }),
          keyOf(account, { audience: "" }),
          CredentialKey.make(withoutAudience),
          keyOf(account, { resource: [] }),
          keyOf(account, { resource: ["https://files.example.com", "https://mail.example.com"] }),
          keyOf(account, { params: {} }),
          keyOf(account, { params: { prompt: "login" } }),
          keyOf(account, { params: { prompt: "none", extra: "" } }),
          keyOf(account, { use: "logins" }),
          CredentialKey.make(withoutBearer),
          keyOf(account, { dpop: false }),
          keyOf(account, { certificateBoundAccessTokens: false }),
          keyOf(account, { links: [] }),
          keyOf(account, { links: ["discovery", "domain"] })
        ]
        const credentials = keys.map((key, index) => credentialOf(key, index + 1))
        yield* Effect.forEach(credentials, write)
        for (const credential of credentials) assertHolds(yield* get(credential.key), credential)
        yield* CredentialStore.use((store) => store.modify(keyOf(account), (slot) => slot.remove))
        for (const credential of credentials.slice(1)) assertHolds(yield* get(credential.key), credential)
      }).pipe(Effect.provide(layer))
    )

    it.live("does not mind the order of scopes, resources and parameters", () =>
      Effect.gen(function* () {
        const one = keyOf("order", { scopes: ["a", "b"], resource: ["r", "s"], params: { x: "1", y: "2" } })
        const other = keyOf("order", { scopes: ["b", "a"], resource: ["s", "r"], params: { y: "2", x: "1" } })
        yield* write(credentialOf(one))
        assertHolds(yield* get(other), credentialOf(one))
      }).pipe(Effect.provide(layer))
    )

    it.live("removes, also what is not there", () =>
      Effect.gen(function* () {
        const store = yield* CredentialStore
        const key = keyOf("removed")
        yield* write(credentialOf(key))
        yield* store.modify(key, (slot) =>
          Effect.gen(function* () {
            yield* slot.remove
            assert.deepStrictEqual(yield* slot.read, Option.none())
            yield* slot.remove
          })
        )
        assert.deepStrictEqual(yield* store.get(key), Option.none())
        assert.deepStrictEqual(
          (yield* store.list).filter((found) => found.key.account === "removed"),
          []
        )
      }).pipe(Effect.provide(layer))
    )

    it.live("shows the latest write inside the slot and to everybody else", () =>
      Effect.gen(function* () {
        const store = yield* CredentialStore
        const key = keyOf("latest")
        yield* store.modify(key, (slot) =>
          Effect.gen(function* () {
            for (const generation of [1, 2]) {
              yield* slot.write(credentialOf(key, generation))
              assertHolds(yield* slot.read, credentialOf(key, generation))
              const outside = store.get(key).pipe(inTime("whoever reads is not held up"))
              assertHolds(yield* outside, credentialOf(key, generation))
            }
          })
        )
      }).pipe(Effect.provide(layer))
    )

    it.live(
      "lets one at a time modify a credential, of all processes",
      () =>
        Effect.gen(function* () {
          const stores = yield* two
          const key = keyOf("counted")
          const increment = (store: CredentialStore["Service"]) =>
            store.modify(key, (slot) =>
              Effect.gen(function* () {
                const before = yield* slot.read
                yield* Effect.sleep("5 millis")
                yield* slot.write(
                  credentialOf(key, Option.match(before, { onNone: () => 1, onSome: (it) => it.generation + 1 }))
                )
              })
            )
          const all = Array.from({ length: 5 }, () => stores.map(increment)).flat()
          yield* Effect.all(all, { concurrency: "unbounded" }).pipe(inTime("each of ten has its turn"))
          for (const store of stores) assertHolds(yield* store.get(key), credentialOf(key, 10))
        }).pipe(Effect.scoped),
      60_000
    )

    it.live("shows at once what another process wrote and removed", () =>
      Effect.gen(function* () {
        const [one, other] = yield* two
        const key = keyOf("seen")
        const listed = Effect.map(other.list, (all) => all.filter((found) => found.key.account === "seen").map(clear))
        for (const generation of [1, 2]) {
          const credential = credentialOf(key, generation)
          yield* one.modify(key, (slot) => slot.write(credential))
          assertHolds(yield* other.get(key), credential)
          assertHolds(yield* other.modify(key, (slot) => slot.read), credential)
          assert.deepStrictEqual(yield* listed, [clear(credential)])
        }
        yield* one.modify(key, (slot) => slot.remove)
        assert.deepStrictEqual(yield* other.get(key), Option.none())
        assert.deepStrictEqual(yield* listed, [])
      }).pipe(Effect.scoped)
    )

    it.live(
      "shows nobody half of what is being written",
      () =>
        Effect.gen(function* () {
          const [one, other] = yield* two
          const key = keyOf("whole")
          const short = credentialOf(key, 1)
          const value = Redacted.make("aZ09-._~+/=".repeat(2000))
          const long = Credential.make({ ...short, token: AccessToken.make({ ...short.token, value }) })
          const writing = one.modify(key, (slot) =>
            Effect.forEach(Array.from({ length: 10 }, () => [short, long]).flat(), slot.write, { discard: true })
          )
          yield* one.modify(key, (slot) => slot.write(long))
          const writer = yield* Effect.forkChild(writing)
          while (writer.pollUnsafe() === undefined) {
            const found = yield* other.get(key)
            assert.include([clear(short), clear(long)], Option.getOrUndefined(Option.map(found, clear)))
            yield* Effect.sleep("1 millis")
          }
          yield* Fiber.join(writer).pipe(inTime("writing comes to an end"))
        }).pipe(Effect.scoped),
      60_000
    )

    const { endLease } = options
    if (endLease !== undefined) {
      it.live(
        "takes nothing from a holder whose lease has ended, once another had it",
        () =>
          Effect.gen(function* () {
            const [one, other] = yield* two
            const key = keyOf("late")
            const newer = credentialOf(key, 2)
            yield* one.modify(key, (slot) =>
              Effect.gen(function* () {
                yield* slot.write(credentialOf(key, 1))
                yield* endLease(key)
                yield* other
                  .modify(key, ({ write }) => write(newer))
                  .pipe(inTime("a lease that ended is given to the next"))
                for (const late of [slot.write(credentialOf(key, 3)), slot.remove]) {
                  const refused = yield* Effect.match(late, { onSuccess: () => "taken", onFailure: ({ _tag }) => _tag })
                  assert.strictEqual(refused, "StoreFailed", "what a holder brings too late is refused")
                  assertHolds(yield* other.get(key), newer)
                }
              })
            )
          }).pipe(Effect.scoped),
        60_000
      )
    }

    it.live(
      "holds nobody up who modifies another credential, or reads",
      () =>
        Effect.gen(function* () {
          const store = yield* CredentialStore
          const key = keyOf("held")
          const another = write(credentialOf(keyOf("held", { subject: "client" })))
          yield* store.modify(key, () =>
            Effect.gen(function* () {
              yield* store.get(key).pipe(inTime("whoever reads the credential is not held up"))
              yield* store.list.pipe(inTime("whoever lists is not held up"))
              yield* Fiber.join(yield* Effect.forkDetach(another)).pipe(
                inTime("whoever modifies another credential is not held up")
              )
            })
          )
        }).pipe(Effect.provide(layer)),
      60_000
    )

    it.live(
      "releases the lease after a failure, a defect and an interruption",
      () =>
        Effect.gen(function* () {
          const store = yield* CredentialStore
          const key = keyOf("released")
          let runs = 0
          const failing = Effect.andThen(
            Effect.sync(() => runs++),
            Effect.fail("as it is" as const)
          )
          const failure = yield* Effect.exit(store.modify(key, () => failing))
          assert.deepStrictEqual(failure, Exit.fail("as it is"), "a failure is passed on as it is")
          assert.strictEqual(runs, 1, "what failed is run once: it may have spent something")
          const bug = yield* Effect.exit(store.modify(key, () => Effect.die("a bug"))).pipe(
            inTime("after a failure the lease is free")
          )
          assert.isTrue(Exit.hasDies(bug), "a defect stays one")
          const inside = yield* Deferred.make<void>()
          const stuck = yield* Effect.forkDetach(
            store.modify(key, () => Effect.andThen(Deferred.succeed(inside, undefined), Effect.never))
          )
          yield* Deferred.await(inside).pipe(inTime("after a defect the lease is free"))
          const waiting = yield* Effect.forkDetach(store.modify(key, () => Effect.void))
          yield* Fiber.interrupt(waiting).pipe(inTime("whoever waits for the lease can be interrupted"))
          yield* Fiber.interrupt(stuck).pipe(inTime("whoever has the lease can be interrupted"))
          yield* write(credentialOf(key)).pipe(inTime("after an interruption the lease is free"))
        }).pipe(Effect.provide(layer)),
      60_000
    )

    it.live("keeps what was written before a failure", () =>
      Effect.gen(function* () {
        const store = yield* CredentialStore
        const key = keyOf("kept")
        yield* Effect.exit(
          store.modify(key, (slot) => Effect.andThen(slot.write(credentialOf(key)), Effect.fail("later")))
        )
        assertHolds(yield* store.get(key), credentialOf(key))
      }).pipe(Effect.provide(layer))
    )

    it.live("shows no secret in what it gives back or fails with", () =>
      Effect.gen(function* () {
        const store = yield* CredentialStore
        const key = keyOf("secret")
        yield* write(credentialOf(key))
        const failed = yield* Effect.exit(
          store.modify(key, (slot) => Effect.flatMap(slot.read, (found) => Effect.die(new Error(String(found)))))
        )
        const printed = [yield* store.get(key), yield* store.list, failed].map(
          (value) => `${String(value)} ${JSON.stringify(value)}`
        )
        const pretty = Exit.isFailure(failed) ? Cause.pretty(failed.cause) : ""
        assert.notInclude([...printed, pretty].join("\n"), canary)
      }).pipe(Effect.provide(layer))
    )
  })
}
