import * as Result from "effect/Result"
import * as Toml from "effect/encoding/Toml"
import { printable } from "keyfob"

/** A table of a TOML document, as the parser gives it: without a prototype. */
export type Table = Readonly<Record<string, unknown>>

export const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)

/** The document's root table, or what is wrong with it and where, in words without any value of the file. */
export const parse = (text: string): Result.Result<Table, string> =>
  Result.mapError(Toml.parse(text), ({ message }) =>
    // The parser quotes what it cannot read: an unquoted secret would be shown.
    printable(
      message.replace(/^(Invalid value|Invalid date-time|Integer out of range|Invalid escape) '.*' at/s, "$1 at")
    )
  )

/** A header with the lines below it, or the lines before the first header. */
export interface Section {
  /** The keys in the header; none before the first header. */
  readonly path: ReadonlyArray<string>
  /** Index of the header's line (of the first line before the first header). */
  readonly start: number
  /** Index of the next header's line, or the number of lines. */
  readonly end: number
}

/** Cuts a well-formed document at its headers. */
export const sections = (lines: ReadonlyArray<string>): ReadonlyArray<Section> => {
  const headers = lines.flatMap((line, start) =>
    /^\uFEFF?[ \t]*\[/.test(line) && isStatement(lines, start) ? [{ path: pathOf(line), start }] : []
  )
  return [{ path: [], start: 0 }, ...headers].map((section, index) => ({
    ...section,
    end: headers[index]?.start ?? lines.length
  }))
}

/** Whether a statement may start at this line: within a string or an array, what stands before it is cut in the middle. */
const isStatement = (lines: ReadonlyArray<string>, index: number) =>
  Result.isSuccess(
    Toml.parse(
      lines
        .slice(0, index)
        .map((line) => `${line}\n`)
        .join("")
    )
  )

/** The keys of a header, or of a statement whose value is no table. */
export const pathOf = (header: string): ReadonlyArray<string> => {
  const path: Array<string> = []
  let rest: unknown = Result.getOrElse(Toml.parse(`${header}\n`), () => undefined)
  while (isTable(rest) || Array.isArray(rest)) {
    const [key, value]: ReadonlyArray<unknown> = Object.entries(rest)[0] ?? []
    if (key === undefined) break
    if (!Array.isArray(rest)) path.push(String(key))
    rest = value
  }
  return path
}

/** The number, from 1, of the line that sets `path` or opens it, where one line does. */
export const lineOf = (text: string, path: ReadonlyArray<string>): number | undefined => {
  const lines = text.split("\n")
  const all = sections(lines)
  const opened = all.find((section) => isPrefix(path, section.path))
  if (opened !== undefined) return opened.start + 1
  const around = all.filter((section) => isPrefix(section.path, path)).sort((a, b) => b.path.length - a.path.length)
  for (const section of around) {
    const key = path[section.path.length]
    const index = key === undefined ? undefined : findSetter(lines, key, section)
    if (index !== undefined) return index + 1
  }
  return undefined
}

/** The index of the section's line that sets `key` or something in it. */
export const findSetter = (lines: ReadonlyArray<string>, key: string, { end, start }: Section) => {
  const spelled = [key, quote(key), `'${key}'`].map((form) => form.replace(/[^\w-]/g, "\\$&")).join("|")
  const setter = new RegExp(`^\\uFEFF?[ \\t]*(?:${spelled})[ \\t]*[.=]`)
  const index = lines.findIndex((line, at) => at >= start && at < end && setter.test(line) && isStatement(lines, at))
  return index < 0 ? undefined : index
}

/** The table that `key` has in a table; an empty one where it has none. */
export const tableIn = (table: Table, key: string): Table => {
  const inner = Object.hasOwn(table, key) ? table[key] : undefined
  return isTable(inner) ? inner : {}
}

/** The root with `value` as the table at a path. */
export const put = (root: Table, [key, ...rest]: ReadonlyArray<string>, value: Table): Table =>
  key === undefined ? value : { ...root, [key]: put(tableIn(root, key), rest, value) }

/** Whether `path` begins with `start`. */
export const isPrefix = (start: ReadonlyArray<string>, path: ReadonlyArray<string>) =>
  start.every((key, index) => key === path[index])

/** A basic string that stands for `text`. */
export const quote = (text: string) => JSON.stringify(text).replaceAll("\u007f", "\\u007f")

/** A path of keys, quoted where TOML wants it. */
export const dotted = (path: ReadonlyArray<string>) =>
  path.map((key) => (/^[\w-]+$/.test(key) ? key : quote(key))).join(".")

/** The lines that state `table` at `path`: a header, its values, then a header for each table in it. */
export const block = (path: ReadonlyArray<string>, table: Table): ReadonlyArray<string> => {
  const entries = Object.entries(table)
  return [
    `[${dotted(path)}]`,
    ...entries.flatMap(([key, value]) => (isTable(value) ? [] : [assignment(key, value)])),
    ...entries.flatMap(([key, value]) => (isTable(value) ? block([...path, key], value) : []))
  ]
}

/** The line that gives `key` its value. */
export const assignment = (key: string, value: unknown) => `${dotted([key])} = ${written(value)}`

/** A value on one line. */
export const written = (value: unknown): string => {
  if (typeof value === "string") return quote(value)
  if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`
  if (value instanceof Date) return value.toISOString()
  if (!isTable(value)) return String(value)
  return `{ ${Object.entries(value)
    .map(([key, inner]) => assignment(key, inner))
    .join(", ")} }`
}
