import { assert, describe, it } from "@effect/vitest"
import { clients, Fault, SimulatedProvider } from "@keyfob/testing"
import { Effect } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { runKeyfob } from "../src/testing.ts"

const parse = (text: string): unknown => JSON.parse(text)

describe("the command in the test's own process", () => {
  it.effect(
    "signs in by device, renews, survives an outage and signs out, in virtual weeks",
    () =>
      Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        const keyfob = yield* runKeyfob.make
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
      }).pipe(Effect.provide(SimulatedProvider.layer())),
    120_000
  )

  it.effect(
    "reads its environment and standard input, and nothing of the test's",
    () =>
      Effect.gen(function* () {
        const { issuer } = yield* SimulatedProvider
        const keyfob = yield* runKeyfob.make
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
      }).pipe(Effect.provide(SimulatedProvider.layer())),
    120_000
  )

  it.effect(
    "--log-level debug shows what is asked of whom, and nothing that was sent",
    () =>
      Effect.gen(function* () {
        const { issuer } = yield* SimulatedProvider
        const keyfob = yield* runKeyfob.make
        const machine = ["login", "m", "--issuer", issuer, "--client-id", "billing", "--flow", "client_credentials"]
        const env = { KEYFOB_CLIENT_SECRET: clients.billing.client_secret }
        assert.strictEqual((yield* keyfob(machine, { env })).stderr, "")
        const { stderr } = yield* keyfob([...machine, "--force", "--log-level", "debug"], { env })
        const { host } = new URL(issuer)
        assert.match(stderr, new RegExp(`^keyfob: debug: GET ${host}/.well-known/\\S+: 200, \\d+ ms$`, "m"))
        assert.match(stderr, new RegExp(`^keyfob: debug: POST ${host}/\\S+: 200, \\d+ ms$`, "m"))
        for (const secret of [clients.billing.client_secret, (yield* keyfob(["token"], { env })).stdout.trim()]) {
          assert.notInclude(stderr, secret)
        }
        yield* (yield* SimulatedProvider).faults(Fault.outage({ for: "1 hour" }))
        const away = yield* keyfob([...machine, "--force", "--log-level", "debug"], { env })
        assert.match(away.stderr, /^keyfob: debug: GET \S+: no answer, \d+ ms$/m)
      }).pipe(Effect.provide(SimulatedProvider.layer())),
    120_000
  )

  it.effect(
    "userinfo about somebody else than who signed in is not shown",
    () =>
      Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        const keyfob = yield* runKeyfob.make
        yield* idp.approve("alice", { after: "10 seconds" })
        const login = [
          "login",
          "work",
          "--issuer",
          idp.issuer,
          "--client-id",
          clients.cli.client_id,
          "--flow",
          "device"
        ]
        assert.strictEqual((yield* keyfob([...login, "--scope", "openid"])).exitCode, 0)
        assert.include((yield* keyfob(["userinfo"])).stdout, '"sub": "alice"')
        const other = Effect.updateService(
          keyfob(["userinfo"]),
          HttpClient.HttpClient,
          HttpClient.transform((exchange, request) =>
            request.url.endsWith("/userinfo")
              ? Effect.succeed(HttpClientResponse.fromWeb(request, Response.json({ sub: "mallory" })))
              : exchange
          )
        )
        const { exitCode, stderr, stdout } = yield* other
        assert.deepStrictEqual([exitCode, stdout], [7, ""])
        assert.match(stderr, /about somebody else/)
      }).pipe(Effect.provide(SimulatedProvider.layer())),
    120_000
  )

  it.effect("tells a wrong command line as the process does", () =>
    Effect.gen(function* () {
      const keyfob = yield* runKeyfob.make
      const wrong = yield* keyfob(["tokne"])
      assert.deepStrictEqual([wrong.exitCode, wrong.stdout], [2, ""])
      assert.match(wrong.stderr, /did you mean token/)
      assert.strictEqual((yield* keyfob(["--version"])).exitCode, 0)
    })
  )
})
