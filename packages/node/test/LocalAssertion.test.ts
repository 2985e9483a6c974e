/** JWTs of the machine: read anew each time, and nothing secret in what is said where there is none. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { LocalAssertion } from "@keyfob/node"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-assertion-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)
const node = (script: string, ...args: ReadonlyArray<string>) =>
  LocalAssertion.command([process.execPath, "-e", script, ...args])

describe("LocalAssertion", () => {
  it.effect("a file that Kubernetes rotates, by moving the link that it is behind, is followed", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const rotate = (token: string) => {
        mkdirSync(join(at, token))
        writeFileSync(join(at, token, "token"), `${token}\n`, { mode: 0o644 })
        symlinkSync(token, join(at, "..data_tmp"))
        renameSync(join(at, "..data_tmp"), join(at, "..data"))
      }
      rotate("first")
      symlinkSync(join("..data", "token"), join(at, "token"))
      const source = LocalAssertion.file(join(at, "token"))
      assert.strictEqual(Redacted.value(yield* source), "first")
      rotate("second")
      assert.strictEqual(Redacted.value(yield* source), "second")
    })
  )

  it.effect("a file that is none is said with its path, and not waited for", () =>
    Effect.gen(function* () {
      const at = yield* folder
      execFileSync("mkfifo", [join(at, "fifo")])
      for (const path of [join(at, "fifo"), "/dev/zero", at, join(at, "missing")]) {
        const error = yield* Effect.flip(LocalAssertion.file(path))
        assert.strictEqual(error.reason, "Unreadable")
        assert.include(error.message, path)
      }
    })
  )

  it.live("a program is asked each time, without a shell and without what is Keyfob's", () =>
    Effect.gen(function* () {
      process.env["KEYFOB_CLIENT_SECRET"] = "canary"
      yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env["KEYFOB_CLIENT_SECRET"]))
      const script = "console.log(process.argv[1], process.env.KEYFOB_CLIENT_SECRET, String(process.hrtime.bigint()))"
      const source = node(script, "$(id); `id`")
      const [one, two] = [Redacted.value(yield* source), Redacted.value(yield* source)]
      assert.match(one, /^\$\(id\); `id` undefined \d+$/)
      assert.notStrictEqual(one, two)
    }).pipe(Effect.scoped)
  )

  it.live.each([
    ["fails", "console.log('canary'); process.exit(3)", /it failed with 3$/],
    ["prints nothing", "console.log()", /it printed nothing$/],
    ["prints without end", "setInterval(() => console.log('canary'.repeat(1000)), 1)", /MAXBUFFER$/],
    ["takes too long", "setInterval(() => {}, 1000)", /longer than 0.5 s$/]
  ] as const)("a program that %s is said to", ([, script, message]) =>
    Effect.gen(function* () {
      const program = [process.execPath, "-e", script, "canary"] as const
      const options = /longer/.test(String(message)) ? { timeout: "500 millis" as const } : {}
      const error = yield* Effect.flip(LocalAssertion.command(program, options))
      assert.match(error.message, message)
      assert.notInclude(error.message, "canary")
    })
  )

  it.live("a program that is not there is said to", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LocalAssertion.command(["/nowhere/program"]))
      assert.include(error.message, "/nowhere/program")
      assert.include(error.message, "ENOENT")
    })
  )
})
