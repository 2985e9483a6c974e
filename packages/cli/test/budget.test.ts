import { assert, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { runKeyfob } from "@keyfob/cli/testing"
import { clients, SimulatedProvider } from "@keyfob/testing"
import { Effect, FileSystem } from "effect"

it.effect(
  "R7 token_budget: counted over processes, told by status and doctor, warned of from four fifths on",
  () =>
    Effect.gen(function* () {
      const { issuer } = yield* SimulatedProvider
      const fs = yield* FileSystem.FileSystem
      const home = yield* fs.makeTempDirectoryScoped()
      const configure = (per: string) =>
        fs.writeFileString(
          `${home}/config.toml`,
          `[contexts.ci.providers.m]
type = "oauth"
issuer = "${issuer}"
client_id = "billing"
flow = "client_credentials"
token_budget = { limit = 5, per = "${per}" }
`
        )
      yield* configure("30d")
      const run = yield* runKeyfob.make
      const env = { KEYFOB_HOME: home, KEYFOB_CLIENT_SECRET: clients.billing.client_secret }
      const keyfob = (...args: ReadonlyArray<string>) => run(args, { env })

      const first = yield* keyfob("login")
      assert.deepStrictEqual([first.exitCode, first.stderr], [0, ""])
      // The token is there: these ask for none.
      yield* keyfob("token")
      yield* keyfob("token", "--log-level", "info")
      const [row] = JSON.parse((yield* keyfob("status", "-o", "json")).stdout)
      assert.deepInclude(row.token_requests, { used: 1, limit: 5 })
      assert.match((yield* keyfob("doctor")).stdout, /ok +provider m, token requests: 1 of 5 spent until \d{4}-/)

      yield* keyfob("refresh", "--force")
      yield* keyfob("refresh", "--force")
      const fourth = yield* keyfob("refresh", "--force")
      assert.strictEqual(fourth.exitCode, 0)
      assert.match(fourth.stderr, /^keyfob: warning: 4 of 5 token requests of client billing are spent until/)
      assert.match(
        (yield* keyfob("doctor")).stdout,
        /warning +provider m, token requests: 4 of 5 .*\n +Let its programs/
      )
      assert.strictEqual((yield* keyfob("logout")).exitCode, 0)
      assert.match((yield* keyfob("login")).stderr, /5 of 5/)

      yield* configure("a month")
      const wrong = yield* keyfob("token")
      assert.strictEqual(wrong.exitCode, 2)
      assert.match(wrong.stderr, /token_budget\.per.*30d/)
    }).pipe(Effect.provide([SimulatedProvider.layer(), NodeServices.layer])),
  120_000
)
