/**
 * Runs random programs for so many steps, and tells each that broke a law with its seed and a shortened program.
 *
 *     node packages/testing/test/model-based/long.ts STEPS [SEED]
 */
import { useSources } from "./register.ts"

// Stack traces of a million spans are a seventh of the time, and nobody reads them: a failure is replayed by its seed.
Error.stackTraceLimit = 0
useSources()
const { explore } = await import("./explore.ts")
const [steps = "100000", seed = "long"] = process.argv.slice(2)
const started = performance.now()
const report = await explore({
  seed,
  steps: Number(steps),
  onFound: (text) => console.log(text),
  onProgress: (done, counts) => {
    const rate = Math.round((done / (performance.now() - started)) * 1000)
    console.log(`${new Date().toISOString()} ${done} steps, ${rate}/s, ${JSON.stringify(counts)}`)
  }
})
console.log(report.text)
process.exitCode = report.failed ? 1 : 0
