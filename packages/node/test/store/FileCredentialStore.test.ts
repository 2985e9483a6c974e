/** The file store on real files in temporary directories. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import { type Credential, CredentialStore, type StoreFailed, toJson } from "keyfob"
import { execFileSync } from "node:child_process"
import { basename } from "node:path"
import { inspect } from "node:util"
import * as DurableFile from "../../src/store/DurableFile.ts"
import { type Before, canary, credentialOf, errno, key, keyOf, layerStore } from "./interceptedFileSystem.ts"

const account = "work-login"

/** An empty place, and what the tests do there. Nothing is made before the store makes it. */
const place = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = path.join(yield* fs.makeTempDirectoryScoped(), "above", "credentials")
  const using = <A, E>(use: (store: CredentialStore["Service"]) => Effect.Effect<A, E>, before?: Before) =>
    Effect.provide(CredentialStore.use(use), layerStore(directory, before))
  const write = (credential: Credential, before?: Before) =>
    using((store) => store.modify(credential.key, (slot) => slot.write(credential)), before)
  const names = Effect.orElseSucceed(fs.readDirectory(directory), () => [])
  const generation = Effect.map(
    using((store) => store.get(key)),
    Option.map((found) => found.generation)
  )
  const modeOf = (file: string) => Effect.map(fs.stat(file), (info) => info.mode & 0o777)
  /** The path of the credential's file, found by writing it. */
  const file = Effect.gen(function* () {
    yield* write(credentialOf(1))
    const [name = ""] = (yield* names).filter((name) => name.startsWith(account))
    return path.join(directory, name)
  })
  return { fs, path, directory, using, write, names, generation, modeOf, file }
})

const logged: Array<string> = []
const withLog = Effect.provide(
  Logger.layer([Logger.make((options) => void logged.push(inspect(options.message, { depth: 9 })))])
)

const live = <A, E>(name: string, test: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>) =>
  it.live(name, () => {
    logged.length = 0
    return test.pipe(withLog, Effect.provide(NodeServices.layer))
  })

const failsWith =
  (reason: StoreFailed["reason"], location: string) =>
  <A, E>(exit: Exit.Exit<A, E | StoreFailed>) => {
    const failure = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
    const error = failure?._tag === "Fail" ? failure.error : undefined
    assert.strictEqual(inspect(error).includes("StoreFailed"), true, inspect(exit))
    const failed = error as StoreFailed // just asserted
    assert.strictEqual(failed.reason, reason, failed.message)
    assert.strictEqual(failed.location, location)
    const printed = [
      failed.message,
      JSON.stringify(failed),
      JSON.stringify(toJson(failed)),
      String(failed),
      inspect(failed, { depth: 9 })
    ]
    assert.notInclude(printed.join("\n"), canary)
  }

describe("modes", () => {
  let before: number
  beforeAll(() => {
    before = process.umask(0)
  })
  afterAll(() => void process.umask(before))

  live(
    "everything is for the owner alone from its creation, whatever the umask",
    Effect.gen(function* () {
      const { directory, fs, modeOf, names, path, write } = yield* place
      const seen = new Set<string>()
      yield* write(credentialOf(1), (method) =>
        method === "rename"
          ? Effect.gen(function* () {
              for (const name of yield* fs.readDirectory(directory, { recursive: true })) {
                const what = name.replace(/^[^.]+/, "NAME").replace(/[0-9a-f-]{36}/g, "*")
                seen.add(`${what} ${(yield* modeOf(path.join(directory, name))).toString(8)}`)
              }
            }).pipe(Effect.orDie)
          : Effect.void
      )
      assert.deepStrictEqual([...seen].sort(), [
        "NAME.json.*.tmp 600",
        "NAME.lock 700",
        "NAME.lock.*.tmp 700",
        "NAME.lock.*.tmp/* 600",
        "NAME.lock/* 600"
      ])
      const [name = ""] = yield* names
      assert.strictEqual(yield* modeOf(path.join(directory, name)), 0o600)
      assert.strictEqual(yield* modeOf(directory), 0o700)
      assert.strictEqual(yield* modeOf(path.dirname(directory)), 0o700)
      assert.match(name, /^work-login-[0-9a-f]{64}\.json$/)
      const content: unknown = JSON.parse(yield* fs.readFileString(path.join(directory, name)))
      assert.deepInclude(content, { version: 1 })
      assert.deepNestedInclude(content, {
        "credential.issuedAt": "1970-01-01T00:00:00.000Z",
        "credential.generation": 1
      })
    })
  )

  live(
    "a wide file or directory is read with one warning, and tightened by the next write",
    Effect.gen(function* () {
      const { directory, fs, file, modeOf, using, write } = yield* place
      const path = yield* file
      yield* fs.chmod(path, 0o640)
      yield* fs.chmod(directory, 0o755)
      yield* using((store) =>
        Effect.gen(function* () {
          assert.isTrue(Option.isSome(yield* store.get(key)))
          assert.isTrue(Option.isSome(yield* store.get(key)))
        })
      )
      assert.lengthOf(
        logged.filter((line) => line.includes(`other users may read ${path}`)),
        1
      )
      assert.lengthOf(
        logged.filter((line) => line.includes(`other users may read ${directory};`)),
        1
      )
      yield* write(credentialOf(2))
      assert.strictEqual(yield* modeOf(path), 0o600)
      assert.strictEqual(yield* modeOf(directory), 0o700)
    })
  )
})

