import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { FakeAuki } from "@keyfob/auki/testing"
import { configured } from "./configured.ts"

const services = Layer.fresh(
  FakeAuki.layer({
    users: { "alice@example.com": "canary-password" },
    apps: { app: "canary-secret" },
    domains: ["hall", "attic", "garden"]
  })
)

const where =
  'type = "auki"\napi_url = "https://api.auki.test"\ndds_url = "https://dds.auki.test"\nclient_id = "laptop"\n'
const email = `[contexts.lab.providers.spaces]\n${where}method = "email"\nemail = "alice@example.com"\n`
const app = `[contexts.lab.providers.spaces]\n${where}method = "app_key"\napp_key = "app"\n`

const sub = (jwt: string) => JSON.parse(atob(jwt.split(".")[1] ?? ""))

describe("auki in the command", () => {
  it.effect("login, then a token of each level, each asked for once over all calls", () =>
    Effect.gen(function* () {
      const { json, keyfob } = yield* configured(email)
      const { to } = yield* FakeAuki
      assert.strictEqual((yield* keyfob("login spaces")).exitCode, 2)
      const env = { KEYFOB_PASSWORD: "canary-password" }
      assert.deepInclude(yield* json("login spaces", env), { provider: "spaces", refreshable: true })
      assert.strictEqual(sub((yield* json("token spaces")).access_token).sub, "alice@example.com")
      for (const _ of [1, 2]) {
        assert.strictEqual(sub((yield* json("token spaces --domain hall")).access_token).domain_id, "hall")
        assert.match((yield* json("header spaces --level discovery")).Authorization, /^Bearer ey/)
      }
      assert.deepStrictEqual(
        [to("/user/login"), to("/service/domains-access-token"), to("/auth")].map(({ length }) => length),
        [1, 1, 1]
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("explain: what a token for three domains would take, and nobody is asked; drawn too", () =>
    Effect.gen(function* () {
      const { json, keyfob } = yield* configured(email)
      const { seen } = yield* FakeAuki
      yield* json("login spaces", { KEYFOB_PASSWORD: "canary-password" })
      yield* json("token spaces --domain hall")
      const asked = seen.length
      const plan = yield* json("explain spaces --domain hall --domain attic --domain garden")
      assert.deepStrictEqual(
        plan.nodes.map(({ name, standing, step }: Record<string, string>) => [name, standing, step]),
        [
          ["login", "fresh", "nothing"],
          ["discovery", "fresh", "nothing"],
          ["domain hall", "fresh", "nothing"],
          ["domain attic", "absent", "exchange"],
          ["domain garden", "absent", "exchange"]
        ]
      )
      assert.lengthOf(plan.edges, 4)
      const drawn = yield* keyfob("explain spaces --domain hall --domain attic --mermaid")
      assert.match(drawn.stdout, /^flowchart TD\n.*0 --> 1\n.*1 -->\|"exchange"\| 3/s)
      assert.match((yield* keyfob("explain spaces")).stdout, /^login: fresh until \S+; nothing, since its token serves/)
      assert.lengthOf(seen, asked)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("B.8#1 B-17 an app: its secret comes from the environment, and is in no file", () =>
    Effect.gen(function* () {
      const { files, json, keyfob } = yield* configured(app)
      const env = { KEYFOB_APP_SECRET: "canary-secret" }
      assert.strictEqual((yield* keyfob("token spaces --domain hall")).exitCode, 2)
      assert.deepInclude((yield* json("status"))[0], { status: "refreshable", refreshable: true })
      assert.strictEqual(sub((yield* json("token spaces --domain hall", env)).access_token).domain_id, "hall")
      assert.strictEqual((yield* json("header spaces", env)).Authorization, `Basic ${btoa("app:canary-secret")}`)
      for (const text of files()) {
        assert.notInclude(text, "canary-secret")
        assert.notInclude(text, btoa("app:canary-secret"))
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("a domain that is closed is denied: 4; wrong levels and both flags at once are usage: 2", () =>
    Effect.gen(function* () {
      const { json, keyfob } = yield* configured(email)
      yield* json("login spaces", { KEYFOB_PASSWORD: "canary-password" })
      assert.strictEqual((yield* keyfob("token spaces --domain cellar")).exitCode, 4)
      assert.strictEqual((yield* keyfob("token spaces --domain hall --level discovery")).exitCode, 2)
      assert.strictEqual((yield* keyfob("token spaces --level somewhere")).exitCode, 2)
      const both = yield* keyfob("token spaces --id-token --domain hall")
      assert.deepStrictEqual([both.exitCode, both.stdout], [2, ""])
      assert.include(both.stderr, "--id-token goes with the provider's own token")
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("a logout leaves none of the levels' tokens in a file", () =>
    Effect.gen(function* () {
      const { files, json, keyfob } = yield* configured(email)
      yield* json("login spaces", { KEYFOB_PASSWORD: "canary-password" })
      yield* json("token spaces --domain hall")
      assert.isTrue(files().some((text) => text.includes("domain")))
      assert.strictEqual((yield* keyfob("logout spaces --no-revoke")).exitCode, 0)
      for (const text of files()) assert.notMatch(text, /eyJ|refresh-/)
      assert.strictEqual((yield* keyfob("token spaces --domain hall")).exitCode, 2)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("R15 an app's logout leaves none either: without its secret there is no token after that", () =>
    Effect.gen(function* () {
      const { files, json, keyfob } = yield* configured(app)
      yield* json("token spaces --domain hall", { KEYFOB_APP_SECRET: "canary-secret" })
      assert.deepInclude((yield* json("logout spaces"))[0], { removed: true })
      for (const text of files()) assert.notMatch(text, /eyJ/)
      assert.strictEqual((yield* keyfob("token spaces --domain hall")).exitCode, 2)
      assert.deepInclude((yield* json("logout spaces"))[0], { removed: false })
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("B-41 a session that is over takes a login: 3, until a call is given the password", () =>
    Effect.gen(function* () {
      const { json, keyfob } = yield* configured(email)
      const env = { KEYFOB_PASSWORD: "canary-password" }
      yield* json("login spaces", env)
      const { endSessions } = yield* FakeAuki
      endSessions()
      yield* TestClock.adjust("2 hours")
      for (const args of ["token spaces", "token spaces", "refresh spaces", "token spaces --domain hall"]) {
        const over = yield* keyfob(args)
        assert.strictEqual(over.exitCode, 3, over.stderr)
        assert.match(over.stderr, /the provider ended the session.*\n +Sign in again: keyfob login spaces\n$/)
      }
      assert.strictEqual((yield* json("status"))[0].status, "login_required")
      assert.strictEqual((yield* keyfob("token spaces", env)).exitCode, 0)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("git: what is erased is the level's own token, if it is that one", () =>
    Effect.gen(function* () {
      const { json, keyfob } = yield* configured(email)
      const { to } = yield* FakeAuki
      yield* json("login spaces", { KEYFOB_PASSWORD: "canary-password" })
      const domain = (yield* json("token spaces --domain hall")).access_token
      const network = (yield* json("token spaces")).access_token
      const erase = (password: string) =>
        keyfob(
          "credential git erase --host h.example --domain hall",
          {},
          `protocol=https\nhost=h.example\npassword=${password}\n`
        )
      yield* erase(network)
      assert.strictEqual((yield* json("token spaces --domain hall")).access_token, domain)
      yield* erase(domain)
      assert.notStrictEqual((yield* json("token spaces --domain hall")).access_token, domain)
      assert.strictEqual((yield* json("token spaces")).access_token, network)
      assert.lengthOf(to("/user/login"), 1)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("flags say of it where its credential is kept, and nothing else", () =>
    Effect.gen(function* () {
      const { files, json, keyfob } = yield* configured(email)
      const env = { KEYFOB_PASSWORD: "canary-password" }
      for (const args of [
        "login spaces --issuer https://id.example --client-id x",
        "context add lab spaces --scope a"
      ]) {
        const refused = yield* keyfob(args, env)
        assert.strictEqual(refused.exitCode, 2)
        assert.include(refused.stderr, "provider spaces is of type auki, of which flags say --store alone")
      }
      assert.deepInclude(yield* json("login spaces --store memory", env), { provider: "spaces", store: "memory" })
      assert.deepStrictEqual(files(), [`${email}store = "memory"\n`])
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("doctor asks whether the services are there, once each, and for nothing else", () =>
    Effect.gen(function* () {
      const { json } = yield* configured(email)
      const { seen } = yield* FakeAuki
      const details = (yield* json("doctor")).flatMap(({ check, detail }: Record<string, string>) =>
        check === "provider spaces" ? [detail] : []
      )
      assert.deepStrictEqual(details, ["https://api.auki.test answers", "https://dds.auki.test answers"])
      assert.deepStrictEqual(seen.map(({ path }) => path).toSorted(), [
        "https://api.auki.test/",
        "https://dds.auki.test/"
      ])
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("B-11 refresh_threshold_ms: a token that ends sooner is renewed before it is printed", () =>
    Effect.gen(function* () {
      const { json } = yield* configured(`${email}refresh_threshold_ms = 300000\n`)
      const plain = yield* configured(email)
      const env = { KEYFOB_PASSWORD: "canary-password" }
      for (const one of [json, plain.json]) yield* one("login spaces", env)
      const before = [(yield* json("token spaces")).access_token, (yield* plain.json("token spaces")).access_token]
      yield* TestClock.adjust("57 minutes")
      const after = [(yield* json("token spaces")).access_token, (yield* plain.json("token spaces")).access_token]
      assert.deepStrictEqual([after[0] === before[0], after[1] === before[1]], [false, true])
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect.each(["-1", "inf", "nan", '"5m"'])("B-11 refresh_threshold_ms = %s is a wrong setting", (value) =>
    Effect.gen(function* () {
      const { keyfob } = yield* configured(`${email}refresh_threshold_ms = ${value}\n`)
      const { exitCode, stderr } = yield* keyfob("status spaces")
      assert.strictEqual(exitCode, 2)
      const said = value === '"5m"' ? "expected number" : "milliseconds, from 0 on"
      assert.include(stderr, `contexts.lab.providers.spaces.refresh_threshold_ms: ${said}`)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("B2: what is longer than the system takes is a wrong setting, told without it", () =>
    Effect.gen(function* () {
      const long = "x".repeat(1025)
      const { keyfob } = yield* configured(email)
      const refused = yield* keyfob("login spaces", { KEYFOB_PASSWORD: long })
      assert.strictEqual(refused.exitCode, 2)
      assert.notInclude(refused.stderr, "xxxx")
      const colon = yield* configured(app.replace('"app"', '"a:b"'))
      const key = yield* colon.keyfob("login spaces", { KEYFOB_APP_SECRET: "s" })
      assert.deepInclude([key.exitCode], 2)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
