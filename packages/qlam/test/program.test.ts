/** The program of docs/qlam.md, as its reader would run it: a process of its own, against the tenant on its port. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { examplesOf } from "../../../.ci/examples.ts"
import { FakeQlam, machine, qshDirectory, userId } from "./FakeQlam.ts"

const root = join(import.meta.dirname, "../../..")
const work = join(root, ".ci/tmp")

it.live(
  "C-10 the twenty lines run: a login, then none",
  () =>
    Effect.gen(function* () {
      const { forms, idp, url } = yield* FakeQlam
      yield* idp.approve("alice")
      const auth_providers = [
        { name: "quera", provider: "oauth", client_id: "shell", grant_type: "device_code", issuer: url },
        { name: "batch", provider: "oauth", ...machine, grant_type: "client_credentials", auth_base_url: url }
      ]
      const home = yield* qshDirectory({ contexts: [{ name: "gemini", auth_providers }] })
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => {
          mkdirSync(work, { recursive: true })
          return mkdtempSync(join(work, "qlam-"))
        }),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const [program] = examplesOf(join(root, "docs/qlam.md"))
      writeFileSync(join(folder, "whoami.ts"), program?.code ?? "")
      const run = Effect.promise(
        () =>
          new Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }>((resolve) => {
            const env = { ...process.env, HOME: home, QSH_CONFIG_DIR: home }
            execFile(process.execPath, [join(folder, "whoami.ts")], { env }, (error, stdout, stderr) =>
              resolve({ code: error?.code ?? 0, stdout, stderr })
            )
          })
      )
      const said = `gemini/quera (qlam): authenticated\ngemini/batch (qlam): authenticated\nuser ${userId}\n`
      const first = yield* run
      assert.deepStrictEqual([first.code, first.stdout], [0, said], first.stderr)
      assert.deepStrictEqual(yield* run, { code: 0, stdout: said, stderr: "" })
      assert.lengthOf(forms("/oauth/device/code"), 1)
      assert.lengthOf(
        forms("/oauth/token").filter((form) => form["grant_type"] === "client_credentials"),
        1
      )
    }).pipe(Effect.scoped, Effect.provide(FakeQlam.layer())),
  120_000
)
