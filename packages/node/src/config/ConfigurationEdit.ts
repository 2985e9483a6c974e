/**
 * Changes to `config.toml` that leave everything else in it as its owner wrote it: comments, order, spacing.
 *
 * A change is made twice, as an edit of lines and as an edit of what they mean; if the edited lines do not mean that,
 * nothing is written.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { ConfigurationInvalid, printable, type StoreFailed } from "keyfob"
import * as DurableFile from "../store/DurableFile.ts"
import { errnoOf } from "../store/FileFailure.ts"
import * as FileLease from "../store/FileLease.ts"
import { nearest } from "./nearest.ts"
import { block, dotted, findSetter, parse, put, quote, sections, type Table, tableIn } from "./TomlDocument.ts"
import * as TomlEdit from "./TomlEdit.ts"
import * as TomlFile from "./TomlFile.ts"

type Lines = ReadonlyArray<string>
type KeyPath = ReadonlyArray<string>

/** A change to the configuration, to be given to {@link apply}. */
export interface Change {
  /** What is changed, as the file would write it. */
  readonly what: string
  readonly meaning: (root: Table) => Effect.Effect<Table, ConfigurationInvalid>
  readonly lines: (lines: Lines) => Lines
}

/** Makes a context the current one. It must be there: else `UnknownName`. */
export const useContext = (name: string): Change => ({
  what: `current_context = ${quote(name)}`,
  meaning: (root) => Effect.as(known(root, name), { ...root, current_context: name }),
  lines: (lines) => {
    const [top] = sections(lines)
    const at = top && findSetter(lines, "current_context", top)
    if (at === undefined) return TomlEdit.insertAtTop(lines, `current_context = ${quote(name)}`)
    const value = /(=[ \t]*)(?:"(?:[^"\\]|\\.)*"|'[^']*')/
    return lines.map((line, index) =>
      index === at ? line.replace(value, (_, equals) => `${equals}${quote(name)}`) : line
    )
  }
})

/** Adds a context without providers. One that is there already stays as it is. */
export const addContext = (name: string): Change => ({
  what: `[${dotted(["contexts", name])}]`,
  meaning: (root) => Effect.succeed(put(root, ["contexts", name], tableIn(tableIn(root, "contexts"), name))),
  lines: (lines) => TomlEdit.append(lines, block(["contexts", name], {}))
})

/** Removes a context with its providers, and `current_context` where it names it. A context that is not there is `UnknownName`. */
export const removeContext = (name: string): Change => ({
  what: `[${dotted(["contexts", name])}]`,
  meaning: (root) => Effect.as(known(root, name), withoutContext(root, name)),
  lines: (lines) => {
    const path = ["contexts", name]
    const current = Result.match(parse(lines.join("\n")), {
      onFailure: () => undefined,
      onSuccess: (root) => root["current_context"]
    })
    const [top] = sections(lines)
    const at = top && current === name ? findSetter(lines, "current_context", top) : undefined
    return TomlEdit.cut(lines, path).filter((_, index) => index !== at)
  }
})

/** Makes `table` all that is said of a provider, which is added, and its context with it, where it is not there yet. */
export const setProvider = (context: string, name: string, table: Table): Change =>
  setTable(["contexts", context, "providers", name], () => table)

/**
 * Changes these of a provider's settings and no others, or adds a provider that they say all of. What has no type after that
 * is none: a provider that was removed meanwhile stays removed.
 */
export const changeProvider = (context: string, name: string, settings: Table): Change => {
  const path = ["contexts", context, "providers", name]
  return setTable(path, (root) => {
    const changed = { ...path.reduce(tableIn, root), ...settings }
    return changed["type"] === undefined ? undefined : changed
  })
}

/** Has parts of somebody's work use these providers of a context; what other parts use stays. */
export const setPlugins = (context: string, plugins: Readonly<Record<string, string>>): Change => {
  const path = ["contexts", context, "plugins"]
  return setTable(path, (root) => ({ ...path.reduce(tableIn, root), ...plugins }))
}

/** `undefined` changes nothing. */
const setTable = (path: KeyPath, changed: (root: Table) => Table | undefined): Change => ({
  what: `[${dotted(path)}]`,
  meaning: (root) => {
    const table = changed(root)
    return Effect.succeed(table === undefined ? root : put(root, path, table))
  },
  lines: (lines) => {
    const root = Result.getOrElse(parse(lines.join("\n")), (): Table => ({}))
    const [name = "", ...outer] = path.toReversed()
    const around = outer.reduceRight(tableIn, root)
    const table = changed(root)
    if (table === undefined) return lines
    return Object.hasOwn(around, name)
      ? TomlEdit.set(lines, path, around[name], table)
      : TomlEdit.append(lines, block(path, table))
  }
})

/**
 * Applies changes to the file at `path`, all or none. A file and directories that are missing are made, for their owner
 * alone; the mode of a file that is there stays. A link is written through.
 *
 * Fails with `ConfigurationInvalid` where the file is malformed, cannot be written, or is written in a way that the
 * change would have to disturb.
 */
export const apply = Effect.fn("ConfigurationEdit.apply")(function* (
  path: string,
  ...changes: ReadonlyArray<Change>
): Effect.fn.Return<void, ConfigurationInvalid, FileSystem.FileSystem | Path.Path> {
  yield* asInvalid(path, write(path, changes))
})

/** Fails where {@link apply} would, and leaves the file as it is: for who would rather not hear that when all else is done. */
export const check = Effect.fn("ConfigurationEdit.check")(function* (
  path: string,
  ...changes: ReadonlyArray<Change>
): Effect.fn.Return<void, ConfigurationInvalid, FileSystem.FileSystem | Path.Path> {
  yield* asInvalid(path, prepare(path, changes))
})

