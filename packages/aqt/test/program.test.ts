/** The program of docs/aqt.md, as its reader would run it: a process of its own, against Arnica on its port. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { examplesOf } from "../../../.ci/examples.ts"
import { is, jobId, machine } from "./FakeArnica.ts"
import { Served } from "./Served.ts"

const root = join(import.meta.dirname, "../../..")

it.live(
  "the twenty lines run: a job is followed to its end, and the token is kept for the next (A-36, A-63)",
  () =>
    Effect.gen(function* () {
      const { fake, url } = yield* Served
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => {
          mkdirSync(join(root, ".ci/tmp"), { recursive: true })
          return mkdtempSync(join(root, ".ci/tmp/aqt-"))
        }),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const [program] = examplesOf(join(root, "docs/aqt.md"))
      // The tenant is the one thing that no variable says: it is the service's own.
      const here = (program?.code ?? "").replace("JSON.parse(", `{ issuer: ${JSON.stringify(url)}, ...JSON.parse(`)
      const code = here.replace("JSON.stringify(said))", "JSON.stringify(said)) }")
      writeFileSync(join(folder, "follow.ts"), code)
      const env = {
        ...process.env,
        HOME: folder,
        AQT_ARNICA_URL: `${url}api`,
        AQT_CLIENT_ID: machine.client_id,
        AQT_CLIENT_SECRET: machine.client_secret
      }
      const run = Effect.promise(
        () =>
          new Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }>((resolve) => {
            execFile(process.execPath, [join(folder, "follow.ts"), jobId], { env }, (error, stdout, stderr) =>
              resolve({ code: error?.code ?? 0, stdout, stderr })
            )
          })
      )
      fake.jobs(is({ status: "queued" }), is({ status: "cancelled" }))
      const first = yield* run
      assert.deepStrictEqual([first.code, first.stdout], [0, "queued\ncancelled\n"], first.stderr)
      assert.strictEqual((yield* run).stdout, "cancelled\n")
      assert.lengthOf(
        fake.seen.filter(({ path }) => path === "/oauth/token"),
        1
      )
    }).pipe(Effect.scoped, Effect.provide(Served.layer)),
  120_000
)
