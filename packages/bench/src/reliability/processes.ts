/** Processes that are started, talked to by lines, and killed. */
import { Effect } from "effect"
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** The built command, as it is published. */
export const keyfob = join(import.meta.dirname, "../../../cli/dist/keyfob.js")

/** How a process ended; instants in milliseconds of this one. */
export interface End {
  readonly began: number
  readonly ended: number
  readonly code: number | null
  /** The lines of stdout that nobody read before. */
  readonly lines: ReadonlyArray<string>
  readonly stderr: string
}

export interface Running {
  /** The next line of stdout; at the end, for ever, "". */
  readonly line: Effect.Effect<string>
  readonly say: (line: string) => Effect.Effect<void>
  readonly end: Effect.Effect<End>
  /** SIGKILL: it gets no chance to put anything in order. */
  readonly kill: Effect.Effect<void>
}

// Where programs are and, on Linux, how the keychain is reached: a process gets no more of this environment.
const surroundings = () => {
  const { DBUS_SESSION_BUS_ADDRESS = "", PATH = "" } = process.env
  return { DBUS_SESSION_BUS_ADDRESS, PATH }
}

/** Starts Node. The process does not outlive the scope. */
export const start = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.acquireRelease(
    Effect.sync((): Running => {
      const began = performance.now()
      const child = spawn(process.execPath, args, { env: { ...surroundings(), ...env } })
      const lines = Array.of<string>()
      const waiting = Array.of<(line: string) => void>()
      let [begun, closed, stderr] = ["", false, ""]
      const deliver = () => {
        while (waiting.length > 0 && lines.length > 0) waiting.shift()?.(lines.shift() ?? "")
        if (closed) for (const resume of waiting.splice(0)) resume("")
      }
      child.stderr.on("data", (chunk) => (stderr += String(chunk)))
      child.stdout.on("data", (chunk) => {
        const [first = "", ...rest] = String(chunk).split("\n")
        begun += first
        for (const line of rest) {
          lines.push(begun)
          begun = line
        }
        deliver()
      })
      const end = once(child, "close").then(([code]): End => {
        const ended = performance.now()
        closed = true
        deliver()
        return { began, ended, code, lines, stderr }
      })
      child.stdin.on("error", () => {}) // it may be gone before it has read what it was told
      return {
        line: Effect.callback((resume) => {
          waiting.push((line) => resume(Effect.succeed(line)))
          deliver()
        }),
        say: (line) => Effect.sync(() => child.stdin.write(`${line}\n`)),
        end: Effect.promise(() => end),
        kill: Effect.sync(() => child.kill("SIGKILL"))
      }
    }),
    ({ end, kill }) => Effect.andThen(kill, end)
  )

const directoryIn = (parent: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      mkdirSync(parent, { recursive: true })
      return mkdtempSync(join(parent, "keyfob-reliability-"))
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

/** A directory that goes with the scope. */
export const directory = directoryIn(tmpdir())

// Inside the repository, where @napi-rs/keyring can be found.
const built = join(import.meta.dirname, "../../../../.ci/tmp")

/** A program of this folder as one file, since it starts many times. Gives its path. */
export const bundled = (program: string) =>
  Effect.tap(
    Effect.map(directoryIn(built), (folder) => join(folder, "worker.mjs")),
    (outfile) =>
      Effect.promise(() =>
        build({
          entryPoints: [join(import.meta.dirname, program)],
          outfile,
          bundle: true,
          platform: "node",
          format: "esm",
          external: ["@napi-rs/keyring", "pg-native"],
          // Some dependencies are CommonJS and call require for Node's own modules.
          banner: { js: 'const require=process.getBuiltinModule("module").createRequire(process.execPath);' },
          logLevel: "error"
        })
      )
  )

export const worker = bundled("worker.ts")

export const median = (numbers: ReadonlyArray<number>) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN
