/** The command in the test's own process, in a home that has these providers and nothing else. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { runKeyfob } from "@keyfob/cli/testing"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const configured = Effect.fnUntraced(function* (providers: string) {
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-configured-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  writeFileSync(join(home, "config.toml"), providers, { mode: 0o600 })
  const run = yield* runKeyfob.make
  const keyfob = (args: string, env: Record<string, string> = {}, stdin = "") =>
    run(args.split(" "), { env: { KEYFOB_HOME: home, ...env }, stdin })
  const json = (args: string, env?: Record<string, string>) =>
    Effect.map(keyfob(`${args} -o json`, env), ({ exitCode, stderr, stdout }) => {
      assert.strictEqual(exitCode, 0, stderr)
      return JSON.parse(stdout)
    })
  const files = () =>
    readdirSync(home, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map((one) => readFileSync(join(one.parentPath, one.name), "utf8"))
  return { files, home, json, keyfob }
})
