/**
 * Documentation is code that runs: every ```ts block of README.md, docs/ and the packages' READMEs is type-checked as a caller would
 * write it, and those marked ```ts run are run and must exit 0. Blocks of one page that are named by a first line `// file: NAME.ts` may
 * import each other.
 *
 *     node .ci/docs.ts
 */
import { existsSync, globSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { examplesOf, main, run, withProvider } from "./examples.ts"

const root = join(import.meta.dirname, "..")
// Inside the repository, where the packages' names resolve; not inside node_modules, where Node strips no types.
const work = join(import.meta.dirname, "tmp/docs")

main(async () => {
  const pages = globSync(["README.md", "docs/**/*.md", "packages/*/README.md"], { cwd: root }).sort()
  const examples = pages.flatMap((page) =>
    examplesOf(join(root, page)).map((example) => ({
      ...example,
      page,
      file: join(work, page.replaceAll(/[/.]/g, "-"), example.name ?? `line-${example.line}.ts`)
    }))
  )

  const failures: Array<string> = []
  rmSync(work, { recursive: true, force: true })
  for (const { code, file, line, page } of examples) {
    if (existsSync(file)) failures.push(`${page}:${line}  an earlier example of this page has the same name`)
    mkdirSync(join(file, ".."), { recursive: true })
    // Empty lines in front: what the compiler says about line 57 is about line 57 of the page.
    writeFileSync(file, "\n".repeat(line) + code)
  }

  if (examples.length > 0) {
    const noEmit = { composite: false, declaration: false, declarationMap: false, sourceMap: false, noEmit: true }
    const compilerOptions = { ...noEmit, types: ["node"], noUnusedLocals: false, noUnusedParameters: false }
    writeFileSync(
      join(work, "tsconfig.json"),
      JSON.stringify({ extends: relative(work, join(root, "tsconfig.base.json")), compilerOptions, include: ["."] })
    )
    const checked = await run(work, "tsc", ["-p", ".", "--pretty", "false"])
    // The compiler names our copies; the reader wants the page.
    const copies = new Map(examples.map(({ file, page }) => [relative(work, file), page]))
    const output = checked.output.replaceAll(/^(\S+\.ts)(?=\(\d)/gm, (file) => copies.get(file) ?? file)
    if (!checked.ok) failures.push(output.trimEnd())
  }

  const runnable = examples.filter((example) => example.run)
  await withProvider(async (provider) => {
    for (const { code, file, line, page } of runnable) {
      writeFileSync(file, "\n".repeat(line) + provider.adapt(code))
      const { ok, output } = await run(join(file, ".."), process.execPath, [file], provider)
      if (!ok) failures.push(`${page}:${line}  does not run\n${output.trimEnd()}`)
    }
  })

  for (const failure of failures) console.error(failure)
  console.log(
    `docs: ${examples.length} examples on ${pages.length} pages, ${runnable.length} run, ${failures.length} failures`
  )
  if (failures.length > 0) process.exitCode = 1
})
