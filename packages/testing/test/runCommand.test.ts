import { NodeServices } from "@effect/platform-node"
import { assert, it, vi } from "@effect/vitest"
import { Clock, Config, Console, Deferred, Effect, Fiber, FileSystem, Stdio, Stream } from "effect"
import { Argument, Command, Prompt } from "effect/cli"
import { ClientAuthentication, ClientCredentials, TokenSource } from "keyfob"
import { clients, runCommand, SimulatedProvider } from "../src/index.ts"
import * as SettledClock from "../src/SettledClock.ts"

class Api extends TokenSource.Service<Api>()("test/Api") {}

/** A command somebody builds on the library: prints when its token ends, or says why there is none. */
const command = Command.make(
  "when",
  { issuer: Argument.String("issuer") },
  Effect.fnUntraced(function* ({ issuer }) {
    const secret = Config.Redacted("SECRET")
    const authentication = ClientAuthentication.secretBasic(secret)
    const layer = Api.layer(ClientCredentials.make({ issuer, clientId: clients.billing.client_id, authentication }))
    const token = yield* Effect.provide(
      Effect.flatMap(Api, (api) => api.token),
      layer
    )
    yield* Console.error("asked")
    yield* Console.log(token.expiresAt)
  })
)
const run = (...args: ReadonlyArray<string>) => Command.runWith(command, { version: "1.0.0" })(args)

it.effect("a command, its words and its exit code", () =>
  Effect.gen(function* () {
    const { issuer } = yield* SimulatedProvider
    const env = { SECRET: clients.billing.client_secret }
    const done = yield* runCommand(run(issuer), { env })
    assert.strictEqual(done.exitCode, 0)
    assert.include(done.stdout, "1970-01-01T01:00:00.000Z")
    assert.strictEqual(done.stderr, "asked\n")
    assert.strictEqual(
      (yield* runCommand(run(issuer))).exitCode,
      2,
      "no secret: the environment is the given one alone"
    )
    assert.strictEqual((yield* runCommand(run(issuer), { env: { SECRET: "wrong" } })).exitCode, 2)
    assert.include((yield* runCommand(run("--help"))).stdout, "when")
    assert.strictEqual((yield* runCommand(run())).exitCode, 1)
  }).pipe(Effect.provide([SimulatedProvider.layer(), NodeServices.layer]))
)

it.effect("a character that is written in two pieces is one", () =>
  Effect.gen(function* () {
    const [first, second] = [Uint8Array.of(0x68, 0xc3), Uint8Array.of(0xa9)]
    const writing = Stdio.Stdio.use(({ stdout }) =>
      Effect.andThen(Stream.run(Stream.make(first), stdout()), Stream.run(Stream.make(second), stdout()))
    )
    assert.deepInclude(yield* runCommand(writing), { exitCode: 0, stdout: "h\u00e9" })
  }).pipe(Effect.provide(SimulatedProvider.layer()))
)

it.effect("standard input, a terminal without a person, and time", () =>
  Effect.gen(function* () {
    const echo = Effect.gen(function* () {
      const { stdin, stderrIsTerminal, stdout } = yield* Stdio.Stdio
      const text = yield* Stream.mkString(Stream.decodeText(stdin))
      yield* Stream.run(Stream.make(`${text} ${yield* stderrIsTerminal}`), stdout())
      yield* Effect.sleep("20 days")
    })
    const echoed = yield* runCommand(echo, { stdin: "héllo", terminal: true, limit: "30 days" })
    assert.deepStrictEqual(echoed, { exitCode: 0, stdout: "héllo true", stderr: "" })
    assert.strictEqual(yield* Clock.currentTimeMillis, 20 * 86_400_000)
    const asking = yield* runCommand(Prompt.run(Prompt.String({ message: "Who?" })))
    assert.notStrictEqual(asking.exitCode, 0, "nobody answers")
    const late = yield* Effect.exit(runCommand(Effect.sleep("2 days")))
    assert.strictEqual(late._tag, "Failure")
    assert.strictEqual((yield* runCommand(Effect.interrupt)).exitCode, 130)
  }).pipe(Effect.provide([SimulatedProvider.layer(), NodeServices.layer]))
)

it.effect("no time passes while the system is at work on a file, until it is closed", () =>
  Effect.gen(function* () {
    // More than the clock waits for what it knows nothing of.
    const slow = Effect.promise(async () => {
      for (let round = 0; round < 200; round++) await crypto.subtle.digest("SHA-512", new Uint8Array(10_000))
    })
    const fs = yield* FileSystem.FileSystem
    const slowly: FileSystem.FileSystem = {
      ...fs,
      open: (...args) =>
        Effect.andThen(
          Effect.addFinalizer(() => slow),
          fs.open(...args)
        )
    }
    const opening = Effect.timeout(
      Effect.scoped(FileSystem.FileSystem.use(({ open }) => open("/dev/null"))),
      "1 minute"
    )
    const ran = yield* Effect.provideService(runCommand(opening), FileSystem.FileSystem, slowly)
    assert.deepInclude(ran, { exitCode: 0 })
    assert.strictEqual(yield* Clock.currentTimeMillis, 0)
  }).pipe(Effect.provide([SimulatedProvider.layer(), NodeServices.layer]))
)

it.effect("what the system is slow with is waited for, however long it takes: the limit is one of time", () =>
  Effect.gen(function* () {
    const clock = yield* SettledClock.current
    if (clock === undefined) return assert.fail("another clock")
    const loaded = yield* Deferred.make<void>()
    // Two seconds of the real clock, without their time.
    let sleeps = 0
    const sleep = () =>
      Effect.andThen(++sleeps < 200 ? Effect.void : Deferred.succeed(loaded, undefined), Effect.yieldNow)
    const patient: typeof clock = { ...clock, withLive: Effect.provideService(Clock.Clock, { ...clock, sleep }) }
    const loading = Effect.andThen(Deferred.await(loaded), Effect.sleep("1 hour"))
    const ran = yield* Effect.provideService(runCommand(loading), Clock.Clock, patient)
    assert.deepInclude(ran, { exitCode: 0 })
    assert.strictEqual(yield* Clock.currentTimeMillis, 3_600_000)
  }).pipe(Effect.provide([SimulatedProvider.layer(), NodeServices.layer]))
)

it.effect("what one that hangs has said is told when the test's time is over", () =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const real = vi.spyOn(console, "log").mockImplementation((...line) => void lines.push(line.join(" ")))
    yield* Effect.addFinalizer(() => Effect.sync(() => real.mockRestore()))
    const said = yield* Deferred.make<void>()
    const hanging = Console.error("waiting for Godot").pipe(
      Effect.andThen(Deferred.succeed(said, undefined)),
      Effect.andThen(Effect.never)
    )
    const running = yield* Effect.forkChild(runCommand(hanging))
    yield* Deferred.await(said)
    yield* Fiber.interrupt(running)
    assert.include(lines.join("\n"), "waiting for Godot")
  }).pipe(Effect.provide(SimulatedProvider.layer()))
)
