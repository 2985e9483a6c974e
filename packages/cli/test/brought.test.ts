import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { apiUrl, FakeAuki } from "@keyfob/auki/testing"
import { configured } from "./configured.ts"
import * as Keyfob from "./Keyfob.ts"

const where =
  'type = "auki"\napi_url = "https://api.auki.test"\ndds_url = "https://dds.auki.test"\nclient_id = "laptop"\n'
const spaces = `[contexts.lab.providers.spaces]\n${where}method = "opaque"\n`
const key = '[contexts.lab.providers.key]\ntype = "static"\n'

const users = { "alice@example.com": "a", "bob@example.com": "b" }
const services = Layer.fresh(FakeAuki.layer({ users }))

interface Session {
  readonly access_token: string
  readonly refresh_token: string
}

/** What somebody has from elsewhere: a session that the services know. */
const sessionOf = Effect.fnUntraced(function* (email: keyof typeof users) {
  const { handle } = yield* FakeAuki
  const body = JSON.stringify({ email, password: users[email] })
  const { body: session } = yield* handle({ method: "POST", path: `${apiUrl}/user/login`, headers: {}, body })
  const { access_token, refresh_token } = session as Session // what the fake answers to a login
  const opaque = { KEYFOB_TOKEN: access_token }
  return { token: access_token, opaque, renewable: { ...opaque, KEYFOB_REFRESH_TOKEN: refresh_token } }
})

const subOf = (token: string): unknown => JSON.parse(atob(token.split(".")[1] ?? "")).sub

