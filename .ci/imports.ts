/**
 * The direction of imports, as docs/architecture.md draws it: nothing imports upward, the library touches no platform and reads no
 * clock or chance but Effect's. Prints `file:line  rule` for each breach and exits 1.
 *
 *     node .ci/imports.ts [root]
 */
import { existsSync, globSync, readFileSync } from "node:fs"
import { basename, dirname, join, relative, resolve } from "node:path"
import { type ESTree, parseSync, Visitor } from "vite"

/** What the source of a package may import, besides its own files. A package without an entry must be private. */
const allowed: Readonly<Record<string, ReadonlyArray<string>>> = {
  core: ["effect", "jose"],
  node: ["keyfob", "effect", "@effect/platform-node", "@napi-rs/keyring", "lean-qr", "node:"],
  testing: ["keyfob", "effect", "jose", "@effect/vitest"],
  aqt: ["keyfob", "effect"],
  auki: ["keyfob", "effect"],
  aws: ["keyfob", "effect"],
  qlam: ["keyfob", "@keyfob/node", "effect"],
  cli: ["keyfob", "@keyfob/", "effect", "@effect/platform-node", "@effect/sql-pg", "lean-qr", "node:"]
}

/** Floors of core, lowest first. The root files are the words; index.ts is the roof: it sees all, nobody imports it. */
const floors = ["words", "protocol", "flow", "store", "session", "provider", "index.ts"]

/** Packages that run wherever Effect runs: all time is Clock, all chance is Random, all HTTP is HttpClient. */
const platformFree = ["core", "testing", "aqt", "auki", "aws"]

const globals = ["fetch", "setTimeout", "setInterval", "setImmediate", "process", "Date", "require"]
const members: Readonly<Record<string, ReadonlyArray<string> | "any">> = {
  Date: ["now"],
  Math: ["random"],
  performance: ["now"],
  crypto: ["getRandomValues", "randomUUID"],
  process: "any",
  globalThis: [...globals, "performance"]
}

interface Import {
  readonly specifier: string
  readonly line: number
}

interface Facts {
  readonly imports: ReadonlyArray<Import>
  readonly ambient: ReadonlyArray<{ readonly name: string; readonly line: number }>
}

/** What one file imports (static, dynamic, re-exported, types only) and which ambient values it reads. Comments and strings do not count. */
const read = (file: string): Facts => {
  const source = readFileSync(file, "utf8")
  const imports: Array<Import> = []
  const ambient: Array<{ name: string; line: number }> = []
  const line = (offset: number) => source.slice(0, offset).split("\n").length
  const importing = (node: { readonly start: number }, from: object | null) => {
    if (from === null) return
    const specifier = "value" in from && typeof from.value === "string" ? from.value : "(computed)"
    imports.push({ specifier, line: line(node.start) })
  }
  // A name the file gives to something of its own is not the global; oxlint, which knows scopes, has the last word on those.
  const own = new Set<string>()
  const bind = (pattern: ESTree.Node | null): void => {
    if (pattern === null) return
    if (pattern.type === "Identifier") own.add(pattern.name)
    else if (pattern.type === "Property") bind(pattern.value)
    else if (pattern.type === "ObjectPattern") pattern.properties.forEach(bind)
    else if (pattern.type === "ArrayPattern") pattern.elements.forEach(bind)
    else if (pattern.type === "AssignmentPattern") bind(pattern.left)
    else if (pattern.type === "RestElement") bind(pattern.argument)
  }
  const binds = (node: { readonly id: ESTree.Node | null; readonly params: ReadonlyArray<ESTree.Node> }) =>
    [node.id, ...node.params].forEach(bind)
  const called = (node: { readonly start: number; readonly callee: object }) => {
    if (!("name" in node.callee) || typeof node.callee.name !== "string") return
    if (globals.includes(node.callee.name)) ambient.push({ name: `${node.callee.name}()`, line: line(node.start) })
  }
  const { errors, program } = parseSync(file, source)
  if (errors[0] !== undefined) throw new Error(`${file}: ${errors[0].message}`)
  new Visitor({
    ImportDeclaration: (node) => importing(node, node.source),
    ExportNamedDeclaration: (node) => importing(node, node.source),
    ExportAllDeclaration: (node) => importing(node, node.source),
    ImportExpression: (node) => importing(node, node.source),
    TSImportType: (node) => importing(node, node.source),
    ImportSpecifier: (node) => bind(node.local),
    VariableDeclarator: (node) => bind(node.id),
    FunctionDeclaration: binds,
    FunctionExpression: binds,
    ArrowFunctionExpression: binds,
    CallExpression: called,
    // new Date(x) only converts; new Date() reads the clock.
    NewExpression: (node) => {
      if (node.arguments.length === 0) called(node)
    },
    MemberExpression: (node) => {
      if (node.object.type !== "Identifier") return
      const property =
        "name" in node.property ? node.property.name : "value" in node.property ? node.property.value : ""
      const forbidden = Object.hasOwn(members, node.object.name) ? members[node.object.name] : undefined
      if (forbidden === "any" || forbidden?.includes(String(property))) {
        ambient.push({ name: `${node.object.name}.${String(property)}`, line: line(node.start) })
      }
    }
  }).visit(program)
  return { imports, ambient: ambient.filter(({ name }) => !own.has(name.replace(/\W.*$/, ""))) }
}