const asInvalid = <A, R>(
  path: string,
  effect: Effect.Effect<A, ConfigurationInvalid | PlatformError | StoreFailed, R | Scope.Scope>
) => {
  const cannotWrite = (why: string | undefined) =>
    new ConfigurationInvalid({ reason: "Unreadable", detail: `${path} cannot be written (${why})` })
  return effect.pipe(
    Effect.scoped,
    Effect.catchTags({
      PlatformError: (error) => cannotWrite(errnoOf(error)),
      StoreFailed: (error) => cannotWrite(error.detail)
    })
  )
}

/** The lease, and the file where a link leads; nothing where the changes change nothing: that needs no place to write. */
const prepare = Effect.fnUntraced(function* (path: string, changes: ReadonlyArray<Change>) {
  const { dirname } = yield* Path.Path
  const durable = yield* DurableFile.make
  const leases = yield* FileLease.make("config")
  const target = yield* targetOf(path)
  if ((yield* plan(path, target, changes)) === undefined) return undefined
  yield* durable.makeDirectory(dirname(target))
  return { lease: yield* leases.acquire(`${target}.lock`), target }
})

const write = Effect.fnUntraced(function* (path: string, changes: ReadonlyArray<Change>) {
  const fs = yield* FileSystem.FileSystem
  const durable = yield* DurableFile.make
  const prepared = yield* prepare(path, changes)
  if (prepared === undefined) return
  const { lease, target } = prepared
  yield* durable.removeTemporaries(target)
  const written: Effect.Effect<void, ConfigurationInvalid | PlatformError | StoreFailed> = Effect.gen(function* () {
    const planned = yield* plan(path, target, changes)
    if (planned === undefined) return
    const unedited = Effect.gen(function* () {
      if (((yield* TomlFile.read(target))?.text ?? "") !== planned.before) return yield* new Edited()
      yield* lease.check
    })
    yield* durable.replace(target, planned.text, unedited)
    if (planned.mode !== 0o600) yield* fs.chmod(target, planned.mode)
  }).pipe(Effect.catchTag("Edited", () => written))
  yield* written
})

/** Somebody's editor, which takes no lease, has saved the file meanwhile. */
class Edited extends Data.TaggedError("Edited") {}

/** The file as the changes make it, or `undefined` where they leave it as it is. */
const plan = Effect.fnUntraced(function* (path: string, target: string, changes: ReadonlyArray<Change>) {
  const { mode, root, text } = (yield* TomlFile.read(target)) ?? { mode: 0o600, root: {}, text: "" }
  let after = { text, root }
  for (const change of changes) after = yield* applyOne(path, after, change)
  if (after.text === text) return undefined
  if (TomlFile.isOpen(mode) && TomlFile.holdsSecret(after.root) && !TomlFile.holdsSecret(root)) {
    return yield* invalid(`${path} would hold a secret that others can read; first run: chmod 600 ${path}`)
  }
  return { mode, before: text, text: after.text }
})

const applyOne = Effect.fnUntraced(function* (
  path: string,
  before: { readonly text: string; readonly root: Table },
  change: Change
) {
  const intended = yield* change.meaning(before.root)
  if (means(before.root, intended)) return before
  const mark = before.text.startsWith("\uFEFF") ? "\uFEFF" : ""
  const eol = /\r\n/.test(before.text) && !/(?:^|[^\r])\n/.test(before.text) ? "\r\n" : "\n"
  const text = mark + change.lines(before.text.slice(mark.length).split(eol)).join(eol)
  const root = Result.getOrUndefined(parse(text))
  if (root === undefined || !means(root, intended)) {
    return yield* invalid(
      `${path}: ${printable(change.what)} cannot be changed without touching other lines; change it by hand`
    )
  }
  return { text, root }
})

/** Where a link leads, be there a file or not yet. */
const targetOf: (path: string) => Effect.Effect<string, PlatformError, FileSystem.FileSystem | Path.Path> =
  Effect.fnUntraced(function* (path) {
    const fs = yield* FileSystem.FileSystem
    const { dirname, resolve } = yield* Path.Path
    return yield* fs.realPath(path).pipe(
      Effect.catchReason("PlatformError", "NotFound", () =>
        Effect.matchEffect(fs.readLink(path), {
          onFailure: () => Effect.succeed(path),
          onSuccess: (link) => targetOf(resolve(dirname(path), link))
        })
      )
    )
  })

const withoutContext = (root: Table, name: string): Table => {
  const { [name]: _, ...contexts } = tableIn(root, "contexts")
  const { current_context: current, ...others } = root
  return current === name ? { ...others, contexts } : { ...root, contexts }
}

/** Equal but for an empty `contexts`, which no line need state. */
const means = (root: Table, intended: Table) =>
  Equal.equals(
    { ...root, contexts: tableIn(root, "contexts") },
    { ...intended, contexts: tableIn(intended, "contexts") }
  )

const known = (root: Table, name: string) => {
  const names = Object.keys(tableIn(root, "contexts"))
  if (names.includes(name)) return Effect.void
  const meant = nearest(name, names)
  const hint = meant === undefined ? "" : `; did you mean ${printable(meant)}?`
  return new ConfigurationInvalid({ reason: "UnknownName", detail: `context ${printable(name)}${hint}` })
}

const invalid = (detail: string) => new ConfigurationInvalid({ reason: "InvalidValue", detail })
