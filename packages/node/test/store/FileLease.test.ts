/** The lease of the file store: waiting, taking over, losing. The clock is a test's, the files are real. */
import { assert, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { CredentialStore, Promised } from "keyfob"
import { readFile, readlink } from "node:fs/promises"
import { hostname } from "node:os"
import * as path from "node:path"
import { inspect } from "node:util"
import { type Before, credentialOf, errno, key, layerStore } from "./interceptedFileSystem.ts"

const place = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = yield* fs.makeTempDirectoryScoped()
  const using = <A, E>(use: (store: CredentialStore["Service"]) => Effect.Effect<A, E>, before?: Before) =>
    Effect.provide(CredentialStore.use(use), layerStore(directory, before))
  yield* using((store) => store.modify(key, (slot) => slot.write(credentialOf(1))))
  const [name = ""] = yield* fs.readDirectory(directory)
  const lock = path.join(directory, name.replace(".json", ".lock"))
  const generation = Effect.map(
    using((store) => store.get(key)),
    Option.map((found) => found.generation)
  )
  const holderFile = path.join(lock, "nonce")
  /** Somebody else has the lease. */
  const take = (text: string) =>
    Effect.andThen(fs.makeDirectory(lock, { recursive: true }), fs.writeFileString(holderFile, text))
  let beats = 0
  /** That somebody's heart, for {@link pass}: now and then. */
  const beat = Effect.orDie(
    Effect.suspend(() => (++beats % 40 === 0 ? fs.utimes(holderFile, beats, beats) : Effect.void))
  )
  return { fs, directory, using, generation, lock, names: fs.readDirectory(directory), take, holderFile, beat }
})

const held = (holder: Partial<{ host: string; boot: string; processes: string; pid: number }>) =>
  JSON.stringify({ host: "elsewhere", processes: "", pid: 1, ...holder })

const processes = await readlink("/proc/self/ns/pid").catch(() => "")
/** A process of this machine that is gone. */
const gone = held({
  host: hostname(),
  boot: await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""),
  processes,
  pid: 2 ** 30
})

/** Until nothing of this process is at work on a file, and what was has been heard of. */
const stillFiles = Effect.promise(async () => {
  for (let idle = 0; idle < 3;) {
    await new Promise((done) => setTimeout(done, 1))
    idle = process.getActiveResourcesInfo().some((what) => what.startsWith("FSReq")) ? 0 : idle + 1
  }
})

/**
 * Lets virtual time pass until the fiber ends, never while a file is at work: a busy machine must not make the wait look
 * longer. Gives the seconds it took.
 */
const pass = <A, E>(fiber: Fiber.Fiber<A, E>, each: Effect.Effect<void> = Effect.void) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    while (fiber.pollUnsafe() === undefined) {
      yield* each
      yield* TestClock.adjust("250 millis")
      yield* stillFiles
    }
    return ((yield* Clock.currentTimeMillis) - start) / 1000
  })

const quiet = Layer.merge(NodeServices.layer, Logger.layer([]))
const test = <A, E>(name: string, body: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body, quiet))

const write = (generation: number) => (store: CredentialStore["Service"]) =>
  store.modify(key, (slot) => slot.write(credentialOf(generation)))

for (const [whose, text] of Object.entries({
  "another machine's": held({}),
  "another process namespace's": held({ host: hostname(), processes: "pid:[1]", pid: 2 ** 30 }),
  "another machine's of the same name": held({ host: hostname(), boot: "another", processes, pid: 2 ** 30 }),
  "an unreadable one's": "",
  "a nonsensical one's": held({ host: hostname(), pid: -1 })
})) {
  test(
    `a lock that stands still is taken over after 30 s: ${whose}`,
    Effect.gen(function* () {
      const { generation, names, take, using } = yield* place
      yield* take(text)
      const waiting = yield* Effect.forkChild(using(write(2)))
      const seconds = yield* pass(waiting)
      yield* Fiber.join(waiting)
      assert.isTrue(seconds > 29 && seconds < 40, `${seconds} s`)
      assert.deepStrictEqual(yield* generation, Option.some(2))
      assert.lengthOf(yield* names, 1)
    })
  )
}

