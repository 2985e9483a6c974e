/**
 * docs/systems.md: every known case of the three systems, and the tests whose titles carry its id.
 *
 *     node .ci/systems.ts [--check]       --check: fail where a case has lost its test or the page is of other tests
 */
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { cases, exceptions } from "./cases.ts"

const root = join(import.meta.dirname, "..")
const page = join(root, "docs/systems.md")
const systems = { A: "AQT's connector", B: "Auki's authentication", X: "Auki's successor crate", C: "QuEra's QLAM" }

/** A title's ids: `(A-29, A-67)`, `B-38 to B-41` is written out. */
const found = new Map<string, Array<string>>()
for (const file of globSync("packages/*/test/**/*.test.ts", { cwd: root }).sort()) {
  readFileSync(join(root, file), "utf8")
    .split("\n")
    .forEach((line, index) => {
      // Titles are strings; a comment that names a case shows nothing.
      if (/^\s*(\/\/|\*|\/\*)/.test(line)) return
      for (const [id] of line.matchAll(/\b[ABXC]-\d\d\b/g)) {
        found.set(id, [
          ...(found.get(id) ?? []),
          `[${file.replace(/^packages\//, "")}:${index + 1}](../${file}#L${index + 1})`
        ])
      }
    })
}

const verdict = (id: string) =>
  exceptions[id] !== undefined ? `does not apply: ${exceptions[id]}` : found.has(id) ? "shown" : "**not shown**"
const shownBy = (id: string) => {
  const [first, ...rest] = [...new Set(found.get(id) ?? [])]
  return first === undefined
    ? ""
    : rest.length > 2
      ? `${[first, ...rest.slice(0, 2)].join("<br>")}<br>and ${rest.length - 2} more`
      : [first, ...rest].join("<br>")
}

/** A package's statements at top level, without blank lines and comments, and without the fake that it brings for tests. */
const statements = (name: string) =>
  globSync(`packages/${name}/src/**/*.ts`, { cwd: root, exclude: ["**/testing/**"] }).flatMap((file) =>
    readFileSync(join(root, file), "utf8")
      .replaceAll(/\/\*.*?\*\//gs, "")
      .replaceAll(/^\s*(\/\/.*)?\n/gm, "")
      .split(/\n(?=\w)/)
  )
const isSchema = (statement: string) =>
  /^(export )?const \w+ = (Schema\.|\{\n.*: Schema\.)/.test(statement) ||
  /^export type \w+ = typeof \w+\.Type/.test(statement)
const lines = (of: ReadonlyArray<string>) => of.join("\n").split("\n").length

const ids = Object.keys(cases)
const missing = ids.filter((id) => verdict(id) === "**not shown**")
const sizes = ["aqt", "qlam", "auki"].map((name) => {
  const all = statements(name)
  const code = all.filter((statement) => !isSchema(statement))
  const bare = code.filter((statement) => !statement.startsWith("import"))
  return `| \`@keyfob/${name}\` | ${lines(all)} | ${lines(code)} | ${lines(bare)} |`
})
const text = `# The three systems

Keyfob takes the place of AQT's connector, Auki's authentication and QuEra's QLAM. This page lists what each is known to do, case by case, and the tests
that show Keyfob doing it; the tests' titles carry the ids. It is made by \`npm run docs:systems\`.

${ids.length} cases: ${ids.filter((id) => verdict(id) === "shown").length} shown, ${Object.keys(exceptions).length} that do not apply, ${missing.length} not shown${missing.length === 0 ? "" : ` (${missing.join(", ")})`}.

| package | lines of code | without schemas | without imports too |
|---|---|---|---|
${sizes.join("\n")}
${Object.entries(systems)
  .map(
    ([letter, name]) => `
## ${letter}: ${name}

| id | case | verdict | test |
|---|---|---|---|
${ids
  .filter((id) => id.startsWith(letter))
  .map((id) => `| ${id} | ${cases[id]} | ${verdict(id)} | ${shownBy(id)} |`)
  .join("\n")}
`
  )
  .join("")}`

/** Lines move with every edit above them: what counts is which test shows what. */
const withoutLines = (text: string) => text.replaceAll(/(:|#L)\d+/g, "").replaceAll(/^\| `@keyfob.*$/gm, "")

if (!process.argv.includes("--check")) writeFileSync(page, text)
else if (withoutLines(readFileSync(page, "utf8")) !== withoutLines(text)) {
  console.error("docs/systems.md is of other tests: run npm run docs:systems")
  process.exitCode = 1
}
