/** Processes that are started, talked to by lines, and killed. */
import { Effect } from "effect"
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { text } from "node:stream/consumers"

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

/** Starts Node. Of this environment the process gets PATH alone. It does not outlive the scope. */
export const start = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.acquireRelease(
    Effect.sync((): Running => {
      const began = performance.now()
      const child = spawn(process.execPath, args, { env: { PATH: process.env["PATH"] ?? "", ...env } })
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      const stderr = text(child.stderr)
      const next = () => lines.next().then(({ done, value }) => (done === true ? "" : value))
      const end = once(child, "exit").then(async ([code]) => {
        const ended = performance.now()
        const rest = Array.of<string>()
        for (let line = await next(); line !== ""; line = await next()) rest.push(line)
        return { began, ended, code, lines: rest, stderr: await stderr }
      })
      child.stdin.on("error", () => {}) // it may be gone before it has read what it was told
      return {
        line: Effect.promise(next),
        say: (line) => Effect.sync(() => child.stdin.write(`${line}\n`)),
        end: Effect.promise(() => end),
        kill: Effect.sync(() => child.kill("SIGKILL"))
      }
    }),
    ({ end, kill }) => Effect.andThen(kill, end)
  )

/** A directory that goes with the scope. */
export const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-reliability-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A program of this folder as one file, since it starts many times. Gives its path. */
export const bundled = (program: string) =>
  Effect.tap(
    Effect.map(directory, (folder) => join(folder, "worker.mjs")),
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