live(
  "reading creates nothing",
  Effect.gen(function* () {
    const { directory, fs, path, using } = yield* place
    assert.deepStrictEqual(yield* using((store) => Effect.all([store.get(key), store.list])), [Option.none(), []])
    assert.isFalse(yield* fs.exists(path.dirname(directory)))
  })
)

live(
  "no account leads out of the directory",
  Effect.gen(function* () {
    const { names, using, write } = yield* place
    const accounts = ["../../etc/passwd", "..", ".", "", "/", "-rf", "a\u0000b", "🗝", "con", "a".repeat(5000), "A\nB"]
    yield* Effect.forEach(accounts, (account) => write(credentialOf(1, keyOf(account))))
    for (const name of yield* names) assert.match(name, /^[A-Za-z0-9_][A-Za-z0-9_-]{0,39}-[0-9a-f]{64}\.json$/)
    const listed = yield* using((store) => store.list)
    assert.deepStrictEqual(listed.map((found) => found.key.account).sort(), accounts.sort())
  })
)

live(
  "the old content shows until the new one is whole",
  Effect.gen(function* () {
    const { file, generation, write } = yield* place
    yield* file
    const during: Array<Option.Option<number>> = []
    yield* write(credentialOf(2), (method) =>
      ["writeAll", "sync", "rename"].includes(method)
        ? Effect.orDie(Effect.map(generation, (seen) => void during.push(seen)))
        : Effect.void
    )
    // The lock's rename, the temporary file's content and flush and rename, the directory's flush.
    assert.deepStrictEqual(during.map(Option.getOrThrow), [1, 1, 1, 1, 2])
    assert.deepStrictEqual(yield* generation, Option.some(2))
  })
)

live(
  "temporary files of a crash, which have the tokens too, are removed by the next write and by a removal",
  Effect.gen(function* () {
    const { file, fs, names, using, write } = yield* place
    const path = yield* file
    const lock = path.replace(/json$/, "lock")
    const remove = using((store) => store.modify(key, (slot) => slot.remove))
    for (const act of [write(credentialOf(2)), remove]) {
      yield* fs.writeFileString(DurableFile.temporaryOf(path), "{")
      // A lock that somebody who waits is about to take, and one that nobody will.
      const waiting = DurableFile.temporaryOf(lock)
      const crashed = DurableFile.temporaryOf(lock)
      yield* fs.makeDirectory(waiting)
      yield* fs.makeDirectory(crashed)
      yield* fs.utimes(crashed, 1, 1)
      yield* act
      const left = (yield* names).filter((name) => name.endsWith(".tmp"))
      assert.deepStrictEqual(left, [basename(waiting)])
      yield* fs.remove(waiting, { recursive: true })
    }
  })
)

live(
  "who has lost the lease leaves the temporary file of who has it now, and writes and removes nothing",
  Effect.gen(function* () {
    const { file, fs, names, using } = yield* place
    const path = yield* file
    const theirs = DurableFile.temporaryOf(path)
    const late = yield* using((store) =>
      store.modify(key, ({ remove, write }) =>
        Effect.gen(function* () {
          yield* Effect.orDie(fs.remove(path.replace(/json$/, "lock"), { recursive: true }))
          yield* Effect.orDie(fs.writeFileString(theirs, "{"))
          return yield* Effect.forEach([write(credentialOf(2)), remove], Effect.flip)
        })
      )
    )
    assert.deepStrictEqual(
      late.map(({ reason }) => reason),
      ["Busy", "Busy"]
    )
    assert.sameMembers([...(yield* names)], [basename(path), basename(theirs)])
  })
)

live(
  "who loses the lease while the new content is written does not put it in place",
  Effect.gen(function* () {
    const { file, fs, generation, names, write } = yield* place
    const lock = (yield* file).replace(/json$/, "lock")
    const late = yield* Effect.flip(
      write(credentialOf(2), (method) =>
        method === "sync" ? Effect.orDie(fs.remove(lock, { recursive: true, force: true })) : Effect.void
      )
    )
    assert.strictEqual(late.reason, "Busy")
    assert.deepStrictEqual(yield* generation, Option.some(1))
    assert.lengthOf(yield* names, 1)
  })
)

for (const what of ["write", "removal"] as const) {
  live(
    `who is stopped between the look at the lease and the rename changes nothing after the next one's ${what}`,
    Effect.gen(function* () {
      const { directory, file, fs, generation, names, using, write } = yield* place
      const lock = (yield* file).replace(/json$/, "lock")
      const next =
        what === "write" ? write(credentialOf(5)) : using((store) => store.modify(key, (slot) => slot.remove))
      const stopped: Before = (method, from) =>
        method === "rename" && from.startsWith(directory) && from.includes(".json.")
          ? Effect.orDie(Effect.andThen(fs.remove(lock, { recursive: true }), next))
          : Effect.void
      const late = yield* Effect.flip(write(credentialOf(2), stopped))
      assert.strictEqual(late.reason, "WriteFailed")
      assert.deepStrictEqual(yield* generation, what === "write" ? Option.some(5) : Option.none())
      assert.lengthOf(yield* names, what === "write" ? 1 : 0)
    })
  )
}

describe("a file that cannot be understood", () => {
  const whole = `{"version":1,"credential":{"key":{"issuer":"https://login.example.com","clientId":"app","account":"work/login"`
  const bad: Record<string, (good: string) => string> = {
    "is empty": () => "",
    "is cut off": (good) => good.slice(0, good.length - 20),
    "is no JSON": () => `${canary} {`,
    "is another JSON value": () => `["${canary}"]`,
    "has no version": (good) => good.replace(`"version":1,`, ""),
    "is of a later version": (good) => good.replace(`"version":1`, `"version":2`),
    "misses a member": (good) => good.replace(/"generation":\d+,/, ""),
    "has a wrong type in place of a secret": (good) =>
      good.replace(`"value":"`, `"value":{"x":"`).replace(`","type"`, `"},"type"`),
    "has an impossible date": (good) => good.replace("1970-01-01", "1970-99-99"),
    "is of another key": (good) => good.replace("https://login.example.com", "https://evil.example.com"),
    "is binary": () => "\u0000\ufffd\u0001"
  }
  for (const [what, spoil] of Object.entries(bad)) {
    live(
      `${what}: named, kept, moved aside by a write, and hides no other`,
      Effect.gen(function* () {
        const { file, fs, generation, modeOf, names, path, using, write } = yield* place
        const location = yield* file
        yield* write(credentialOf(7, keyOf("other")))
        const good = yield* fs.readFileString(location)
        assert.isTrue(good.startsWith(whole))
        const spoilt = spoil(good)
        assert.notStrictEqual(spoilt, good)
        yield* fs.writeFileString(location, spoilt)
        yield* fs.chmod(location, 0o644)

        failsWith("Corrupt", location)(yield* Effect.exit(using((store) => store.get(key))))
        failsWith("Corrupt", location)(yield* Effect.exit(using((store) => store.modify(key, (slot) => slot.read))))
        assert.deepStrictEqual(
          (yield* using((store) => store.list)).map((found) => found.generation),
          [7]
        )
        assert.lengthOf(
          logged.filter((line) => line.includes("left out") && line.includes(location)),
          1
        )
        assert.strictEqual(yield* fs.readFileString(location), spoilt)

        yield* write(credentialOf(2))
        assert.deepStrictEqual(yield* generation, Option.some(2))
        const aside = (yield* names).filter((name) => /\.json\.corrupt-\d{8}T\d{9}Z$/.test(name))
        assert.lengthOf(aside, 1)
        const kept = path.join(path.dirname(location), aside[0] ?? "")
        assert.strictEqual(yield* fs.readFileString(kept), spoilt)
        assert.strictEqual(yield* modeOf(kept), 0o600)
        assert.lengthOf(
          logged.filter((line) => line.includes(kept)),
          1
        )
        assert.notInclude(logged.join("\n"), canary)
      })
    )
  }

  live(
    "is removed when that is asked for",
    Effect.gen(function* () {
      const { file, fs, names, using } = yield* place
      const location = yield* file
      yield* fs.writeFileString(location, "{")
      yield* using((store) => store.modify(key, (slot) => slot.remove))
      assert.deepStrictEqual(yield* names, [])
    })
  )
})

