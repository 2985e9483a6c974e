/** Changes to the lines of a TOML document: what a change is not about stays as it is. */
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import {
  assignment,
  block,
  dotted,
  isPrefix,
  isTable,
  parse,
  pathOf,
  type Section,
  sections,
  type Table,
  written
} from "./TomlDocument.ts"

type Lines = ReadonlyArray<string>
type KeyPath = ReadonlyArray<string>

/** The lines, from `start` to before `end`, that give one key its value. */
interface Statement {
  /** From the root down. */
  readonly path: KeyPath
  /** How much of the path the header above says. */
  readonly depth: number
  readonly start: number
  readonly end: number
}

/**
 * The lines with `after` at `path` where `before` was; `undefined` is no value. Tables are changed key by key. What cannot
 * be changed without losing a comment stays as it is: the caller compares what the lines mean with what they should.
 */
export const set = (lines: Lines, path: KeyPath, before: unknown, after: unknown): Lines => {
  if (Equal.equals(before, after)) return lines
  const all = statements(lines)
  const direct = all.find((one) => isSame(one.path, path))
  if (direct !== undefined) return after === undefined ? without(lines, [direct]) : assign(lines, direct, after)
  if (before === undefined) return insert(lines, all, path, after)
  if (!isTable(before)) return lines
  if (isTable(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)])
    return [...keys].reduce((done, key) => set(done, [...path, key], own(before, key), own(after, key)), lines)
  }
  if (after !== undefined) return lines
  const headers = sectionsIn(lines, path)
  return without(lines, [
    ...all.filter((one) => isPrefix(path, one.path)),
    ...headers.map(({ start }) => ({ start, end: start + 1 }))
  ])
}

const sectionsIn = (lines: Lines, path: KeyPath) => sections(lines).filter((section) => isPrefix(path, section.path))

const isSame = (one: KeyPath, other: KeyPath) => one.length === other.length && isPrefix(one, other)

const own = (table: Table, key: string): unknown => (Object.hasOwn(table, key) ? table[key] : undefined)

const keyForm = String.raw`(?:[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*')`
const setter = new RegExp(String.raw`^\uFEFF?[ \t]*(${keyForm}(?:[ \t]*\.[ \t]*${keyForm})*)[ \t]*=[ \t]*`)

const statements = (lines: Lines): ReadonlyArray<Statement> =>
  sections(lines).flatMap((section) => {
    const found: Array<Statement> = []
    const depth = section.path.length
    for (let start = section.start; start < section.end;) {
      let end = start + 1
      const keys = setter.exec(lines[start] ?? "")?.[1]
      if (keys !== undefined) {
        while (end < section.end && Result.isFailure(parse(lines.slice(start, end).join("\n")))) end++
        found.push({ path: [...section.path, ...pathOf(`${keys} = 0`)], depth, start, end })
      }
      start = end
    }
    return found
  })

const without = (lines: Lines, gone: ReadonlyArray<Pick<Statement, "start" | "end">>) =>
  lines.filter((_, index) => !gone.some(({ end, start }) => start <= index && index < end))

/** Another value for the statement, whose spacing and last comment stay. */
const assign = (lines: Lines, { end, start }: Statement, value: unknown): Lines => {
  const text = lines.slice(start, end).join("\n")
  const head = setter.exec(text)?.[0] ?? ""
  const tail = tailOf(text)
  const before = text.slice(head.length, text.length - tail.length)
  const after = (Array.isArray(value) ? list(before, value) : undefined) ?? written(value)
  // A comment between several lines of the value would be lost.
  if (before.includes("\n") && before.includes("#") && !after.includes("\n")) return lines
  return lines.toSpliced(start, end - start, ...`${head}${after}${tail}`.split("\n"))
}

/** The comment behind a statement, with the space before it. */
const tailOf = (statement: string) => {
  let end = statement.indexOf("#", statement.lastIndexOf("\n") + 1)
  while (end >= 0 && Result.isFailure(parse(statement.slice(0, end)))) end = statement.indexOf("#", end + 1)
  return statement.slice(statement.slice(0, end < 0 ? undefined : end).trimEnd().length)
}

/** A line of a list: a text, or what stands between texts. */
interface Item {
  readonly line: string
  readonly indent?: string
  readonly literal?: string
  readonly comma?: string
  readonly comment?: string
  readonly value?: unknown
}

