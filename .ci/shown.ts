/** Pages of what tests show: where a test is, and whether the page that is kept is still the one that would be made. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export const root = join(import.meta.dirname, "..")

const lost: Array<string> = []

/** The line of a file, counted from 1, that has this in its code; a comment shows nothing. What has none is lost. */
export const lineOf = (file: string, code: string) => {
  const lines = readFileSync(join(root, file), "utf8").split("\n")
  const index = lines.findIndex((line) => line.includes(code) && !/^\s*(\/\/|\*|\/\*)/.test(line))
  if (index < 0) lost.push(`${file}: "${code}"`)
  return { line: index + 1, text: lines[index] ?? "", before: lines.slice(0, index + 1) }
}

/** A link to the test that has this in its title. */
export const linkToTest = (file: string, title: string) => {
  const { line, text } = lineOf(file, title)
  const literals = [...text.matchAll(/"([^"]*)"|`([^`]*)`/g)].map(([, plain, template]) => plain ?? template)
  const quoted = literals.find((literal) => literal?.includes(title)) ?? title
  return `[${quoted.replaceAll("|", "\\|").replaceAll("$", "")}](../${file}#L${line})`
}

/** Lines move with every edit above them: what counts is which test shows what. */
const withoutLines = (text: string) => text.replaceAll(/#L\d+/g, "")

/** Writes the page, or with `--check` says whether it is the one that is there. */
export const finish = (page: string, script: string, text: string) => {
  if (lost.length > 0) {
    console.error(`${page}: not there any more:\n${lost.join("\n")}`)
    process.exitCode = 1
  } else if (!process.argv.includes("--check")) writeFileSync(join(root, page), text)
  else if (withoutLines(readFileSync(join(root, page), "utf8")) !== withoutLines(text)) {
    console.error(`${page} is of other tests: run npm run ${script}`)
    process.exitCode = 1
  }
}
