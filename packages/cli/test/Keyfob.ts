/** The built command in a process and a home of its own. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const bundle = fileURLToPath(new URL("../dist/keyfob.js", import.meta.url))

export interface Ran {
  readonly args: ReadonlyArray<string>
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
  /** Called with each line of stderr; `signal` sends one to the process. */
  readonly onLine?: (line: string, signal: (name: NodeJS.Signals) => void) => void
  /** Put before the command: another program that runs it. */
  readonly through?: ReadonlyArray<string>
}

/** A temporary directory that goes away with the scope. */
const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-cli-test-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

export const make = Effect.map(directory, (home) => {
  const base = join(home, "keyfob")
  const ran: Array<Ran> = []

  const run = (args: ReadonlyArray<string>, { env, onLine, stdin, through = [] }: Options = {}): Effect.Effect<Ran> =>
    Effect.callback((resume) => {
      const [program = "", ...rest] = [...through, process.execPath, bundle, ...args]
      // Of this environment PATH alone: no proxy, no CI flag, no setting of Keyfob decides how the run ends.
      const child = spawn(program, rest, {
        env: { PATH: process.env["PATH"] ?? "", HOME: home, KEYFOB_HOME: base, NO_COLOR: "1", ...env },
        stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"]
      })
      let stdout = ""
      let stderr = ""
      let read = 0
      // A letter may come in two pieces.
      child.stdout?.setEncoding("utf8").on("data", (chunk) => (stdout += String(chunk)))
      child.stderr?.setEncoding("utf8").on("data", (chunk) => {
        stderr += String(chunk)
        for (let end = stderr.indexOf("\n", read); end >= 0; end = stderr.indexOf("\n", read)) {
          onLine?.(stderr.slice(read, end), (name) => child.kill(name))
          read = end + 1
        }
      })
      child.stdin?.end(stdin)
      child.on("close", (code) => {
        const one = { args, code, stdout, stderr }
        ran.push(one)
        resume(Effect.succeed(one))
      })
      return Effect.sync(() => child.kill("SIGKILL"))
    })

  /** Runs it, and expects it to end well. */
  const done = (args: ReadonlyArray<string>, options?: Options) =>
    Effect.tap(run(args, options), (it) => Effect.sync(() => assert.strictEqual(it.code, 0, it.stderr)))

  const file = (name: string) => join(base, name)
  return {
    home,
    base,
    ran,
    run,
    done,
    /** Runs it with `-o json` and reads the answer. */
    json: (args: ReadonlyArray<string>, options?: Options) =>
      Effect.map(done([...args, "-o", "json"], options), ({ stdout }) => JSON.parse(stdout)),
    file,
    write: (name: string, text: string, mode = 0o600) =>
      Effect.sync(() => {
        writeFileSync(file(name), text)
        chmodSync(file(name), mode)
      }),
    read: (name: string) => Effect.sync(() => readFileSync(file(name), "utf8")),
    /** Every file below KEYFOB_HOME. */
    files: Effect.sync(() => {
      try {
        return readdirSync(base, { recursive: true, encoding: "utf8" }).filter((name) => statSync(file(name)).isFile())
      } catch {
        return []
      }
    })
  }
})

/** What every failing command owes: nothing on stdout, one clear sentence, a remedy, its exit code. */
export const failsWith = ({ code, stderr, stdout }: Ran, exitCode: number, message: RegExp) => {
  assert.strictEqual(code, exitCode, stderr)
  assert.strictEqual(stdout, "")
  const lines = stderr.trimEnd().split("\n")
  assert.strictEqual(lines.length, 2, stderr)
  assert.match(lines[0] ?? "", /^keyfob: \S/)
  assert.match(lines[0] ?? "", message)
  assert.match(lines[1] ?? "", /^ {8}\S/)
}

/** The same with `-o json`. */
export const errorOf = ({ code, stderr, stdout }: Ran, exitCode: number) => {
  assert.strictEqual(code, exitCode, stderr)
  assert.strictEqual(stdout, "")
  const { error } = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "")
  for (const member of ["tag", "message", "remedy", "retry"]) assert.isString(error[member], member)
  return error
}