describe("the operating system says no", () => {
  live(
    "a directory in place of the file: unreadable, and not replaced",
    Effect.gen(function* () {
      const { file, fs, using, write } = yield* place
      const location = yield* file
      yield* fs.remove(location)
      yield* fs.makeDirectory(location)
      failsWith("Unreadable", location)(yield* Effect.exit(using((store) => store.get(key))))
      failsWith("Unreadable", location)(yield* Effect.exit(write(credentialOf(2))))
      assert.deepStrictEqual(yield* using((store) => store.list), [])
      assert.lengthOf(
        logged.filter((line) => line.includes("left out")),
        1
      )
      assert.strictEqual((yield* fs.stat(location)).type, "Directory")
    })
  )

  live(
    "a file in place of the directory: unreadable, not written, left as it is",
    Effect.gen(function* () {
      const { directory, fs, modeOf, path, using, write } = yield* place
      yield* fs.makeDirectory(path.dirname(directory))
      yield* fs.writeFileString(directory, "mine", { mode: 0o644 })
      failsWith("Unreadable", directory)(yield* Effect.exit(using((store) => store.list)))
      const exit = yield* Effect.exit(write(credentialOf(1)))
      assert.isTrue(Exit.isFailure(exit))
      assert.include(inspect(exit, { depth: 9 }), "WriteFailed")
      assert.strictEqual(yield* modeOf(directory), 0o644)
    })
  )

  const reading = { EACCES: "Unreadable", EIO: "Unreadable", ELOOP: "Unreadable" } as const
  for (const [code, reason] of Object.entries(reading)) {
    live(
      `${code} while reading: ${reason}`,
      Effect.gen(function* () {
        const { file, using } = yield* place
        const location = yield* file
        const deny: Before = (method, path) =>
          method === "readFileString" && path === location ? Effect.fail(errno(code)) : Effect.void
        failsWith(reason, location)(yield* Effect.exit(using((store) => store.get(key), deny)))
      })
    )
  }

  const writing = {
    EROFS: "ReadOnly",
    EACCES: "ReadOnly",
    EPERM: "ReadOnly",
    ENOSPC: "Full",
    EDQUOT: "Full",
    EIO: "WriteFailed",
    EMFILE: "WriteFailed"
  } as const
  for (const [code, reason] of Object.entries(writing)) {
    live(
      `${code} while writing: ${reason}, and the old credential stays`,
      Effect.gen(function* () {
        const { file, generation, names, write } = yield* place
        const location = yield* file
        const deny: Before = (method, path) =>
          method === "rename" && !path.includes(".lock.") ? Effect.fail(errno(code)) : Effect.void
        failsWith(reason, location)(yield* Effect.exit(write(credentialOf(2), deny)))
        assert.deepStrictEqual(yield* generation, Option.some(1))
        assert.lengthOf(yield* names, 1)
      })
    )
    live(
      `${code} while taking the lease: ${reason} before anything is spent`,
      Effect.gen(function* () {
        const { file, using } = yield* place
        const location = yield* file
        let spent = false
        const deny: Before = (method, path) =>
          method === "makeDirectory" && path.includes(".lock.") ? Effect.fail(errno(code)) : Effect.void
        const spend = using((store) => store.modify(key, () => Effect.sync(() => (spent = true))), deny)
        failsWith(reason, location.replace(".json", ".lock"))(yield* Effect.exit(spend))
        assert.isFalse(spent)
      })
    )
  }

  live(
    "a full disk: Full, and the old credential stays",
    Effect.gen(function* () {
      const { directory, file, fs, generation, names, path, using, write } = yield* place
      // A real small file system where we may mount one; elsewhere the same answer from the intercepted one.
      yield* fs.makeDirectory(directory, { recursive: true, mode: 0o700 })
      const mounted = yield* Effect.acquireRelease(
        Effect.sync(() => {
          try {
            execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", directory], { stdio: "ignore" })
            return true
          } catch {
            return false
          }
        }),
        (mounted) => Effect.sync(() => mounted && execFileSync("umount", [directory]))
      )
      const location = yield* file
      const fill = fs.writeFile(path.join(directory, "ballast"), new Uint8Array(mounted ? 256 * 1024 : 0))
      const full: Before = (method, path) =>
        !mounted && method === "open" && path.endsWith(".tmp") ? Effect.fail(errno("ENOSPC")) : Effect.void
      const exit = yield* Effect.exit(
        using(
          (store) => store.modify(key, (slot) => Effect.andThen(Effect.exit(fill), slot.write(credentialOf(2)))),
          full
        )
      )
      assert.include(inspect(exit, { depth: 9 }), "Full", `mounted: ${mounted}`)
      assert.deepStrictEqual(yield* generation, Option.some(1))
      assert.deepStrictEqual(
        (yield* names).filter((name) => name !== "ballast"),
        [path.basename(location)]
      )
      yield* fs.remove(path.join(directory, "ballast"))
      yield* write(credentialOf(3))
      assert.deepStrictEqual(yield* generation, Option.some(3))
    }).pipe(Effect.scoped)
  )
})

