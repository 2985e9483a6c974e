/**
 * Two hosts, each a network namespace with an address of its own, and many processes on each, with one credential in one
 * Redis or PostgreSQL: one refresh an expiry, valid tokens for all, and nothing is written by a process that was stopped
 * until its lease was over and others had gone on.
 *
 *     sudo node packages/bench/src/reliability/hosts.ts redis|sql [ROUNDS] [PROCESSES]      after a build; default 5 32
 *
 * PROCESSES are those of each host. The last two rounds stop a process that holds the lease, on one host and on the
 * other; after them one more process of each host is stopped and writes an old value on waking.
 */
import { NodeRuntime } from "@effect/platform-node"
import { EmbeddedProvider } from "@keyfob/embedded"
import * as PostgresServer from "@keyfob/embedded/PostgresServer"
import * as RedisServer from "@keyfob/embedded/RedisServer"
import { Console, Duration, Effect, Redacted } from "effect"
import { execFileSync, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer, connect } from "node:net"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { pipeline } from "node:stream"
import * as alice from "./alice.ts"
import { bundled, median } from "./processes.ts"
import { isSharedStoreName, sharedStores } from "./sharedStores.ts"

const [name = "redis", rounds = "5", processes = "32"] = process.argv.slice(2)
if (!isSharedStoreName(name)) throw new Error(`the stores are ${Object.keys(sharedStores).join(", ")}`)
const perHost = Number(processes)
const everybody = { concurrency: "unbounded" } as const

interface Host {
  readonly namespace: string
  /** The address at which it finds what runs outside of it. */
  readonly outside: string
}

const ip = (...args: ReadonlyArray<string>) => Effect.sync(() => execFileSync("ip", args, { stdio: "ignore" }))

/** A host goes with the scope. */
const host = Effect.fnUntraced(function* (number: number) {
  const namespace = `keyfob-${process.pid}-${number}`
  const [near, far] = [`kf${process.pid}n${number}`, `kf${process.pid}f${number}`]
  const outside = `10.213.${number}.1`
  yield* Effect.acquireRelease(ip("netns", "add", namespace), () => ip("netns", "delete", namespace))
  yield* Effect.acquireRelease(ip("link", "add", near, "type", "veth", "peer", "name", far), () =>
    Effect.ignoreCause(ip("link", "delete", near))
  )
  yield* ip("link", "set", far, "netns", namespace)
  yield* ip("address", "add", `${outside}/24`, "dev", near)
  yield* ip("link", "set", near, "up")
  const inside = ["-netns", namespace]
  yield* ip(...inside, "address", "add", `10.213.${number}.2/24`, "dev", far)
  yield* ip(...inside, "link", "set", far, "up")
  yield* ip(...inside, "link", "set", "lo", "up")
  return { namespace, outside } satisfies Host
})

/** A program of Node on a host, with lines in and out. It does not outlive the scope. */
const start = (host: Host, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        // `ip` becomes the program: its process is the one to stop and to end.
        spawn("ip", ["netns", "exec", host.namespace, process.execPath, ...args], {
          env: { PATH: process.env["PATH"] ?? "", ...env },
          stdio: ["pipe", "pipe", "inherit"]
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) => {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      return {
        line: Effect.promise(() => lines.next().then(({ done, value }) => (done === true ? "gone" : value))),
        say: (line: string) => Effect.sync(() => child.stdin.write(`${line}\n`)),
        goOn: Effect.sync(() => child.kill("SIGCONT")),
        /** Once it has stopped itself. */
        stopped: Effect.sleep("20 millis").pipe(
          Effect.andThen(Effect.sync(() => readFileSync(`/proc/${child.pid}/stat`, "utf8"))),
          Effect.repeat({ until: (stat) => /\) T /.test(stat) }),
          Effect.timeout("20 seconds")
        )
      }
    }
  )

type Process = Effect.Success<ReturnType<typeof start>>

/** To the provider, which listens on loopback alone, from where a host can reach it. */
const bridge = (port: number, { outside }: Host) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((socket) => {
        const other = connect(port, "127.0.0.1")
        pipeline(socket, other, () => {})
        pipeline(other, socket, () => {})
      })
      server.listen(port, outside, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

const main = Effect.gen(function* () {
  const hosts = yield* Effect.forEach([1, 2], host)
  const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
  const { port } = new URL(provider.issuer)
  const addresses = ["127.0.0.1", ...hosts.map(({ outside }) => outside)]
  const server =
    name === "redis"
      ? yield* RedisServer.start(["--bind", ...addresses])
      : yield* PostgresServer.start([`listen_addresses=${addresses.join(",")}`, `max_connections=${4 * perHost + 20}`])
  const file = yield* bundled("hostsWorker.ts")
  const forwarder = join(import.meta.dirname, "forward.ts")
  const running = yield* Effect.forEach(hosts, (host) =>
    Effect.gen(function* () {
      yield* bridge(Number(port), host)
      const forward = yield* start(host, [forwarder, port, host.outside])
      yield* forward.line
      const env = { KEYFOB_STORE_URL: server.url.replace("127.0.0.1", host.outside) }
      return yield* Effect.forEach(Array.from({ length: perHost }), () =>
        start(host, [file, name, provider.issuer], env)
      )
    })
  )
  const all = running.flat()

  let [refreshes, valid, asked, logouts, staleWrites, refused, expiries] = [0, 0, 0, 0, 0, 0, 0]
  const took: Array<number> = []
  const seen = new Map<string, Promise<boolean>>()
  const isTaken = (token: string) => {
    const answer =
      seen.get(token) ?? fetch(provider.apiUrl, { headers: { authorization: `Bearer ${token}` } }).then(({ ok }) => ok)
    seen.set(token, answer)
    return Effect.promise(() => answer)
  }

  const ask = (who: ReadonlyArray<Process>) =>
    Effect.gen(function* () {
      const start = performance.now()
      yield* Effect.forEach(who, ({ say }) => say("token"), { discard: true })
      const answers = yield* Effect.forEach(who, ({ line }) => line, everybody)
      took.push(performance.now() - start)
      for (const answer of answers) {
        asked++
        const good = yield* isTaken(answer)
        if (good) valid++
        else yield* Console.error(answer)
        if (answer.includes("LoginRequired")) logouts++
      }
    })

  const expiry = <E, R>(round: Effect.Effect<void, E, R>) =>
    Effect.gen(function* () {
      seen.clear()
      yield* alice.expire(provider.issuer)
      yield* provider.clearRequests
      yield* round
      expiries++
      refreshes += (yield* provider.requests).filter(({ grantType }) => grantType === "refresh_token").length
    })

  /** It stops with the lease in its hands; the others are asked, and have what they asked for; it wakes. */
  const waking = (one: Process, task: "stop" | "stale") =>
    Effect.gen(function* () {
      yield* one.say(task)
      yield* one.stopped
      yield* ask(all.filter((other) => other !== one))
      const before = yield* alice.stored(provider.issuer)
      yield* one.goOn
      const answer = yield* one.line
      const after = yield* alice.stored(provider.issuer)
      if (answer === "refused") refused++
      else yield* Console.error(`the one that was stopped says: ${answer}`)
      const same = Redacted.value(before.token.value) === Redacted.value(after.token.value)
      if (!same || before.generation !== after.generation) staleWrites++
      yield* ask([one])
    })

  yield* Effect.gen(function* () {
    yield* alice.signIn(provider.issuer)
    yield* Effect.forEach(all, ({ line }) => line, everybody)
    for (let round = 0; round < Number(rounds); round++) yield* expiry(ask(all))
    for (const task of ["stop", "stale"] as const) {
      for (const [one] of running) if (one !== undefined) yield* expiry(waking(one, task))
    }
  }).pipe(Effect.provide(sharedStores[name](server.url)))

  const seconds = (millis: number) => `${(millis / 1000).toFixed(1)} s`
  const quick = took.slice(0, Number(rounds))
  yield* Console.log(
    [
      `${name}: 2 hosts of ${perHost} processes, ${expiries} expiries`,
      `${refreshes} refreshes`,
      `${valid} valid tokens of ${asked}`,
      `${logouts} logouts`,
      `${refused} of 4 writes refused that came past their lease`,
      `${staleWrites} stale writes`,
      `all have their token after ${seconds(median(quick))} (median), ${seconds(Math.max(...quick))} (longest)`
    ].join(", ")
  )
  if (refreshes !== expiries || valid !== asked || logouts > 0 || refused !== 4 || staleWrites > 0) process.exitCode = 1
}).pipe(Effect.scoped, Effect.timeout(Duration.minutes(10)))

NodeRuntime.runMain(main)
