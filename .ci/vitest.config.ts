import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { defineConfig } from "vitest/config"
import type { Reporter, TestModule } from "vitest/node"

const root = join(import.meta.dirname, "..")
const ci = process.env["CI"] === "true"

/** Each exported module of our packages, by its name, as the source it is built from: tests of the library need no build. */
const sources = globSync("packages/*/package.json", { cwd: root }).flatMap((manifest) => {
  const { exports = {}, name } = JSON.parse(readFileSync(join(root, manifest), "utf8"))
  return Object.entries<string | { default: string }>(exports).flatMap(([subpath, to]) => {
    const file = typeof to === "string" ? to : to.default
    if (!file.endsWith(".js") && !file.endsWith(".ts")) return []
    const source = file.replace("./dist/", "./src/").replace(/\.js$/, ".ts")
    return [{ find: new RegExp(`^${name}${subpath.slice(1)}$`), replacement: join(root, manifest, "..", source) }]
  })
})

/** A test that is skipped proves nothing: on the build machine it counts as a failure. */
const noSkips: Reporter = {
  onTestRunEnd: (modules: ReadonlyArray<TestModule>) => {
    const skipped = modules.flatMap((module) => [...module.children.allTests("skipped")])
    for (const test of skipped) console.error(`skipped: ${test.module.relativeModuleId} > ${test.fullName}`)
    if (skipped.length > 0) process.exitCode = 1
  }
}

export default defineConfig({
  root,
  resolve: { alias: sources },
  test: {
    include: ["packages/*/test/**/*.test.ts", ".ci/test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    allowOnly: !ci,
    setupFiles: ["comparable.ts", "seeded.ts"].map((file) => join(import.meta.dirname, file)),
    // A limit for what hangs, not for what is slow: real processes share two cores with each other.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One worker for each core: by default one core is left idle, and of two that is half of the time.
    maxWorkers: "100%",
    // .ci/run asks for the counts in a file.
    reporters: ["default", ...(process.env["KEYFOB_TEST_REPORT"] ? ["json"] : []), ...(ci ? [noSkips] : [])],
    outputFile: process.env["KEYFOB_TEST_REPORT"] ?? ""
  }
})