describe("each call of the file system fails in turn", () => {
  const cases: Record<string, (good: string) => string> = {
    "over a good file": (good) => good,
    "over a damaged file": () => "{"
  }
  for (const [over, spoil] of Object.entries(cases)) {
    for (const code of ["EIO", "ENOSPC"]) {
      live(
        `${code} ${over}: old or new, never half, no temporary file`,
        Effect.gen(function* () {
          const counting = yield* place
          const calls: Array<string> = []
          const location = yield* counting.file
          yield* counting.fs.writeFileString(location, spoil(yield* counting.fs.readFileString(location)))
          yield* counting.write(credentialOf(2), (method, path) =>
            Effect.sync(() => void calls.push(`${method} ${path}`))
          )
          assert.isAbove(calls.length, 15)

          const outcomes: Array<string> = []
          for (const [index, call] of calls.entries()) {
            const { file, fs, generation, names, write } = yield* place
            const location = yield* file
            const good = yield* fs.readFileString(location)
            yield* fs.writeFileString(location, spoil(good))
            let count = 0
            const exit = yield* Effect.exit(
              write(credentialOf(2), () =>
                Effect.suspend(() => (count++ === index ? Effect.fail(errno(code)) : Effect.void))
              )
            )
            const after = yield* Effect.exit(generation)
            if (Exit.isSuccess(exit)) assert.deepStrictEqual(after, Exit.succeed(Option.some(2)), call)
            else {
              assert.include(inspect(exit, { depth: 9 }), "StoreFailed", call)
              const isOld = spoil(good) === (yield* fs.readFileString(location))
              const isNew = Exit.isSuccess(after) && Option.contains(after.value, 2)
              assert.isTrue(isOld || isNew, call)
            }
            assert.deepStrictEqual(
              (yield* names).filter((name) => name.endsWith(".tmp")),
              [],
              call
            )
            outcomes.push(`${call.split(" ")[0]}: ${Exit.isSuccess(exit) ? "written" : "failed"}`)
          }
          assert.include(outcomes, "rename: failed")
          assert.include(outcomes, "sync: failed")
          assert.notInclude(logged.join("\n"), canary)
        })
      )
    }
  }

  live(
    "and every call after it, as in a crash",
    Effect.gen(function* () {
      for (let from = 0; from < 40; from++) {
        const { file, generation, write } = yield* place
        yield* file
        let count = 0
        yield* Effect.exit(
          write(credentialOf(2), () =>
            Effect.suspend(() => (count++ >= from ? Effect.fail(errno("EIO")) : Effect.void))
          )
        )
        assert.include([1, 2], Option.getOrThrow(yield* generation), `from call ${from}`)
      }
    })
  )
})