/** A list with one text a line keeps that form, and each line that still holds. `undefined` where it has no such form. */
const list = (before: string, after: ReadonlyArray<unknown>): string | undefined => {
  const [first = "", ...rest] = before.split("\n")
  const last = rest.pop()
  if (last === undefined || !/^\[[ \t]*(?:#.*)?\r?$/.test(first) || last.trim() !== "]") return undefined
  const items = rest.map((line): Item => {
    const [, indent = "", literal, comma = "", comment = ""] =
      /^([ \t]*)("(?:[^"\\]|\\.)*"|'[^']*')[ \t]*(,?)([ \t]*(?:#.*)?\r?)$/.exec(line) ?? []
    return literal === undefined ? { line } : { line, indent, literal, comma, comment, value: valueOf(literal) }
  })
  const kept = items.filter(({ value }) => value === undefined || after.includes(value))
  const known = new Set(kept.map(({ value }) => value))
  const { indent = "  " } = items.find((item) => item.literal !== undefined) ?? {}
  const added = after
    .filter((value) => !known.has(String(value)))
    .map((value): Item => ({ line: `${indent}${written(value)},`, literal: "", comma: "," }))
  const at = kept.findLastIndex(({ literal }) => literal !== undefined)
  const all = kept.toSpliced(at + 1, 0, ...added)
  const end = all.findLastIndex(({ literal }) => literal !== undefined)
  const edited = all.map((item, index) =>
    item.comma === "" && index < end ? `${item.indent}${item.literal},${item.comment}` : item.line
  )
  const text = [first, ...edited, last].join("\n")
  return Equal.equals(valueOf(text), after) ? text : undefined
}

const valueOf = (literal: string): unknown =>
  Result.match(parse(`value = ${literal}`), { onFailure: () => undefined, onSuccess: ({ value }) => value })

/** A new value: below the last key of its table, in that key's manner. */
const insert = (lines: Lines, all: ReadonlyArray<Statement>, path: KeyPath, value: unknown): Lines => {
  const parent = path.slice(0, -1)
  const inside = sectionsIn(lines, parent)
  const header = inside.find((section) => isSame(parent, section.path))
  const sibling = all.findLast((one) => one.depth <= parent.length && isPrefix(parent, one.path))
  if (isTable(value) && inside.length > 0) return below(lines, all, inside, block(path, value))
  if (sibling !== undefined) {
    const [indent = ""] = /^[ \t]*/.exec(lines[sibling.start] ?? "") ?? []
    return lines.toSpliced(sibling.end, 0, `${indent}${dotted(path.slice(sibling.depth))} = ${written(value)}`)
  }
  const line = assignment(path.at(-1) ?? "", value)
  if (header !== undefined) return lines.toSpliced(header.start + 1, 0, line)
  return below(lines, all, inside, [`[${dotted(parent)}]`, line])
}

/** Below all that the sections state. */
const below = (
  lines: Lines,
  all: ReadonlyArray<Statement>,
  inside: ReturnType<typeof sections>,
  added: Lines
): Lines => {
  const last = inside.at(-1)
  if (last === undefined) return lines
  const end = all.findLast(({ start }) => last.start <= start && start < last.end)?.end ?? last.start + 1
  return lines.toSpliced(end, 0, ...added)
}

/** Index of the section's last line that is neither empty nor a comment: what follows may be about the next section. */
const lastStatement = (lines: Lines, { end, start }: Section) =>
  start + lines.slice(start, end).findLastIndex((line) => !/^[ \t]*(?:#|$)/.test(line))

/** The lines without the tables that are headed by `path` or something in it. */
export const cut = (lines: Lines, path: KeyPath): Lines => {
  const gone = sectionsIn(lines, path).map((section) => {
    let end = lastStatement(lines, section) + 1
    while (end < lines.length - 1 && lines[end]?.trim() === "") end++
    return { start: section.start, end }
  })
  return without(lines, gone)
}

/** The lines with others at their end, behind an empty line. */
export const append = (lines: Lines, added: Lines): Lines => {
  const kept = lines.at(-1) === "" ? lines.slice(0, -1) : lines
  const gap = kept.length === 0 || kept.at(-1)?.trim() === "" ? [] : [""]
  return [...kept, ...gap, ...added, ""]
}

/** The lines with one more at their top, below the comment that heads the file, if one does. */
export const insertAtTop = (lines: Lines, added: string): Lines => {
  const heading = lines.findIndex((line) => !line.startsWith("#"))
  const at = heading > 0 && lines[heading]?.trim() === "" ? heading + 1 : 0
  return lines.toSpliced(at, 0, added, ...(lines[at]?.trim() === "" || /^\s*[^[\s#]/.test(lines[at] ?? "") ? [] : [""]))
}