test(
  "who holds a clock still around promises is told of the removal that Effect's FileSystem has no word for",
  Effect.gen(function* () {
    const { fs, lock, using } = yield* place
    const isThere = Effect.orDie(fs.exists(lock))
    const seen: Array<boolean> = []
    const note = Effect.map(isThere, (there) => seen.push(there))
    const around = <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.andThen(note, Effect.tap(work, note))
    yield* Effect.provideService(using(write(2)), Promised.Around, around)
    assert.deepStrictEqual(seen, [true, false])
  })
)

test(
  "a lock whose heart beats is waited for, at most 60 s, also where the wait cannot be interrupted",
  Effect.gen(function* () {
    const { beat, fs, generation, holderFile, take, using } = yield* place
    yield* take(held({}))
    for (const how of [Effect.interruptible, Effect.uninterruptible]) {
      const waiting = yield* Effect.forkChild(how(using(write(2))))
      const seconds = yield* pass(waiting, beat)
      assert.include(inspect(yield* Fiber.await(waiting), { depth: 9 }), "Busy")
      assert.isTrue(seconds > 59 && seconds < 70, `${seconds} s`)
    }
    assert.deepStrictEqual(yield* generation, Option.some(1))
    assert.strictEqual(yield* fs.readFileString(holderFile), held({}))
  })
)

test(
  "a fiber of this process waits at most 60 s, too",
  Effect.gen(function* () {
    const { using } = yield* place
    yield* using((store) =>
      store.modify(key, () =>
        Effect.gen(function* () {
          const waiting = yield* Effect.forkChild(Effect.exit(store.modify(key, () => Effect.void)))
          yield* pass(waiting)
          assert.include(inspect(yield* Fiber.join(waiting), { depth: 9 }), "Busy")
        })
      )
    )
  })
)

test(
  "a holder's heart beats, so nobody takes over however long it works",
  Effect.gen(function* () {
    const { fs, lock, using } = yield* place
    yield* using((store) =>
      store.modify(key, () =>
        Effect.gen(function* () {
          const before = yield* fs.readDirectory(lock)
          // A layer of its own, as another process would have: it meets the lock, not the queue.
          const waiting = yield* Effect.forkChild(using(write(2)))
          yield* pass(waiting)
          assert.include(inspect(yield* Fiber.await(waiting), { depth: 9 }), "Busy")
          assert.deepStrictEqual(yield* fs.readDirectory(lock), before)
        })
      )
    )
    assert.isFalse(yield* fs.exists(lock))
  })
)

test(
  "who lost the lease can neither write nor remove, and leaves the new holder's lock alone",
  Effect.gen(function* () {
    const { fs, generation, holderFile, lock, names, take, using } = yield* place
    const lose = fs.remove(lock, { recursive: true })
    for (const taken of [lose, Effect.andThen(lose, take(held({})))]) {
      yield* using((store) =>
        store.modify(key, (slot) =>
          Effect.gen(function* () {
            yield* taken
            for (const act of [slot.write(credentialOf(2)), slot.remove]) {
              assert.include(inspect(yield* Effect.exit(act), { depth: 9 }), "Busy")
            }
          })
        )
      )
      assert.deepStrictEqual(yield* generation, Option.some(1))
      assert.deepStrictEqual(
        (yield* names).filter((name) => name.endsWith(".tmp")),
        []
      )
    }
    assert.strictEqual(yield* fs.readFileString(holderFile), held({}))
  })
)

