/** The program of docs/qlam.md, as its reader would run it: a process of its own, against the tenant on its port. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { programOf } from "../../../.ci/program.ts"
import { FakeQlam, machine, qshDirectory, userId } from "./FakeQlam.ts"

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
      const { run } = yield* programOf("docs/qlam.md")
      const told = run({ HOME: home, QSH_CONFIG_DIR: home })
      const said = `gemini/quera (qlam): authenticated\ngemini/batch (qlam): authenticated\nuser ${userId}\n`
      const first = yield* told
      assert.deepStrictEqual([first.code, first.stdout], [0, said], first.stderr)
      assert.deepStrictEqual(yield* told, { code: 0, stdout: said, stderr: "" })
      assert.lengthOf(forms("/oauth/device/code"), 1)
      assert.lengthOf(
        forms("/oauth/token").filter((form) => form["grant_type"] === "client_credentials"),
        1
      )
    }).pipe(Effect.scoped, Effect.provide(FakeQlam.layer())),
  120_000
)
