/** Real places for a credential, and the trouble they can be in: a disk that fills up, one that is read-only, a server out of reach. */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as RedisServer from "@keyfob/embedded/RedisServer"
import * as FileCredentialStore from "@keyfob/node/FileCredentialStore"
import * as RedisCredentialStore from "@keyfob/node/RedisCredentialStore"
import { Context, Effect, Exit, type FileSystem, Layer, type Path, type Scope } from "effect"
import * as Redis from "effect/persistence/Redis"
import { type CredentialStore, Promised } from "keyfob"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { appendFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import * as TcpProxy from "@keyfob/embedded/TcpProxy"

export interface TroubledPlace {
  readonly store: Layer.Layer<CredentialStore, unknown, FileSystem.FileSystem | Path.Path>
  readonly begin: Effect.Effect<unknown>
  readonly end: Effect.Effect<unknown>
}

/** Whether file systems may be mounted here: root, or a container with CAP_SYS_ADMIN. */
export const mayMount = (() => {
  try {
    execFileSync("unshare", ["--mount", "true"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

/** A small file system, mounted for a process that does nothing else and gone with it; others reach it through /proc. */
const disk = Effect.gen(function* () {
  const mount = "mount -t tmpfs -o size=64k,mode=0700 tmpfs /mnt && echo ready && exec sleep infinity"
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn("unshare", ["--mount", "sh", "-c", mount], { stdio: ["ignore", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  yield* Effect.promise(() => once(child.stdout, "data"))
  const root = `/proc/${child.pid}/root/mnt`
  const remount = (options: string) =>
    Effect.sync(() =>
      execFileSync("nsenter", ["--target", String(child.pid), "--mount", "mount", "-o", `remount,${options}`, "/mnt"])
    )
  return { root, remount, store: FileCredentialStore.layer({ directory: join(root, "credentials") }) }
})

const fullDisk = Effect.map(disk, ({ root, store }): TroubledPlace => {
  const ballast = join(root, "ballast")
  // Byte by byte at the end: a page that is not full has room.
  const fill = Effect.sync(() => {
    for (const size of [4096, 1]) {
      try {
        for (;;) appendFileSync(ballast, new Uint8Array(size))
      } catch {} // no space left
    }
  })
  return { store, begin: fill, end: Effect.sync(() => rmSync(ballast)) }
})

const readOnlyDisk = Effect.map(disk, ({ remount, store }): TroubledPlace => ({
  store,
  begin: remount("ro"),
  end: remount("rw")
}))

/** Redis, and a way to it that can be cut. */
const server = Effect.gen(function* () {
  const { port, url } = yield* RedisServer.start()
  const way = yield* TcpProxy.make(port)
  const connect = (url: string) =>
    Effect.map(Layer.build(NodeRedis.layer({ url, disableOfflineQueue: true })), Context.get(Redis.Redis))
  const admin = yield* connect(url)
  const redis = yield* connect(`redis://127.0.0.1:${way.port}`)
  const store = RedisCredentialStore.layer.pipe(
    Layer.provide(
      // Its answers are promises that a clock moved by hand does not see.
      Layer.succeed(Redis.Redis, {
        ...redis,
        send: (command, ...args) => Promised.run(redis.send(command, ...args)),
        eval: (script) => {
          const evaluate = redis.eval(script)
          return (...args) => Promised.run(evaluate(...args))
        }
      })
    )
  )
  const pause = Effect.promise(() => setTimeout(20))
  const connected = Effect.repeat(Effect.andThen(pause, Effect.exit(redis.send("PING"))), { until: Exit.isSuccess })
  const nobody = 1
  return {
    store,
    begin: way.leadTo(nobody),
    end: Effect.gen(function* () {
      yield* way.leadTo(port)
      yield* Promised.run(connected)
      // Its clock is not the test's: leases that have run out by then.
      const keys = yield* Effect.orDie(admin.send<ReadonlyArray<string>>("KEYS", "*:lease"))
      for (const key of keys) yield* Effect.orDie(admin.send("DEL", key))
    })
  } satisfies TroubledPlace
})

export const troubledPlaces = { fullDisk, readOnlyDisk, server } satisfies Record<
  string,
  Effect.Effect<TroubledPlace, unknown, Scope.Scope>
>

export type TroubledPlaceName = keyof typeof troubledPlaces
