/** The program of docs/aqt.md, as its reader would run it: a process of its own, against Arnica on its port. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { programOf } from "../../../.ci/program.ts"
import { is, jobId, machine } from "./FakeArnica.ts"
import { Served } from "./Served.ts"

it.live(
  "the twenty lines run: a job is followed to its end, and the token is kept for the next (A-36, A-63)",
  () =>
    Effect.gen(function* () {
      const { fake, url } = yield* Served
      // The tenant is the one thing that no variable says: it is the service's own.
      const { run } = yield* programOf("docs/aqt.md", (code) =>
        code.replaceAll(
          "(fromEnvironment, ",
          `(Effect.map(fromEnvironment, (said) => ({ ...said, issuer: ${JSON.stringify(url)} })), `
        )
      )
      const followed = run(
        {
          AQT_ARNICA_URL: `${url}api`,
          AQT_CLIENT_ID: machine.client_id,
          AQT_CLIENT_SECRET: machine.client_secret
        },
        jobId
      )
      fake.jobs(is({ status: "queued" }), is({ status: "cancelled" }))
      const first = yield* followed
      assert.deepStrictEqual([first.code, first.stdout], [0, "queued\ncancelled\n"], first.stderr)
      assert.strictEqual((yield* followed).stdout, "cancelled\n")
      assert.lengthOf(
        fake.seen.filter(({ path }) => path === "/oauth/token"),
        1
      )
    }).pipe(Effect.scoped, Effect.provide(Served.layer)),
  120_000
)