const isRelative = (specifier: string) => specifier.startsWith(".")
const target = (file: string, specifier: string) => resolve(dirname(file), specifier)

const mayImport = (specifier: string, names: ReadonlyArray<string>) =>
  names.some((name) => specifier === name || specifier.startsWith(/[:/]$/.test(name) ? name : `${name}/`))

/** One way round for each knot in the graph of files, as the path one walks. Types count: a knot of types is still a knot. */
const cycles = (graph: ReadonlyMap<string, Facts>) => {
  const found: Array<{ readonly path: ReadonlyArray<string>; readonly line: number }> = []
  const done = new Set<string>()
  const walk = (file: string, path: ReadonlyArray<string>) => {
    if (done.has(file)) return
    for (const { line, specifier } of graph.get(file)?.imports ?? []) {
      if (!isRelative(specifier)) continue
      const next = target(file, specifier)
      const start = [...path, file].indexOf(next)
      if (start >= 0) found.push({ path: [file, ...[...path, file].slice(start)], line })
      else walk(next, [...path, file])
    }
    done.add(file)
  }
  for (const file of graph.keys()) walk(file, [])
  return found
}

/** Every breach below `root`, as `file:line  rule`. */
export const check = (root: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const manifest of globSync("packages/*/package.json", { cwd: root }).sort()) {
    const folder = join(root, dirname(manifest))
    const name = basename(folder)
    const source = join(folder, "src")
    const may = allowed[name]
    const isPrivate: unknown = JSON.parse(readFileSync(join(root, manifest), "utf8")).private
    if (may === undefined && isPrivate !== true) {
      found.push(`${manifest}:1  a published package needs its row in .ci/imports.ts`)
    }

    const files = globSync("**/*.{ts,tsx}", { cwd: source }).sort()
    const graph = new Map(files.map((file) => [join(source, file), read(join(source, file))]))
    const floorOf = (file: string) => {
      const inside = relative(source, file)
      return floors.indexOf(
        inside === "index.ts" ? inside : inside.includes("/") ? inside.slice(0, inside.indexOf("/")) : "words"
      )
    }
    const report = (file: string, line: number, rule: string) => found.push(`${relative(root, file)}:${line}  ${rule}`)

    for (const [file, { ambient, imports }] of graph) {
      if (name === "core" && floorOf(file) < 0) report(file, 1, `core has no such floor; it has ${floors.join(", ")}`)
      for (const { line, specifier } of imports) {
        if (isRelative(specifier)) {
          const to = target(file, specifier)
          if (relative(source, to).startsWith("..")) report(file, line, `"${specifier}" leaves the package's src`)
          else if (!existsSync(to)) report(file, line, `"${specifier}" is no file (write the extension .ts)`)
          else if (name === "core" && floorOf(to) > floorOf(file)) {
            report(
              file,
              line,
              `imports upward: "${specifier}" is on floor ${floors[floorOf(to)]}, above ${floors[floorOf(file)]}`
            )
          }
        } else if (may !== undefined && !mayImport(specifier, may)) {
          report(file, line, `${name} may not import "${specifier}", only ${may.join(", ")}`)
        }
      }
      if (!platformFree.includes(name)) continue
      for (const { line, name: value } of ambient) {
        report(
          file,
          line,
          `${name} may not use ${value}: time is Clock, chance is Random, HTTP is HttpClient, settings are Config`
        )
      }
    }
    for (const { line, path } of cycles(graph)) {
      report(path[0] ?? source, line, `import cycle: ${path.map((file) => relative(source, file)).join(" -> ")}`)
    }
  }
  return found
}

if (import.meta.main) {
  const found = check(resolve(process.argv[2] ?? join(import.meta.dirname, "..")))
  for (const breach of found) console.error(breach)
  console.log(found.length === 0 ? "imports: all point down" : `imports: ${found.length} to mend`)
  process.exitCode = found.length === 0 ? 0 : 1
}
