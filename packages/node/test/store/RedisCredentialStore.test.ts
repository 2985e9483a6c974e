/** The Redis store with what goes wrong at the server, which is a real one. */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as RedisServer from "@keyfob/embedded/RedisServer"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redis from "effect/persistence/Redis"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { StoreFailed } from "keyfob"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import * as RedisConnection from "../../src/store/RedisConnection.ts"
import * as RedisCredentialStore from "../../src/store/RedisCredentialStore.ts"
import * as fenced from "./fenced.ts"
import { canary, credentialOf, key } from "./interceptedFileSystem.ts"
import * as TcpProxy from "@keyfob/embedded/TcpProxy"

type Options = Parameters<typeof NodeRedis.layer>[0]

/** As the command connects: nothing waits in a queue for a server that is gone. */
const storeAt = (url: string, options: Options = {}) =>
  RedisCredentialStore.layer.pipe(Layer.provide(NodeRedis.layer({ disableOfflineQueue: true, ...options, url })))

/** Commands of the test's own. */
const admin = (url: string) =>
  Effect.map(Layer.build(NodeRedis.layer({ url })), (context) => Context.get(context, Redis.Redis).send)

const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
const shared = await Effect.runPromise(Scope.provide(RedisServer.start(), scope))
const send = await Effect.runPromise(Scope.provide(admin(shared.url), scope))

const ours = Effect.map(
  Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(key.canonical))),
  (digest) => `keyfob:${Buffer.from(digest).toString("hex")}`
)

fenced.suite("redis", {
  store: storeAt(shared.url),
  endLease: Effect.flatMap(ours, (name) => send("DEL", `${name}:lease`)),
  leaseLasts: Effect.flatMap(ours, (name) => send<number>("PTTL", `${name}:lease`)).pipe(
    Effect.map((left) => Math.max(left, 0))
  ),
  forget: send("FLUSHALL"),
  spoil: (text) => Effect.flatMap(ours, (name) => send("HSET", name, "value", text)),
  damaged: Effect.flatMap(ours, (name) => send("HGET", name, "damaged")),
  answered: send("PING"), // one thing after the other
  hang: Effect.sync(() => shared.process.kill("SIGSTOP")),
  resume: Effect.sync(() => shared.process.kill("SIGCONT"))
})

const test = (title: string, body: Effect.Effect<void, unknown, Scope.Scope>) => {
  const { layer, logged } = fenced.listening()
  const all = Effect.andThen(
    body,
    Effect.sync(() => assert.notInclude(logged.join("\n"), "canary"))
  )
  it.live(title, () => Effect.scoped(Effect.provide(all, layer)))
}

/** Its errors as the store's, as the command has them. */
const failure = (layer: ReturnType<typeof storeAt>) =>
  Effect.flip(Layer.build(layer)).pipe(
    Effect.map((error) => RedisCredentialStore.failureOf(error)),
    Effect.tap((error) => Effect.sync(() => assert.notInclude(inspect(error, { depth: 9 }) + error.message, "canary")))
  )

const reasonOf = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.notInclude(inspect(error, { depth: 9 }), canary)
    return "reason" in error ? error.reason : error._tag
  })

/** Again and again while the client has not got its new connection yet. */
const untilConnected = <A>(effect: Effect.Effect<A, StoreFailed>) =>
  Effect.retry(effect, { while: ({ reason }) => reason === "Unavailable", schedule: Schedule.spaced("10 millis") })

