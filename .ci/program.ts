/** The program of a page in docs/, as its reader would run it: in a folder of its own, a process each time. */
import { Effect, identity } from "effect"
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { examplesOf } from "./examples.ts"

const root = join(import.meta.dirname, "..")
const work = join(root, ".ci/tmp")

export interface Ended {
  readonly code: unknown
  readonly stdout: string
  readonly stderr: string
}

/** @param edit what has to be another than in the page, since the test is not at the service */
export const programOf = Effect.fnUntraced(function* (page: string, edit: (code: string) => string = identity) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => {
      mkdirSync(work, { recursive: true })
      return mkdtempSync(join(work, "program-"))
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const [example] = examplesOf(join(root, page))
  if (example?.name === undefined) return yield* Effect.die(new Error(`${page} has no program with a name`))
  const file = join(folder, example.name)
  writeFileSync(file, edit(example.code))
  const run = (env: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
    Effect.callback<Ended>((resume) => {
      const said = { ...process.env, HOME: folder, ...env }
      execFile(process.execPath, [file, ...args], { env: said }, (error, stdout, stderr) =>
        resume(Effect.succeed({ code: error?.code ?? 0, stdout, stderr }))
      )
    })
  return { run }
})
