import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { clients as embedded, EmbeddedProvider, Person } from "@keyfob/embedded"
import { runKeyfob } from "@keyfob/cli/testing"
import * as FileCredentialStore from "@keyfob/node/FileCredentialStore"
import { clients, patiently, SimulatedPerson, SimulatedProvider, withStillFiles } from "@keyfob/testing"
import { Effect, FileSystem } from "effect"
import { DeviceCode, Login } from "keyfob"
import * as Keyfob from "./Keyfob.ts"

describe("one login at a time", () => {
  it.live(
    "8 processes at once: one device code is shown, all are signed in",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const { issuer } = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
        const codes: Array<string> = []
        const provider = ["--issuer", issuer, "--client-id", embedded.cli.id, "--scope", "openid"]
        // The person signs in when all wait: one of them for the person, the others for that one.
        let [page, waiting] = ["", 0]
        const login = Effect.suspend(() => {
          let waits = false
          const onLine = (line: string) => {
            const event = JSON.parse(line)
            if (event.event === "device_code") {
              codes.push(event.user_code)
              page = event.verification_uri_complete
            }
            if (event.event !== "waiting" || waits) return
            waits = true
            waiting++
            if (waiting === 8) Effect.runFork(Person.approve(page))
          }
          return keyfob.run(["login", "work", ...provider, "-o", "json"], { onLine })
        })
        const all = yield* Effect.all(
          Array.from({ length: 8 }, () => login),
          { concurrency: "unbounded" }
        )
        for (const { code, stderr, stdout } of all) {
          assert.strictEqual(code, 0, stderr)
          assert.strictEqual(JSON.parse(stdout).account.sub, "alice")
        }
        assert.lengthOf(codes, 1)
      }).pipe(Effect.scoped),
    240_000
  )

  it.effect(
    "who waits for another's login is told so with -o json; who cannot ask a person waits for nobody",
    () =>
      Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        const keyfob = yield* runKeyfob.make
        const provider = ["--issuer", idp.issuer, "--client-id", "keyfob-cli", "--scope", "openid", "-o", "json"]
        const login = keyfob(["login", "work", ...provider, "--flow", "device"])
        yield* idp.approve("alice", { after: "30 seconds" })
        const [alone, ...both] = yield* Effect.all(
          [
            Effect.delay(keyfob(["login", "work", ...provider, "--flow", "device", "--non-interactive"]), "5 seconds"),
            login,
            login
          ],
          { concurrency: "unbounded" }
        )
        assert.strictEqual(alone.exitCode, 3)
        const events = both.map(({ exitCode, stderr }) => {
          assert.strictEqual(exitCode, 0, stderr)
          const { event, ...rest } = JSON.parse(stderr.split("\n", 1)[0] ?? "")
          return event === "waiting" ? rest.for : event
        })
        assert.sameMembers(events, ["device_code", "login"])
      }).pipe(Effect.provide([SimulatedProvider.layer(), NodeServices.layer])),
    240_000
  )

  it.effect(
    "programs that ask and ask are silent after three times, also after a restart; keyfob login lets them again",
    () =>
      Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        const home = yield* FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped())
        const flow = DeviceCode.make({
          issuer: idp.issuer,
          clientId: clients.cli.client_id,
          scopes: ["openid"],
          account: "default/work"
        })
        const { shown } = yield* SimulatedPerson
        // A store of its own: what the last one remembered is gone.
        const program = Effect.suspend(() =>
          patiently(Login.login(flow)).pipe(
            Effect.provide(FileCredentialStore.layer({ directory: `${home}/credentials` })),
            withStillFiles
          )
        )
        for (let start = 0; start < 3; start++) {
          assert.deepInclude(yield* Effect.flip(program), { reason: "Expired" })
        }
        for (let start = 0; start < 3; start++) {
          assert.deepInclude(yield* Effect.flip(program), { reason: "Unanswered" })
        }
        assert.lengthOf(yield* shown, 3)

        const keyfob = yield* runKeyfob.make
        const env = { KEYFOB_HOME: home }
        const login = ["login", "work", "--issuer", idp.issuer, "--client-id", "keyfob-cli", "--scope", "openid"]
        const alone = yield* keyfob([...login, "--non-interactive"], { env })
        assert.deepStrictEqual([alone.exitCode, (yield* shown).length], [3, 3])
        assert.deepStrictEqual(JSON.parse((yield* keyfob(["status", "-o", "json"], { env })).stdout), [])
        yield* idp.approve("alice", { after: "10 seconds" })
        assert.strictEqual((yield* keyfob(login, { env })).exitCode, 0)
        assert.strictEqual((yield* keyfob(["logout"], { env })).exitCode, 0)
        assert.strictEqual((yield* program).account?.sub, "alice")
        assert.lengthOf(yield* shown, 4)
      }).pipe(Effect.provide(SimulatedPerson.layer()), Effect.provide([SimulatedProvider.layer(), NodeServices.layer])),
    120_000
  )
})