describe("Redis", () => {
  test(
    "no server at the start",
    Effect.gen(function* () {
      const server = yield* RedisServer.start()
      yield* killed(server)
      const error = yield* failure(storeAt(server.url))
      assert.deepInclude(error, { reason: "Unavailable", detail: "ECONNREFUSED" })
    })
  )

  test(
    "a server that hangs (SIGSTOP): a connection to it is given up, and one that was there ends",
    Effect.gen(function* () {
      const server = yield* RedisServer.start()
      const opened = RedisCredentialStore.layer.pipe(Layer.provide(RedisConnection.layer({ url: server.url })))
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* fenced.write(yield* fenced.opened(opened), 1)
          server.process.kill("SIGSTOP")
        })
      )
      assert.strictEqual(yield* reasonOf(Effect.scoped(Layer.build(opened))), "Unavailable")
    })
  )

  test(
    "a server that goes away while the lease is held",
    Effect.gen(function* () {
      const server = yield* RedisServer.start()
      const store = yield* fenced.opened(storeAt(server.url))
      yield* fenced.write(store, 1)
      yield* store.modify(key, (slot) =>
        Effect.gen(function* () {
          yield* killed(server)
          assert.strictEqual(yield* reasonOf(slot.write(credentialOf(2))), "Unavailable")
          assert.strictEqual(yield* reasonOf(slot.remove), "Unavailable")
          assert.strictEqual(yield* reasonOf(slot.read), "Unavailable")
        })
      )
      assert.strictEqual(yield* reasonOf(store.get(key)), "Unavailable")
      assert.strictEqual(yield* reasonOf(store.list), "Unavailable")
      assert.strictEqual(yield* reasonOf(fenced.write(store, 2)), "Unavailable")
    })
  )

  test(
    "a replica can be read, and is ReadOnly to who wants to write",
    Effect.gen(function* () {
      const primary = yield* primaryServer
      const replica = yield* replicaOf(primary)
      yield* fenced.write(yield* fenced.opened(storeAt(primary.url)), 1)
      yield* inSync(primary)
      const store = yield* fenced.opened(storeAt(replica.url))
      assert.deepStrictEqual(yield* fenced.generation(store), Option.some(1))
      assert.strictEqual(yield* reasonOf(fenced.write(store, 2)), "ReadOnly")
    })
  )

  test(
    "memory that is all used is Full, and what was there stays",
    Effect.gen(function* () {
      const server = yield* RedisServer.start(["--maxmemory-policy", "noeviction"])
      const store = yield* fenced.opened(storeAt(server.url))
      const send = yield* admin(server.url)
      yield* fenced.write(store, 1)
      yield* store.modify(key, (slot) =>
        Effect.gen(function* () {
          yield* send("CONFIG", "SET", "maxmemory", "1")
          assert.strictEqual(yield* reasonOf(slot.write(credentialOf(2))), "Full")
        })
      )
      assert.strictEqual(yield* reasonOf(fenced.write(store, 2)), "Full")
      assert.deepStrictEqual(yield* fenced.generation(store), Option.some(1))
      yield* send("CONFIG", "SET", "maxmemory", "0")
      yield* fenced.write(store, 2)
      assert.deepStrictEqual(yield* fenced.generation(store), Option.some(2))
    })
  )

  test(
    "a wrong password is typed and told nobody",
    Effect.gen(function* () {
      const { port } = yield* RedisServer.start(["--requirepass", "right"])
      const wrong = yield* failure(storeAt(`redis://:canary-wrong@127.0.0.1:${port}`))
      assert.deepInclude(wrong, { _tag: "StoreFailed", reason: "Locked", detail: "WRONGPASS" })
      const store = yield* fenced.opened(storeAt(`redis://:right@127.0.0.1:${port}`))
      yield* fenced.write(store, 1)
    })
  )

  test(
    "a connection that is cut during the script: typed, and the same write again succeeds",
    Effect.gen(function* () {
      const server = yield* RedisServer.start()
      const store = yield* fenced.opened(storeAt(server.url))
      const send = yield* admin(server.url)
      const id = yield* send<number>("CLIENT", "ID")
      yield* store.modify(key, (slot) =>
        Effect.gen(function* () {
          yield* slot.write(credentialOf(1))
          yield* send("CLIENT", "PAUSE", "60000", "WRITE")
          const writing = yield* Effect.forkChild(reasonOf(slot.write(credentialOf(2))), { startImmediately: true })
          // Until the script waits in the server.
          yield* Effect.repeat(send<string>("CLIENT", "LIST"), { until: (list) => /flags=b .*cmd=evalsha/.test(list) })
          yield* send("CLIENT", "KILL", "SKIPME", "yes", "TYPE", "normal")
          assert.strictEqual(yield* Fiber.join(writing), "Unavailable")
          yield* send("CLIENT", "UNPAUSE")
          yield* untilConnected(slot.write(credentialOf(2)))
        })
      )
      assert.isAbove(id, 0)
      assert.deepStrictEqual(yield* fenced.generation(store), Option.some(2))
    })
  )

  test(
    "an answer that is lost: what was written is there, and the same write again succeeds; a lease handed out is given back",
    Effect.gen(function* () {
      const server = yield* RedisServer.start()
      const way = yield* TcpProxy.make(server.port)
      // Commands wait for the new connection.
      const url = `redis://127.0.0.1:${way.port}`
      const store = yield* fenced.opened(RedisCredentialStore.layer.pipe(Layer.provide(NodeRedis.layer({ url }))))
      const other = yield* fenced.opened(storeAt(server.url))
      yield* store.modify(key, (slot) =>
        Effect.gen(function* () {
          yield* slot.write(credentialOf(1))
          yield* way.loseAnswerTo("generation")
          assert.strictEqual(yield* reasonOf(slot.write(credentialOf(2))), "Unavailable")
          assert.deepStrictEqual(yield* fenced.generation(other), Option.some(2))
          yield* slot.write(credentialOf(2))
        })
      )
      yield* way.loseAnswerTo("evalsha")
      assert.strictEqual(yield* reasonOf(store.modify(key, () => Effect.void)), "Unavailable")
      const send = yield* admin(server.url)
      assert.strictEqual(yield* send("EXISTS", `${yield* ours}:lease`), 0)
    })
  )

  test(
    "a primary that is lost with a lease it had just handed out: the holder of before cannot write over the one of after",
    Effect.gen(function* () {
      const primary = yield* primaryServer
      const replica = yield* replicaOf(primary)
      const way = yield* TcpProxy.make(primary.port)
      const url = `redis://127.0.0.1:${way.port}`
      const [paused, other] = [yield* fenced.opened(storeAt(url)), yield* fenced.opened(storeAt(url))]
      const send = yield* admin(replica.url)
      yield* fenced.write(paused, 1)
      yield* inSync(primary)
      for (const lost of ["lease and fence", "the lease alone"]) {
        if (lost === "lease and fence") yield* send("REPLICAOF", "NO", "ONE")
        yield* paused.modify(key, (slot) =>
          Effect.gen(function* () {
            yield* slot.read
            if (lost === "lease and fence") yield* way.leadTo(replica.port)
            else yield* send("DEL", `${yield* ours}:lease`)
            const late = untilConnected(slot.write(credentialOf(9)))
            if (lost === "lease and fence") assert.strictEqual(yield* reasonOf(late), "Busy")
            yield* untilConnected(fenced.write(other, 2))
            assert.strictEqual(yield* reasonOf(late), "Busy")
            assert.deepStrictEqual(yield* fenced.generation(other), Option.some(2))
          })
        )
      }
    })
  )

  test(
    "a user with the rights the docs name, and no others, does everything",
    Effect.gen(function* () {
      const server = yield* RedisServer.start()
      const send = yield* admin(server.url)
      const docs = readFileSync(join(import.meta.dirname, "../../../../docs/stores.md"), "utf8")
      const [, rights = ""] = /ACL SETUSER keyfob on >PASSWORD (.*)/.exec(docs) ?? []
      yield* send("ACL", "SETUSER", "keyfob", "on", ">canary-acl", ...rights.split(" "))
      const url = `redis://keyfob:canary-acl@127.0.0.1:${server.port}`
      const store = yield* fenced.opened(storeAt(url))
      yield* fenced.write(store, 1)
      yield* send("HSET", yield* ours, "value", "damaged")
      yield* fenced.write(store, 2)
      assert.lengthOf(yield* store.list, 1)
      yield* store.modify(key, (slot) => slot.remove)
      const own = yield* admin(url)
      const others: ReadonlyArray<[string, ...ReadonlyArray<string>]> = [
        ["KEYS", "*"],
        ["HGET", "other", "value"],
        ["FLUSHALL"],
        ["CONFIG", "GET", "*"]
      ]
      for (const other of others) {
        assert.strictEqual(RedisCredentialStore.failureOf(yield* Effect.flip(own(...other))).detail, "NOPERM")
      }
      yield* send("ACL", "SETUSER", "keyfob", "-evalsha")
      assert.strictEqual(yield* reasonOf(fenced.write(store, 3)), "Unreadable")
    })
  )

  test(
    "over TLS, to a server whose certificate the client knows and to no other",
    Effect.gen(function* () {
      const dir = yield* directory
      const [cert, keyFile] = [join(dir, "cert.pem"), join(dir, "key.pem")]
      const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1", "-nodes"]
      const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
      const made = ["req", "-x509", ...curve, "-keyout", keyFile, "-out", cert, ...subject]
      execFileSync("openssl", made, { stdio: "ignore" })
      const { url } = yield* RedisServer.start([], { cert, key: keyFile })
      const store = yield* fenced.opened(storeAt(url, { socket: { tls: true, ca: readFileSync(cert, "utf8") } }))
      yield* fenced.write(store, 1)
      assert.deepStrictEqual(yield* fenced.generation(store), Option.some(1))
      assert.deepInclude(yield* failure(storeAt(url)), { reason: "Unavailable", detail: "DEPTH_ZERO_SELF_SIGNED_CERT" })
    })
  )
})

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-tls-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

type Server = Effect.Success<ReturnType<typeof RedisServer.start>>

const killed = ({ process }: Server) =>
  Effect.callback<void>((resume) => {
    process.once("exit", () => resume(Effect.void))
    process.kill("SIGKILL")
  })

/** Its replica has all at once: by default it would wait 5 s for others that may want the same. */
const primaryServer = RedisServer.start(["--repl-diskless-sync-delay", "0"])

const replicaOf = ({ port }: Server) => RedisServer.start(["--replicaof", "127.0.0.1", String(port)])

/** Until the replica has what the primary has. */
const inSync = ({ url }: Server) =>
  Effect.flatMap(admin(url), (send) =>
    Effect.repeat(send<number>("WAIT", "1", "10000"), { until: (replicas) => replicas === 1 })
  )