describe("a token that was brought to the command, and then another", () => {
  it.effect(
    "attack: R15 B.8#9 the account is switched, then a domain asked for: no level is left of the one before",
    () =>
      Effect.gen(function* () {
        const { json } = yield* configured(spaces)
        const [alice, bob] = [yield* sessionOf("alice@example.com"), yield* sessionOf("bob@example.com")]
        const domain = (env?: Record<string, string>) =>
          Effect.map(json("token spaces --domain hall", env), ({ access_token }) => subOf(access_token))
        assert.strictEqual(yield* domain(alice.opaque), "alice@example.com")
        assert.strictEqual(yield* domain(bob.opaque), "bob@example.com")
        assert.strictEqual((yield* json("token spaces", bob.opaque)).access_token, bob.token)
        // The other way round: the network's first, in the same millisecond.
        assert.strictEqual((yield* json("token spaces", alice.opaque)).access_token, alice.token)
        assert.strictEqual(yield* domain(alice.opaque), "alice@example.com")
        // Who brings none has what is there.
        assert.strictEqual(yield* domain(), "alice@example.com")
        const { to } = yield* FakeAuki
        assert.lengthOf(to("/auth"), 3)
      }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("R15 login signs in with another token, and only with another; status and schedule tell whose it is", () =>
    Effect.gen(function* () {
      const { json } = yield* configured(spaces)
      const [alice, bob] = [yield* sessionOf("alice@example.com"), yield* sessionOf("bob@example.com")]
      const standing = (env?: Record<string, string>) => Effect.map(json("status spaces", env), ([row]) => row.status)
      assert.strictEqual((yield* json("login spaces", alice.opaque)).outcome, "signed_in")
      assert.strictEqual((yield* json("login spaces", alice.opaque)).outcome, "already_signed_in")
      assert.strictEqual((yield* json("login spaces")).outcome, "already_signed_in")
      assert.deepStrictEqual(
        [yield* standing(alice.opaque), yield* standing(bob.opaque), yield* standing()],
        ["authenticated", "login_required", "authenticated"]
      )
      assert.deepInclude((yield* json("schedule spaces", bob.opaque))[0], { event: "login_required" })
      assert.deepInclude((yield* json("explain spaces --domain hall", bob.opaque)).nodes[0], { standing: "absent" })
      assert.strictEqual((yield* json("login spaces", bob.opaque)).outcome, "signed_in")
      assert.deepStrictEqual(
        [yield* standing(alice.opaque), yield* standing(bob.opaque)],
        ["login_required", "authenticated"]
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("attack: R15 the file's own refresh token goes with the file's own token, and with no other", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* sessionOf("alice@example.com"), yield* sessionOf("bob@example.com")]
      const { KEYFOB_REFRESH_TOKEN } = alice.renewable
      const { json, keyfob } = yield* configured(
        `${spaces}token = "${alice.token}"\nrefresh_token = "${KEYFOB_REFRESH_TOKEN}"\n`
      )
      assert.strictEqual((yield* json("token spaces", bob.opaque)).access_token, bob.token)
      yield* TestClock.adjust("61 minutes")
      assert.strictEqual((yield* keyfob("token spaces", bob.opaque)).exitCode, 3)
      assert.strictEqual(subOf((yield* json("token spaces", alice.opaque)).access_token), "alice@example.com")
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("attack: R15 nor is when that one ends said of another", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* sessionOf("alice@example.com"), yield* sessionOf("bob@example.com")]
      const { json } = yield* configured(`${spaces}token = "${alice.token}"\nexpiry_ms = 60000\n`)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* json("token spaces", bob.opaque)).access_token, bob.token)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect(
    "attack: R15 the environment's refresh token is no token's of a flag, where the environment has its own",
    () =>
      Effect.gen(function* () {
        const [alice, bob] = [yield* sessionOf("alice@example.com"), yield* sessionOf("bob@example.com")]
        const { keyfob } = yield* configured(spaces)
        const { KEYFOB_REFRESH_TOKEN } = bob.renewable
        for (const [env, exitCode] of [
          [alice.renewable, 3],
          [{ KEYFOB_REFRESH_TOKEN }, 0]
        ] as const) {
          assert.strictEqual((yield* keyfob("login spaces --force --token-stdin", env, bob.token)).exitCode, 0)
          yield* TestClock.adjust("61 minutes")
          assert.strictEqual((yield* keyfob("token spaces")).exitCode, exitCode)
        }
        const { to } = yield* FakeAuki
        assert.lengthOf(to("/user/refresh"), 1)
      }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("of several providers, who has no token of their own has the refresh token that comes with one too", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* sessionOf("alice@example.com"), yield* sessionOf("bob@example.com")]
      const own = `[contexts.lab.providers.own]\n${where}method = "opaque"\ntoken = "${bob.token}"\n`
      const { json, keyfob } = yield* configured(spaces + own)
      yield* json("login", alice.renewable)
      yield* TestClock.adjust("61 minutes")
      assert.strictEqual(subOf((yield* json("token spaces")).access_token), "alice@example.com")
      assert.strictEqual((yield* keyfob("token own")).exitCode, 3)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("R15 keepalive and refresh renew nothing of another's; a logout forgets whatever is there", () =>
    Effect.gen(function* () {
      const { files, json, keyfob } = yield* configured(spaces)
      const [alice, bob] = [yield* sessionOf("alice@example.com"), yield* sessionOf("bob@example.com")]
      const { to } = yield* FakeAuki
      yield* json("login spaces", alice.renewable)
      yield* TestClock.adjust("59.5 minutes")
      assert.deepInclude((yield* json("keepalive", bob.opaque))[0], { outcome: "fresh" })
      assert.lengthOf(to("/user/refresh"), 0)
      assert.deepInclude((yield* json("keepalive", alice.renewable))[0], { outcome: "renewed" })
      assert.lengthOf(to("/user/refresh"), 1)
      const [renewed, plain] = [yield* json("token spaces", alice.renewable), yield* json("token spaces")]
      assert.deepStrictEqual([renewed, subOf(renewed.access_token)], [plain, "alice@example.com"])
      assert.notStrictEqual(renewed.access_token, alice.token)
      for (const text of files()) assert.notInclude(text, alice.token)
      assert.strictEqual((yield* keyfob("logout spaces --no-revoke", bob.opaque)).exitCode, 0)
      for (const text of files()) assert.notMatch(text, /eyJ|refresh-/)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live(
    "R15 R2 processes at once, each with its own token: each prints its own, and one of them is what is there",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        yield* keyfob.done(["context", "add", "lab", "key", "--issuer", "https://id.example", "--client-id", "x"])
        yield* keyfob.write("config.toml", spaces)
        const tokens = ["of-alice", "of-bob", "of-alice", "of-bob", "of-alice", "of-bob"]
        const all = yield* Effect.all(
          tokens.map((token) => keyfob.done(["token", "spaces"], { env: { KEYFOB_TOKEN: token } })),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          all.map(({ stdout }) => stdout.trim()),
          tokens
        )
        assert.include(tokens, (yield* keyfob.done(["token", "spaces"])).stdout.trim())
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "R15 the built command, its quick way too: what is printed is what was brought, else what is there",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        yield* keyfob.done(["context", "add", "lab", "key", "--issuer", "https://id.example", "--client-id", "x"])
        yield* keyfob.write("config.toml", spaces + key)
        const printed = (name: string, token?: string) =>
          Effect.map(
            keyfob.done(["token", name], token === undefined ? {} : { env: { KEYFOB_TOKEN: token } }),
            ({ stdout }) => stdout.trim()
          )
        for (const token of ["of-alice", "of-alice", "of-bob", "of-bob", "of-alice"]) {
          assert.strictEqual(yield* printed("spaces", token), token)
          assert.strictEqual(yield* printed("spaces"), token)
        }
        yield* keyfob.done(["login", "key", "--token-stdin"], { stdin: "of-alice\n" })
        assert.deepStrictEqual([yield* printed("key"), yield* printed("key", "of-alice")], ["of-alice", "of-alice"])
        const env = { KEYFOB_TOKEN: "of-bob" }
        Keyfob.failsWith(yield* keyfob.run(["token", "key"], { env }), 3, /nobody is signed in/)
        assert.strictEqual(yield* printed("key"), "of-alice")
        assert.strictEqual((yield* keyfob.json(["login", "key"], { env })).outcome, "signed_in")
        assert.deepStrictEqual([yield* printed("key"), yield* printed("key", "of-bob")], ["of-bob", "of-bob"])
      }).pipe(Effect.scoped),
    120_000
  )
})
