import { assert, describe, it } from "@effect/vitest"
import { clients, Fault, SimulatedProvider } from "@keyfob/testing"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Keyfob from "./runKeyfob.ts"

const parse = (text: string): unknown => JSON.parse(text)

describe("the command in the test's own process", () => {
  it.effect("signs in by device, renews, survives an outage and signs out, in virtual weeks", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const keyfob = yield* Keyfob.make
      yield* idp.approve("alice", { after: "40 seconds" })
      const login = yield* keyfob([
        "login",
        "work",
        "--issuer",
        idp.issuer,
        "--client-id",
        clients.cli.client_id,
        "--scope",
        "openid offline_access"
      ])
      assert.deepStrictEqual(
        [login.exitCode, login.stdout],
        [0, "Signed in to work as alice, the token ends in 60 min and is renewed by itself.\n"]
      )
      assert.include(login.stderr, "/device")

      const first = yield* keyfob(["token", "work"])
      assert.isTrue(yield* idp.accepts(first.stdout.trim()))
      yield* TestClock.adjust("10 days")
      const second = yield* keyfob(["token", "-o", "json"])
      assert.notStrictEqual(second.stdout, first.stdout)
      assert.hasAllKeys(parse(second.stdout), ["access_token", "token_type", "expires_at", "scopes"])

      yield* TestClock.adjust("1 day")
      yield* idp.faults(Fault.outage({ for: "1 hour" }))
      const away = yield* keyfob(["token"])
      assert.deepStrictEqual([away.exitCode, away.stdout], [5, ""])
      assert.match(away.stderr, /^keyfob: the provider cannot be reached/)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* keyfob(["token"])).exitCode, 0)

      assert.strictEqual((yield* keyfob(["logout"])).exitCode, 0)
      assert.strictEqual(yield* idp.liveRefreshTokens, 0)
      assert.strictEqual((yield* keyfob(["token"])).exitCode, 3)
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect("reads its environment and standard input, and nothing of the test's", () =>
    Effect.gen(function* () {
      const { issuer } = yield* SimulatedProvider
      const keyfob = yield* Keyfob.make
      const machine = ["login", "m", "--issuer", issuer, "--client-id", "billing", "--flow", "client_credentials"]
      const piped = yield* keyfob([...machine, "--client-secret-stdin"], {
        stdin: `${clients.billing.client_secret}\n`
      })
      assert.strictEqual(piped.exitCode, 0, piped.stderr)
      const env = { KEYFOB_CLIENT_SECRET: "wrong", KEYFOB_OUTPUT: "json" }
      const refused = yield* keyfob([...machine, "--force"], { env })
      assert.strictEqual(refused.exitCode, 2)
      assert.include(JSON.stringify(parse(refused.stderr)), "InvalidClient")
      assert.notInclude(refused.stderr, 'wrong"')
    }).pipe(Effect.provide(SimulatedProvider.layer()))
  )

  it.effect("tells a wrong command line as the process does", () =>
    Effect.gen(function* () {
      const keyfob = yield* Keyfob.make
      const wrong = yield* keyfob(["tokne"])
      assert.deepStrictEqual([wrong.exitCode, wrong.stdout], [2, ""])
      assert.match(wrong.stderr, /did you mean token/)
      assert.strictEqual((yield* keyfob(["--version"])).exitCode, 0)
    })
  )
})
