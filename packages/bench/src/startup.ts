/**
 * What `keyfob token` costs when the token is cached, beside a Node that does nothing: interleaved, so that what else the
 * machine does falls on both, and told as a ratio of medians.
 *
 *     node packages/bench/src/startup.ts [ROUNDS]        after a build; default 10 rounds
 */
import { clients, EmbeddedProvider } from "@keyfob/embedded"
import { Effect } from "effect"
import { execFile, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

const rounds = Number(process.argv[2] ?? 10)
const keyfob = join(import.meta.dirname, "../../cli/dist/keyfob.js")
const home = mkdtempSync(join(tmpdir(), "keyfob-bench-"))
const env = { PATH: process.env["PATH"], KEYFOB_HOME: home, KEYFOB_CLIENT_SECRET: clients.billing.secret }

const subjects = {
  "node -e 0": ["-e", "0"],
  "keyfob token (cached)": [keyfob, "token", "machine"],
  "keyfob --version": [keyfob, "--version"]
}

const median = (numbers: ReadonlyArray<number>) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN

const measure = (args: ReadonlyArray<string>) => {
  const start = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { env })
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`)
  return performance.now() - start
}

const login = (issuer: string) => {
  const provider = ["--issuer", issuer, "--client-id", clients.billing.id, "--flow", "client_credentials"]
  return promisify(execFile)(process.execPath, [keyfob, "login", "machine", ...provider, "--scope", "api:read"], {
    env
  })
}

const program = Effect.gen(function* () {
  const { issuer } = yield* EmbeddedProvider.start()
  yield* Effect.promise(() => login(issuer))
})

try {
  await Effect.runPromise(Effect.scoped(program))
  const times = Object.entries(subjects).map(([name, args]) => ({ name, args, taken: Array.of<number>() }))
  for (const { args } of times) measure(args)
  for (let round = 0; round < rounds; round++) for (const { args, taken } of times) taken.push(measure(args))
  const base = median(times[0]?.taken ?? [])
  for (const { name, taken } of times) {
    const time = median(taken)
    console.log(`${name.padEnd(24)} ${time.toFixed(1).padStart(7)} ms   ${(time / base).toFixed(2)}`)
  }
  console.log(`${rounds} rounds, medians; keyfob.js is ${Math.round(statSync(keyfob).size / 1024)} KiB`)
} finally {
  rmSync(home, { recursive: true, force: true })
}