test(
  "who comes late to a takeover does not hit the next holder",
  Effect.gen(function* () {
    const { beat, fs, generation, holderFile, lock, names, take, using } = yield* place
    yield* take(gone)
    const next = path.join(lock, "next")
    // Somebody else is faster: by the time of our unlink there is a living holder.
    const overtaken = yield* Deferred.make<void>()
    const faster: Before = (method, path) =>
      method === "remove" && path === holderFile
        ? fs
            .writeFileString(holderFile, held({}))
            .pipe(Effect.andThen(fs.rename(holderFile, next)), Effect.andThen(Deferred.succeed(overtaken, undefined)))
        : Effect.void
    const waiting = yield* Effect.forkChild(using(write(2), faster))
    yield* Deferred.await(overtaken)
    for (let step = 0; step < 20; step++) {
      yield* TestClock.adjust("250 millis")
      yield* stillFiles
    }
    assert.isUndefined(waiting.pollUnsafe())
    assert.deepStrictEqual(yield* fs.readDirectory(lock), ["next"])
    yield* fs.remove(next)
    yield* pass(waiting, beat)
    assert.isTrue(Exit.isSuccess(yield* Fiber.await(waiting)))
    assert.deepStrictEqual(yield* generation, Option.some(2))
    assert.lengthOf(yield* names, 1)
  })
)

test(
  "a takeover is told; that a holder gave its lease back and ended, while somebody looked, is none",
  Effect.gen(function* () {
    const { fs, holderFile, lock, take, using } = yield* place
    const said: Array<string> = []
    const listener = Logger.layer([Logger.make(({ message }) => said.push(String(message)))])
    yield* take(gone)
    // Between the look at its heartbeat and what follows from that.
    const ended: Before = (method, path) =>
      method === "remove" && path === holderFile ? Effect.ignore(fs.remove(lock, { recursive: true })) : Effect.void
    yield* Effect.provide(using(write(2), ended), listener)
    assert.deepStrictEqual(said, [])
    yield* take(gone)
    yield* Effect.provide(using(write(3)), listener)
    assert.deepStrictEqual(said, [`took over ${lock}: its holder is gone`])
  })
)

test(
  "an empty lock that a crash left is no lock, also where a rename over it is refused",
  Effect.gen(function* () {
    const { fs, generation, lock, names, using } = yield* place
    yield* fs.makeDirectory(lock)
    let refused = 0
    const refuse: Before = (method, from) =>
      method !== "rename" || !from.includes(".lock.")
        ? Effect.void
        : Effect.flatMap(Effect.orDie(fs.exists(lock)), (there) =>
            there
              ? Effect.andThen(
                  Effect.sync(() => refused++),
                  Effect.fail(errno("EEXIST"))
                )
              : Effect.void
          )
    const waiting = yield* Effect.forkChild(using(write(2), refuse))
    assert.isBelow(yield* pass(waiting), 5)
    yield* Fiber.join(waiting)
    assert.strictEqual(refused, 1)
    assert.deepStrictEqual(yield* generation, Option.some(2))
    assert.lengthOf(yield* names, 1)
  })
)

for (const code of ["ENOENT", "ENOTEMPTY"]) {
  test(
    `a rename whose answer was lost, and whose repetition fails with ${code}, did take the lease`,
    Effect.gen(function* () {
      const { fs, generation, lock, names, using } = yield* place
      const repeated: Before = (method, from) =>
        method === "rename" && from.includes(".lock.")
          ? Effect.andThen(fs.rename(from, lock), Effect.fail(errno(code)))
          : Effect.void
      const waiting = yield* Effect.forkChild(using(write(2), repeated))
      assert.isBelow(yield* pass(waiting), 5)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(yield* generation, Option.some(2))
      assert.lengthOf(yield* names, 1)
    })
  )
}

test(
  "many who judge one lock abandoned: one at a time gets it",
  Effect.gen(function* () {
    const { directory, generation, names, take } = yield* place
    yield* take(gone)
    let inside = 0
    const one = CredentialStore.use((store) =>
      store.modify(key, (slot) =>
        Effect.gen(function* () {
          assert.strictEqual(++inside, 1)
          const found = Option.getOrThrow(yield* slot.read)
          yield* slot.write(credentialOf(found.generation + 1))
          inside--
        })
      )
    )
    // Each with a layer of its own: they meet at the lock only.
    const all = yield* Effect.forkChild(
      Effect.all(
        Array.from({ length: 8 }, () => Effect.provide(one, layerStore(directory))),
        { concurrency: "unbounded" }
      )
    )
    yield* pass(all)
    yield* Fiber.join(all)
    assert.deepStrictEqual(yield* generation, Option.some(9))
    assert.lengthOf(yield* names, 1)
  })
)
